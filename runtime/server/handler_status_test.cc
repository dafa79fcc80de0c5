#include "runtime/server/handler_status.h"

#include <kj/debug.h>

#include <stdexcept>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace anywire {
namespace {

constinit const Method kMethod("test.Service/Throws", CallShape::kUnary);

template <typename Throw>
absl::Status StatusOf(Throw throw_it) {
  try {
    throw_it();
  } catch (...) {
    return StatusOfException(kMethod);
  }
  return absl::OkStatus();
}

TEST(HandlerStatusTest, StandardExceptionsGiveTheirText) {
  EXPECT_EQ(StatusOf([] { throw std::runtime_error("out of paper"); }),
            absl::InternalError("out of paper"));
}

TEST(HandlerStatusTest, KjExceptionsGiveTheirDescription) {
  const absl::Status status = StatusOf([] { KJ_FAIL_REQUIRE("out of ink"); });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("out of ink"));
  EXPECT_THAT(std::string(status.message()), testing::Not(testing::HasSubstr("stack:")));
}

TEST(HandlerStatusTest, AnythingElseIsToldToo) {
  EXPECT_EQ(StatusOf([] { throw 42; }), absl::InternalError("an exception of unknown type"));
}

TEST(HandlerStatusTest, TheTextIsCutAtItsLimit) {
  for (const size_t size : {kMaxExceptionText - 1, kMaxExceptionText, kMaxExceptionText + 1}) {
    const std::string text(size, 'x');
    const absl::Status status = StatusOf([&text] { throw std::runtime_error(text); });
    EXPECT_EQ(status.message().size(), std::min(size, kMaxExceptionText));
  }
}

TEST(HandlerStatusTest, TheTextIsNotCutInsideACharacter) {
  for (size_t before = kMaxExceptionText - 4; before <= kMaxExceptionText; ++before) {
    const std::string text = std::string(before, 'x') + "\U0001F600\U0001F600";
    const absl::Status status = StatusOf([&text] { throw std::runtime_error(text); });
    const size_t characters = (kMaxExceptionText - before) / 4;
    EXPECT_EQ(status.message().size(), before + 4 * characters);
  }
}

TEST(HandlerStatusTest, ManyExceptionsDoNotFloodTheLog) {
  testing::internal::CaptureStderr();
  for (int i = 0; i < 1000; ++i) {
    (void)StatusOf([] { throw std::runtime_error("a line\nor two"); });
  }
  const std::string log = testing::internal::GetCapturedStderr();
  // Ten for each second that this took, and never more lines than exceptions.
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 500);
  EXPECT_THAT(log, testing::Not(testing::HasSubstr("a line\nor two")));
}

}  // namespace
}  // namespace anywire
