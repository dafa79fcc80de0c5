// Who transmits, and what becomes of what cannot be sent.
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/endpoint/client_role_fixture.h"
#include "tests/support/gate.h"
#include "tests/support/status_matchers.h"

namespace anywire::test {
namespace {

using protocol::Event;
using protocol::Protocol;
using ::testing::HasSubstr;

class SendingTest : public EndpointTest {};

// Credit that the reader itself receives lets the pump write the rest of a message; nobody else is
// there to say so.
TEST_F(SendingTest, TheReaderHandsOnWhatItsPumpBrings) {
  TestCall call(endpoint_);
  ASSERT_OK(call.OpenStream());
  // More than the windows that are assumed before the peer's HELLO.
  const std::string large(1 << 20, 'x');
  ASSERT_EQ(call.Send(large), protocol::SendResult::kQueued);
  std::thread writer([this, &call] { endpoint_->Await(call.writable, false); });
  std::atomic<bool> written{false};
  std::thread joiner([&writer, &written] {
    writer.join();
    written = true;
  });
  while (!written) {
    peer_.ReadNow();
    std::this_thread::yield();
  }
  joiner.join();
  call.Cancel();
  call.over.WaitForNotification();
}

TEST_F(SendingTest, ACallerWaitsForRoomInTheTransport) {
  script_->BlockAfter(0);
  script_->MakeSendersWait();
  TestCall call(endpoint_);
  std::thread caller([&call] { EXPECT_OK(call.CallInOne("request")); });
  script_->WaitForWaitingSender();
  script_->Unblock();
  peer_.Reply(peer_.WaitForCall(0), "reply");
  peer_.Flush();
  caller.join();
  EXPECT_EQ(call.reply, "reply");
}

TEST_F(SendingTest, ACallerThatWaitsForRoomHearsThatTheConnectionIsLost) {
  script_->BlockAfter(0);
  script_->MakeSendersWait();
  TestCall call(endpoint_);
  std::thread caller([&call] {
    EXPECT_THAT(call.CallInOne("request"), StatusIs(absl::StatusCode::kUnavailable));
  });
  script_->WaitForWaitingSender();
  endpoint_->Close(absl::AbortedError("by the test"));
  caller.join();
}

TEST_F(SendingTest, AWriterThatWaitsForRoomLeavesTheConnectionToTheLoop) {
  script_->BlockAfter(0);
  script_->SetRoom(2);
  TestCall call(endpoint_);
  ASSERT_OK(call.OpenStream());
  protocol::SendResult result = protocol::SendResult::kSent;
  for (int i = 0; i < 8 && result == protocol::SendResult::kSent; ++i) {
    result = call.Send(std::string(1000, 'm'));
  }
  ASSERT_EQ(result, protocol::SendResult::kQueued);
  std::thread writer([this, &call] { endpoint_->AwaitRoom(call.writable); });
  script_->WaitUntilWatched();
  EXPECT_FALSE(script_->receiving());
  script_->Unblock();
  writer.join();
  call.Cancel();
  call.over.WaitForNotification();
}

TEST_F(SendingTest, WhatAShortWriteLeavesIsSentWhenThereIsRoom) {
  script_->BlockAfter(1);
  TestCall first(endpoint_), second(endpoint_), third(endpoint_);
  ASSERT_OK(first.Open("1"));
  ASSERT_OK(second.Open("2"));
  EXPECT_EQ(peer_.WaitForCall(0).messages[0], "1");
  EXPECT_EQ(peer_.calls(), 1u);
  const uint64_t transmits = script_->transmits();
  ASSERT_OK(third.Open("3"));  // does not try again and again
  EXPECT_EQ(script_->transmits(), transmits);
  script_->Unblock();
  EXPECT_EQ(peer_.WaitForCall(2).messages[0], "3");
  peer_.Reply(peer_.WaitForCall(0), "");
  peer_.Reply(peer_.WaitForCall(1), "");
  peer_.Reply(peer_.WaitForCall(2), "");
  peer_.Flush();
  endpoint_->Await(first.ended, false);
  endpoint_->Await(second.ended, false);
  endpoint_->Await(third.ended, false);
}

// What others publish while a thread transmits leaves with its next round.
TEST_F(SendingTest, OneThreadTransmitsForAll) {
  Gate inside, go_on;
  std::atomic<int> rounds{0};
  script_->SetTransmitHook([&inside, &go_on, &rounds] {
    if (rounds++ > 0) return;
    inside.Open();
    go_on.Wait();
  });
  TestCall first(endpoint_), second(endpoint_);
  std::thread transmitter([&first] { ASSERT_OK(first.Open("1")); });
  inside.Wait();
  ASSERT_OK(second.Open("2"));  // does not wait
  EXPECT_EQ(rounds, 1);
  go_on.Open();
  transmitter.join();
  EXPECT_EQ(rounds, 2);
  EXPECT_EQ(peer_.WaitForCall(1).messages[0], "2");
  script_->SetTransmitHook(nullptr);
  first.Cancel();
  second.Cancel();
  first.over.WaitForNotification();
  second.over.WaitForNotification();
}

TEST_F(SendingTest, AfterAFailedTransmitTheReaderStillReadsWhatHadCome) {
  TestCall call(endpoint_);
  ASSERT_OK(call.Open("request"));
  peer_.Reply(peer_.WaitForCall(0), "the last word");
  script_->FailTransmit(absl::UnavailableError("broken pipe"));
  TestCall late(endpoint_);
  ASSERT_OK(late.Open("goes nowhere"));
  script_->WaitUntilWatched();  // nobody else was there to meet the end
  peer_.Flush();
  endpoint_->Await(call.ended, false);
  EXPECT_OK(call.status);
  EXPECT_EQ(call.reply, "the last word");
  script_->EndReceive(absl::UnavailableError("closed by peer"));
  endpoint_->Await(late.ended, false);
  EXPECT_THAT(late.status, StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(SendingTest, AConnectionThatCannotSendIsGivenUpThoughThePeerStays) {
  TestCall call(endpoint_);
  ASSERT_OK(call.Open("request"));
  script_->FailTransmit(absl::UnavailableError("no buffer space"));
  TestCall late(endpoint_);
  ASSERT_OK(late.Open("goes nowhere"));
  EXPECT_TRUE(endpoint_->retired());
  late.over.WaitForNotification();
  EXPECT_THAT(late.status, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(late.status.message(), HasSubstr("no buffer space"));
  call.over.WaitForNotification();
  lost_.WaitForNotification();
}

}  // namespace
}  // namespace anywire::test
