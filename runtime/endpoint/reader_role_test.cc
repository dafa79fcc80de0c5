// Who receives: the threads that wait, or the loop.
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

class ReaderRoleTest : public EndpointTest {};

TEST_F(ReaderRoleTest, AWaitingThreadReceivesItself) {
  TestCall call(endpoint_);
  absl::Notification done;
  std::thread caller([&call, &done] {
    EXPECT_OK(call.Call("request"));
    done.Notify();
  });
  script_->WaitForReceiver(caller.get_id());
  EXPECT_FALSE(script_->watched());
  peer_.Reply(peer_.WaitForCall(0), "reply");
  peer_.Flush();
  done.WaitForNotification();
  EXPECT_EQ(call.reply, "reply");
  EXPECT_EQ(call.thread, caller.get_id());
  caller.join();
}

TEST_F(ReaderRoleTest, WithoutAReaderTheLoopTakesOverSoon) {
  script_->WaitUntilWatched();
  script_->EndReceive(absl::UnavailableError("closed by peer"));
  lost_.WaitForNotification();
  EXPECT_THAT(lost_why_, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("closed by peer")));
  EXPECT_TRUE(endpoint_->retired());
}

TEST_F(ReaderRoleTest, AThreadTakesTheRoleFromTheLoop) {
  script_->WaitUntilWatched();
  TestCall call(endpoint_);
  std::thread caller([&call] { EXPECT_OK(call.Call("request")); });
  script_->WaitForReceiver(caller.get_id());
  EXPECT_FALSE(script_->watched());
  peer_.Reply(peer_.WaitForCall(0), "reply");
  peer_.Flush();
  caller.join();
}

TEST_F(ReaderRoleTest, TheReaderHandsOnOthersAnswersAndPassesItsRole) {
  TestCall first(endpoint_), second(endpoint_), third(endpoint_);
  std::thread reader([&first] { EXPECT_OK(first.Call("1")); });
  script_->WaitForReceiver(reader.get_id());
  std::thread parked([&second] { EXPECT_OK(second.Call("2")); });
  EndpointPeek::WaitForParked(*endpoint_, 1);
  std::thread heir([&third] { EXPECT_OK(third.Call("3")); });
  EndpointPeek::WaitForParked(*endpoint_, 2);

  peer_.WaitForCall(2);
  for (size_t i = 0; i < 3; ++i) {
    if (peer_.WaitForCall(i).messages[0] == "2") peer_.Reply(peer_.WaitForCall(i), "to 2");
  }
  peer_.Flush();
  parked.join();
  EXPECT_EQ(second.thread, reader.get_id());
  script_->WaitForReceiver(reader.get_id());

  for (size_t i = 0; i < 3; ++i) {
    if (peer_.WaitForCall(i).messages[0] == "1") peer_.Reply(peer_.WaitForCall(i), "to 1");
  }
  peer_.Flush();
  reader.join();
  script_->WaitForReceiver(heir.get_id());

  for (size_t i = 0; i < 3; ++i) {
    if (peer_.WaitForCall(i).messages[0] == "3") peer_.Reply(peer_.WaitForCall(i), "to 3");
  }
  peer_.Flush();
  heir.join();
  EXPECT_EQ(third.reply, "to 3");
}

// The reader's answer is in the hands of a thread that hands on events; it must not go back to
// sleep in the transport, where nobody can wake it.
TEST_F(ReaderRoleTest, TheReaderDoesNotSleepWhileAnotherThreadHandsOnItsAnswer) {
  TestCall slow(endpoint_), call(endpoint_);
  Gate inside, go_on;
  slow.hook = [&inside, &go_on](Event&) {
    inside.Open();
    go_on.Wait();
  };
  ASSERT_OK(slow.Open("slow"));
  std::thread caller([&call] { EXPECT_OK(call.Call("request")); });
  script_->WaitForReceiver(caller.get_id());
  slow.Cancel();  // its end is handed on by the loop's thread
  inside.Wait();
  peer_.Reply(peer_.WaitForCall(1), "reply");
  peer_.Flush();
  EndpointPeek::WaitForParked(*endpoint_, 1);
  EXPECT_FALSE(script_->receiving());
  go_on.Open();
  caller.join();
  EXPECT_EQ(call.reply, "reply");  // the frames have long been released
  EXPECT_NE(call.thread, caller.get_id());
}

TEST_F(ReaderRoleTest, AWaitBeginsAsleepWhileAnotherThreadHandsOnEvents) {
  TestCall slow(endpoint_), call(endpoint_);
  Gate inside, go_on;
  slow.hook = [&inside, &go_on](Event&) {
    inside.Open();
    go_on.Wait();
  };
  ASSERT_OK(slow.Open("slow"));
  slow.Cancel();
  inside.Wait();
  std::thread caller([&call] { EXPECT_OK(call.Call("request")); });
  EndpointPeek::WaitForParked(*endpoint_, 1);
  EXPECT_FALSE(script_->receiving());
  go_on.Open();
  script_->WaitForReceiver(caller.get_id());  // promoted at the end of the batch
  peer_.Reply(peer_.WaitForCall(1), "reply");
  peer_.Flush();
  caller.join();
}

TEST_F(ReaderRoleTest, ACancelledCallEndsThoughItsThreadSleepsInTheTransport) {
  TestCall call(endpoint_);
  std::thread caller([&call] {
    EXPECT_THAT(call.Call("request", /*cancellable=*/true), StatusIs(absl::StatusCode::kCancelled));
  });
  script_->WaitForReceiver(caller.get_id());
  call.Cancel();
  caller.join();
}

TEST_F(ReaderRoleTest, ADeadlineWakesTheReader) {
  TestCall call(endpoint_);
  ASSERT_OK(call.Open("request", std::chrono::steady_clock::now() + std::chrono::milliseconds(30)));
  endpoint_->Await(call.ended, false);
  EXPECT_THAT(call.status, StatusIs(absl::StatusCode::kDeadlineExceeded));
}

// A frame may give cause to send just as its reader gives the role up: nobody else would know.
TEST_F(ReaderRoleTest, WhatWasReadIsActedOnBeforeTheRoleIsGivenUp) {
  TestCall first(endpoint_), second(endpoint_);
  std::thread reader([&first] { EXPECT_OK(first.Call("1")); });
  script_->WaitForReceiver(reader.get_id());
  endpoint_->BeginAsync();
  ASSERT_OK(second.Open(std::string(300 << 10, 'x')));  // waits for the peer's HELLO
  peer_.Reply(peer_.WaitForCall(1), "2");
  peer_.Reply(peer_.WaitForCall(0), "1");
  peer_.Flush();
  reader.join();
  second.over.WaitForNotification();
  EXPECT_EQ(second.reply, "2");
  endpoint_->EndAsync();
}

}  // namespace
}  // namespace anywire::test
