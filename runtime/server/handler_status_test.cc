#include "runtime/server/handler_status.h"

#include <kj/debug.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace anywire {
namespace {

constinit const Method kMethod("test.Service/Throws", CallShape::kUnary);

// What is logged of the exception.
template <typename Throw>
std::string LogOf(Throw throw_it) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  std::string log;
  // The log may have had its lines for this second.
  while (log.empty() && std::chrono::steady_clock::now() < give_up) {
    testing::internal::CaptureStderr();
    absl::Status status;
    try {
      throw_it();
    } catch (...) {
      status = StatusOfException(kMethod);
    }
    log = testing::internal::GetCapturedStderr();
    // Whatever it was, the client reads this alone.
    EXPECT_EQ(status, absl::InternalError("test.Service/Throws: the handler threw an exception"));
  }
  return log;
}

constexpr char kLead[] = "anywire: the handler of test.Service/Throws threw: ";

TEST(HandlerStatusTest, StandardExceptionsGiveTheirText) {
  EXPECT_EQ(LogOf([] { throw std::runtime_error("out of paper"); }),
            absl::StrCat(kLead, "out of paper\n"));
}

TEST(HandlerStatusTest, KjExceptionsGiveTheirDescription) {
  const std::string log = LogOf([] { KJ_FAIL_REQUIRE("out of ink"); });
  EXPECT_THAT(log, testing::HasSubstr("out of ink"));
  EXPECT_THAT(log, testing::Not(testing::HasSubstr("stack:")));
}

TEST(HandlerStatusTest, AnythingElseIsToldToo) {
  EXPECT_EQ(LogOf([] { throw 42; }), absl::StrCat(kLead, "an exception of unknown type\n"));
}

TEST(HandlerStatusTest, TheTextIsCutAtItsLimit) {
  for (const size_t size : {kMaxExceptionText - 1, kMaxExceptionText, kMaxExceptionText + 1}) {
    const std::string text(size, 'x');
    EXPECT_EQ(LogOf([&text] { throw std::runtime_error(text); }),
              absl::StrCat(kLead, text.substr(0, kMaxExceptionText), "\n"));
  }
}

TEST(HandlerStatusTest, TheTextIsNotCutInsideACharacter) {
  for (size_t before = kMaxExceptionText - 4; before <= kMaxExceptionText; ++before) {
    const std::string text = std::string(before, 'x') + "\U0001F600\U0001F600";
    const size_t characters = (kMaxExceptionText - before) / 4;
    EXPECT_EQ(LogOf([&text] { throw std::runtime_error(text); }),
              absl::StrCat(kLead, text.substr(0, before + 4 * characters), "\n"));
  }
}

TEST(HandlerStatusTest, ManyExceptionsDoNotFloodTheLog) {
  testing::internal::CaptureStderr();
  for (int i = 0; i < 1000; ++i) {
    try {
      throw std::runtime_error("a line\nor two");
    } catch (...) {
      EXPECT_EQ(StatusOfException(kMethod).code(), absl::StatusCode::kInternal);
    }
  }
  const std::string log = testing::internal::GetCapturedStderr();
  // Ten for each second that this took, and never more lines than exceptions.
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 500);
  EXPECT_THAT(log, testing::Not(testing::HasSubstr("a line\nor two")));
}

}  // namespace
}  // namespace anywire
