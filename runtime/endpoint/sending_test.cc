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

// One that would wait in pieces anyway; others are written to where they travel.
TEST_F(SendingTest, AMessageOfMoreThanAPieceIsWrittenAhead) {
  const size_t piece = endpoint_->info().piece_size;
  for (const size_t size : {piece - 1, piece, piece + 1}) {
    const std::string text(size, 'm');
    const protocol::Payload payload = PayloadOf(text);
    endpoint_->WriteAhead(payload);
    EXPECT_EQ(payload.ahead != nullptr, size > piece) << size;
  }
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

// A reply may come before its request has left in full, and to a thread that does not send.
TEST_F(SendingTest, ACallerThatWaitsForRoomReturnsWithTheReplyThatAnotherReads) {
  TestCall reading(endpoint_), waiting(endpoint_), late(endpoint_);
  std::thread reader([&reading] { EXPECT_OK(reading.Call("1")); });
  const std::thread::id reader_id = reader.get_id();
  script_->WaitForReceiver(reader_id);
  script_->BlockAfter(1);
  script_->MakeSendersWait();
  std::thread caller([&waiting] { EXPECT_OK(waiting.CallInOne(std::string(10'000, '2'))); });
  script_->WaitForWaitingSender();
  ASSERT_OK(late.Open("3"));  // leaves it to the thread that waits
  while (peer_.calls() < 2) peer_.ReadMore();
  peer_.Reply(peer_.CallAt(1), "early");
  peer_.Flush();
  waiting.over.WaitForNotification();
  EXPECT_EQ(waiting.thread, reader_id);
  script_->LetSendersLookUp();
  caller.join();
  EXPECT_EQ(waiting.reply, "early");

  script_->Unblock();
  EXPECT_EQ(peer_.WaitForCall(2).messages[0], "3");
  EXPECT_EQ(peer_.WaitForCall(0).messages[0], "1");
  for (const size_t call : {0, 2}) peer_.Reply(peer_.CallAt(call), "reply");
  peer_.Flush();
  reader.join();
  endpoint_->Await(late.ended, false);
  EXPECT_EQ(late.reply, "reply");
}

TEST_F(SendingTest, ACallerThatWaitsForRoomHearsThatItsCallIsCancelled) {
  script_->WaitUntilWatched();  // so that the loop has no cause to look at the endpoint
  script_->BlockAfter(0);
  script_->MakeSendersWait();
  TestCall call(endpoint_);
  std::thread caller(
      [&call] { EXPECT_THAT(call.CallInOne("request"), StatusIs(absl::StatusCode::kCancelled)); });
  script_->WaitForWaitingSender();
  call.Cancel();
  call.over.WaitForNotification();
  script_->LetSendersLookUp();
  caller.join();
  script_->Unblock();
  peer_.WaitForCancel(0);
}

// Room lets a message leave that had waited; its writer hears of it though the thread that sent it
// waits for room again.
TEST_F(SendingTest, ACallerThatWaitsForRoomHandsOnWhatItsPumpBrings) {
  TestCall stream(endpoint_), waiting(endpoint_);
  absl::Notification writable;
  stream.hook = [&writable](Event& event) {
    if (event.bits & Event::kWritable) writable.Notify();
  };
  ASSERT_OK(stream.OpenStream());
  script_->WaitUntilWatched();  // as above
  HeldTransmit held(*script_);
  std::thread caller([&waiting] { EXPECT_OK(waiting.CallInOne("request")); });
  held.WaitUntilInside();
  script_->SetRoom(1);
  ASSERT_EQ(stream.Send("message"), protocol::SendResult::kQueued);
  script_->BlockAfter(1);  // that is the request
  script_->MakeSendersWait();
  held.GoOn();
  script_->WaitForWaitingSender();
  writable.WaitForNotification();

  script_->Unblock();
  peer_.Reply(peer_.WaitForCall(1), "reply");
  peer_.Flush();
  caller.join();
  while (peer_.CallAt(0).messages.empty()) peer_.ReadMore();
  EXPECT_EQ(peer_.CallAt(0).messages[0], "message");
  stream.Cancel();
  stream.over.WaitForNotification();
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

// The thread that reads already hears of the credit, and goes on reading for itself.
TEST_F(SendingTest, AWriterThatWaitsForCreditLeavesItToTheThreadThatReads) {
  TestCall reading(endpoint_), stream(endpoint_);
  std::thread reader([&reading] { EXPECT_OK(reading.Call("1")); });
  const std::thread::id reader_id = reader.get_id();
  script_->WaitForReceiver(reader_id);
  ASSERT_OK(stream.OpenStream());
  int messages = 0;
  for (protocol::SendResult result = protocol::SendResult::kSent;
       result == protocol::SendResult::kSent; ++messages) {
    ASSERT_LT(messages, 1000);
    result = stream.Send(std::string(500, 'm'));
  }
  std::thread writer([this, &stream] { endpoint_->AwaitRoom(stream.writable); });
  EndpointPeek::WaitForParked(*endpoint_, 1);
  peer_.WaitForCall(0);
  while (peer_.calls() < 2 || peer_.CallAt(1).messages.size() + 1 < static_cast<size_t>(messages)) {
    peer_.ReadMore();
  }
  peer_.Flush();
  writer.join();
  script_->WaitForReceiver(reader_id);
  EXPECT_FALSE(script_->watched());
  peer_.Reply(peer_.CallAt(0), "reply");
  peer_.Flush();
  reader.join();
  stream.Cancel();
  stream.over.WaitForNotification();
}

// A message that leaves while its command is carried out: to wake the loop for that would cost more
// than to send it.
TEST_F(SendingTest, WhoStartsWhatItWaitsForHandsOnWhatComesOfIt) {
  TestCall first(endpoint_), stream(endpoint_);
  std::thread caller([&first] { EXPECT_OK(first.Call("1")); });
  peer_.Reply(peer_.WaitForCall(0), "reply");
  peer_.Flush();
  caller.join();  // the peer's HELLO has come, too
  ASSERT_OK(stream.OpenStream());
  const std::string message(endpoint_->info().piece_size + 1, 'm');
  Gate loop_is_held, loop_goes_on;
  endpoint_->loop().Post([&] {
    loop_is_held.Open();
    loop_goes_on.Wait();
  });
  loop_is_held.Wait();
  {
    const Endpoint::ScopedBorrow borrow;
    ASSERT_EQ(endpoint_->RunAndDispatch(stream.SendCommand(message)),
              protocol::SendResult::kQueued);
  }
  EXPECT_EQ(stream.thread, std::this_thread::get_id());
  endpoint_->AwaitRoom(stream.writable);
  EXPECT_TRUE(stream.writable.ok());

  // What comes of another's command is still for the loop.
  absl::Notification writable;
  stream.hook = [&writable](Event& event) {
    if (event.bits & Event::kWritable) writable.Notify();
  };
  ASSERT_EQ(stream.Send(message), protocol::SendResult::kQueued);
  EXPECT_FALSE(writable.HasBeenNotified());
  loop_goes_on.Open();
  writable.WaitForNotification();
  stream.hook = nullptr;
  stream.Cancel();
  stream.over.WaitForNotification();
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
  HeldTransmit held(*script_);
  TestCall first(endpoint_), second(endpoint_);
  std::thread transmitter([&first] { ASSERT_OK(first.Open("1")); });
  held.WaitUntilInside();
  ASSERT_OK(second.Open("2"));  // does not wait
  EXPECT_EQ(held.rounds(), 1);
  held.GoOn();
  transmitter.join();
  EXPECT_EQ(held.rounds(), 2);
  EXPECT_EQ(peer_.WaitForCall(1).messages[0], "2");
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
