#include "tests/support/call_checker.h"

#include <string>

#include "anywire/delivery.h"
#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"
#include "tests/support/body.h"

namespace anywire::test {
namespace {

const Allowed kOnlyOk = {absl::StatusCode::kOk};
const Allowed kOkOrLost = {absl::StatusCode::kOk, absl::StatusCode::kUnavailable};

std::string ReplyBody(uint64_t call, uint32_t index) {
  return MakeBody({call, Direction::kReply, index}, 20);
}

TEST(CallCheckerTest, IsContentWithGoodCalls) {
  CallChecker checker(10);
  const uint64_t call = checker.Begin();
  checker.OnHandler(call);
  checker.OnReply(call, 0, call, 0, ReplyBody(call, 0));
  checker.End(call, absl::OkStatus(), kOnlyOk);
  const uint64_t lost = checker.Begin();
  checker.End(lost, absl::UnavailableError("lost"), kOkOrLost);
  const uint64_t refused = checker.Begin();
  checker.End(refused, WithDelivery(absl::UnavailableError("full"), Delivery::kNotProcessed),
              kOkOrLost);
  checker.Verify();
  EXPECT_EQ(checker.begun(), 3u);
  EXPECT_EQ(checker.ended(absl::StatusCode::kUnavailable), 2u);
}

// Each breach in a function of its own: the macros take statements that name no local variables.
void EndTwice() {
  CallChecker checker(1);
  checker.OnHandler(checker.Begin());
  checker.End(0, absl::OkStatus(), kOnlyOk);
  checker.End(0, absl::OkStatus(), kOnlyOk);
}
void NeverEnd() {
  CallChecker checker(1);
  checker.Begin();
  checker.Verify();
}
void EndAsSomethingElse() {
  CallChecker checker(1);
  checker.Begin();
  checker.End(0, absl::AbortedError("?"), kOkOrLost);
}
void TakeAnothersReply() {
  CallChecker checker(2);
  checker.Begin();
  checker.Begin();
  checker.OnReply(0, 0, 1, 0, ReplyBody(0, 0));
}
void TakeAnothersBody() {
  CallChecker checker(2);
  checker.Begin();
  checker.OnReply(0, 0, 0, 0, ReplyBody(1, 0));
}
void TakeRepliesOutOfOrder() {
  CallChecker checker(1);
  checker.Begin();
  checker.OnReply(0, 0, 0, 1, ReplyBody(0, 0));
}
void HandleTwice() {
  CallChecker checker(1);
  checker.Begin();
  checker.OnHandler(0);
  checker.OnHandler(0);
}
void SucceedWithoutHandler() {
  CallChecker checker(1);
  checker.Begin();
  checker.End(0, absl::OkStatus(), kOnlyOk);
  checker.Verify();
}
void DenyAndHandle() {
  CallChecker checker(1);
  checker.Begin();
  checker.OnHandler(0);
  checker.End(0, WithDelivery(absl::UnavailableError("gone"), Delivery::kNotSent), kOkOrLost);
  checker.Verify();
}

TEST(CallCheckerTest, SeesEachBreach) {
  EXPECT_NONFATAL_FAILURE(EndTwice(), "ended again");
  EXPECT_NONFATAL_FAILURE(NeverEnd(), "never ended");
  EXPECT_NONFATAL_FAILURE(EndAsSomethingElse(), "ended as ABORTED");
  EXPECT_NONFATAL_FAILURE(TakeAnothersReply(), "reply of call 1");
  EXPECT_NONFATAL_FAILURE(TakeAnothersBody(), "wrong within");
  EXPECT_NONFATAL_FAILURE(TakeRepliesOutOfOrder(), "in the place of");
  EXPECT_NONFATAL_FAILURE(HandleTwice(), "twice");
  EXPECT_NONFATAL_FAILURE(SucceedWithoutHandler(), "without a handler");
  EXPECT_NONFATAL_FAILURE(DenyAndHandle(), "says that it did not");
}

}  // namespace
}  // namespace anywire::test
