#include "runtime/endpoint/endpoint.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/endpoint/testing.h"
#include "runtime/protocol/wire_protocol.h"
#include "tests/support/gate.h"
#include "tests/support/status_matchers.h"
#include "tests/support/watchdog.h"

namespace anywire {
namespace test {

class EndpointPeek {
 public:
  // Waits until so many threads sleep in Await because others have the roles.
  static void WaitForParked(Endpoint& endpoint, int count) {
    WaitUntil(endpoint, [&endpoint, count]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      int found = 0;
      for (auto* it = endpoint.parked_; it != nullptr; it = it->next_parked_) ++found;
      return found == count;
    });
  }
  static void WaitForDispatcher(Endpoint& endpoint, bool any) {
    WaitUntil(endpoint, [&endpoint, any]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return endpoint.dispatching_ == any;
    });
  }

 private:
  // Looks again and again, as the endpoint's mutex knows no conditions; bounded by the test's own time.
  template <typename Condition>
  static void WaitUntil(Endpoint& endpoint, Condition condition) {
    for (;;) {
      {
        MutexLock lock(&endpoint.mutex_);
        if (condition()) return;
      }
      std::this_thread::yield();
    }
  }
};

namespace {

using protocol::Event;
using protocol::Instant;
using protocol::Protocol;
using ::testing::HasSubstr;

constexpr absl::Duration kLimit = absl::Seconds(30);
constexpr absl::string_view kMethod = "test.Service/Method";

protocol::Payload PayloadOf(const std::string& bytes) {
  return {.size = bytes.size(),
          .object = bytes.data(),
          .write = [](const void* object, uint8_t* to, size_t size) {
            if (size != 0) std::memcpy(to, object, size);
          }};
}

// A call on the client, of which everything that happens is noted.
class TestCall final : public CallSink {
 public:
  explicit TestCall(std::shared_ptr<Endpoint> endpoint) : endpoint_(std::move(endpoint)) {}

  absl::Status Open(const std::string& request, Instant deadline = Instant::max()) {
    const protocol::Payload payload = PayloadOf(request);
    return DoOpen(&payload, deadline);
  }
  // Without a request; more is sent by Send.
  absl::Status OpenStream() { return DoOpen(nullptr, Instant::max()); }
  protocol::SendResult Send(const std::string& message) {
    return endpoint_->Run([this, &message](Protocol& protocol, Protocol::Events&) {
      return protocol.Send(id_, PayloadOf(message));
    });
  }
  void Cancel() {
    endpoint_->Run([this](Protocol& protocol, Protocol::Events& events) {
      protocol.Cancel(id_, absl::CancelledError("by the test"), events);
    });
  }

  // Opens the call and waits for its end on this thread; the status.
  absl::Status Call(const std::string& request, bool cancellable = false) {
    if (absl::Status status = Open(request); !status.ok()) return status;
    endpoint_->Await(ended, cancellable);
    return status;
  }

  // Runs in OnEvent, before anything is noted.
  std::function<void(Event&)> hook;
  BlockingOperation ended;
  BlockingOperation writable;
  absl::Notification over;  // after `ended`
  std::string reply;
  absl::Status status;
  std::thread::id thread;  // of the last event

 private:
  absl::Status DoOpen(const protocol::Payload* payload, Instant deadline) {
    return endpoint_->Run([this, payload, deadline](Protocol& protocol, Protocol::Events&) {
      bool queued = false;
      absl::StatusOr<protocol::CallId> id =
          protocol.Open({.tag = static_cast<CallSink*>(this),
                         .method = {.full_name = kMethod, .index = 1},
                         .deadline = deadline,
                         .message = payload,
                         .half_close = payload != nullptr},
                        std::chrono::steady_clock::now(), &queued);
      if (id.ok()) id_ = *id;
      return id.status();
    });
  }

  void OnEvent(Event& event) override {
    thread = std::this_thread::get_id();
    if (hook) hook(event);
    if (event.bits & Event::kMessage) {
      reply.append(event.message.bytes.begin(), event.message.bytes.end());
      if ((event.bits & Event::kFinished) == 0) {
        endpoint_->Run([this, &event](Protocol& protocol, Protocol::Events&) {
          protocol.Consumed(id_, event.message.bytes.size());
        });
      }
    }
    if (event.bits & Event::kWritable) writable.Done(true);
    if (event.bits & Event::kFinished) {
      if (event.final != nullptr) status = event.final->status;
      endpoint_->Run(
          [this](Protocol& protocol, Protocol::Events& events) { protocol.Release(id_, events); });
      ended.Done(status.ok());
      over.Notify();
    }
  }

  const std::shared_ptr<Endpoint> endpoint_;
  protocol::CallId id_;
};

class EndpointTest : public ::testing::Test {
 protected:
  EndpointTest() : watchdog_(TestName(), kLimit), peer_(script_) {
    limits_.keepalive_time = std::chrono::hours(1);
    limits_.handshake_timeout = std::chrono::hours(1);
    endpoint_ = Endpoint::Start(
        loop_, std::make_unique<ScriptedConnection>(loop_, script_), Endpoint::Role::kClient,
        nullptr,
        [this](Connection& connection) {
          return protocol::MakeWireClient(connection, connection.info().max_frame_size, limits_,
                                          std::chrono::steady_clock::now());
        },
        [this](const absl::Status& why) {
          EXPECT_TRUE(loop_.IsCurrent());
          lost_why_ = why;
          EXPECT_FALSE(lost_.HasBeenNotified());
          lost_.Notify();
        });
    peer_.ReadMore();  // the hello
  }
  ~EndpointTest() override {
    if (endpoint_ != nullptr) endpoint_->Close(absl::CancelledError("the test ends"));
    endpoint_ = nullptr;
    script_->WaitUntilDestroyed();
  }

  static std::string TestName() {
    return ::testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  // Waits until the loop has done what was posted to it before.
  void SettleLoop() {
    loop_.RunAndWait([] {});
  }

  Watchdog watchdog_;
  EventLoop loop_{"test-loop"};
  protocol::Limits limits_;
  const std::shared_ptr<ConnectionScript> script_ = std::make_shared<ConnectionScript>();
  ScriptedPeer peer_;
  absl::Notification lost_;
  absl::Status lost_why_;
  std::shared_ptr<Endpoint> endpoint_;
};

// ---- the reader's role

TEST_F(EndpointTest, AWaitingThreadReceivesItself) {
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

TEST_F(EndpointTest, WithoutAReaderTheLoopTakesOverSoon) {
  script_->WaitUntilWatched();
  script_->EndReceive(absl::UnavailableError("closed by peer"));
  lost_.WaitForNotification();
  EXPECT_THAT(lost_why_, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("closed by peer")));
  EXPECT_TRUE(endpoint_->retired());
}

TEST_F(EndpointTest, AThreadTakesTheRoleFromTheLoop) {
  script_->WaitUntilWatched();
  TestCall call(endpoint_);
  std::thread caller([&call] { EXPECT_OK(call.Call("request")); });
  script_->WaitForReceiver(caller.get_id());
  EXPECT_FALSE(script_->watched());
  peer_.Reply(peer_.WaitForCall(0), "reply");
  peer_.Flush();
  caller.join();
}

TEST_F(EndpointTest, TheReaderHandsOnOthersAnswersAndPassesItsRole) {
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
TEST_F(EndpointTest, TheReaderDoesNotSleepWhileAnotherThreadHandsOnItsAnswer) {
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

TEST_F(EndpointTest, AWaitBeginsAsleepWhileAnotherThreadHandsOnEvents) {
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

TEST_F(EndpointTest, ACancelledCallEndsThoughItsThreadSleepsInTheTransport) {
  TestCall call(endpoint_);
  std::thread caller([&call] {
    EXPECT_THAT(call.Call("request", /*cancellable=*/true), StatusIs(absl::StatusCode::kCancelled));
  });
  script_->WaitForReceiver(caller.get_id());
  call.Cancel();
  caller.join();
}

TEST_F(EndpointTest, ADeadlineWakesTheReader) {
  TestCall call(endpoint_);
  ASSERT_OK(call.Open("request", std::chrono::steady_clock::now() + std::chrono::milliseconds(30)));
  endpoint_->Await(call.ended, false);
  EXPECT_THAT(call.status, StatusIs(absl::StatusCode::kDeadlineExceeded));
}

// ---- flow control and sending

// Credit that the reader itself receives lets the pump write the rest of a message; nobody else is
// there to say so.
TEST_F(EndpointTest, TheReaderHandsOnWhatItsPumpBrings) {
  TestCall call(endpoint_);
  ASSERT_OK(call.OpenStream());
  // More than the windows: the peer has to grant it piece by piece.
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

TEST_F(EndpointTest, AWriterThatWaitsForRoomLeavesTheConnectionToTheLoop) {
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

TEST_F(EndpointTest, WhatAShortWriteLeavesIsSentWhenThereIsRoom) {
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
TEST_F(EndpointTest, OneThreadTransmitsForAll) {
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

TEST_F(EndpointTest, AfterAFailedTransmitTheReaderStillReadsWhatHadCome) {
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

// ---- the end

TEST_F(EndpointTest, ALostConnectionEndsTheCallsOfThreadsThatWait) {
  TestCall first(endpoint_), second(endpoint_);
  std::thread reader(
      [&first] { EXPECT_THAT(first.Call("1"), StatusIs(absl::StatusCode::kUnavailable)); });
  script_->WaitForReceiver(reader.get_id());
  std::thread parked(
      [&second] { EXPECT_THAT(second.Call("2"), StatusIs(absl::StatusCode::kUnavailable)); });
  EndpointPeek::WaitForParked(*endpoint_, 1);
  script_->EndReceive(absl::UnavailableError("closed by peer"));
  reader.join();
  parked.join();
  lost_.WaitForNotification();
  EXPECT_TRUE(endpoint_->retired());
  EXPECT_THAT(TestCall(endpoint_).Open("3"), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(EndpointTest, CloseWakesTheReader) {
  TestCall call(endpoint_);
  std::thread reader(
      [&call] { EXPECT_THAT(call.Call("1"), StatusIs(absl::StatusCode::kUnavailable)); });
  script_->WaitForReceiver(reader.get_id());
  endpoint_->Close(absl::CancelledError("enough"));
  reader.join();
  lost_.WaitForNotification();
  EXPECT_THAT(lost_why_, StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(EndpointTest, CloseInsideACallback) {
  TestCall first(endpoint_), second(endpoint_);
  first.hook = [this](Event&) { endpoint_->Close(absl::CancelledError("from inside")); };
  endpoint_->BeginAsync();
  ASSERT_OK(second.Open("2"));
  ASSERT_OK(first.Open("1"));
  peer_.Reply(peer_.WaitForCall(1), "reply");
  peer_.Flush();
  first.over.WaitForNotification();
  EXPECT_OK(first.status);
  second.over.WaitForNotification();
  EXPECT_FALSE(second.status.ok());
  lost_.WaitForNotification();
}

TEST_F(EndpointTest, TheOwnerHearsOfTheEndWhenEveryCallHas) {
  TestCall call(endpoint_);
  Gate inside, go_on;
  call.hook = [&inside, &go_on](Event&) {
    inside.Open();
    go_on.Wait();
  };
  std::thread reader([&call] { EXPECT_FALSE(call.Call("1").ok()); });
  script_->WaitForReceiver(reader.get_id());
  script_->EndReceive(absl::UnavailableError("closed by peer"));
  inside.Wait();
  SettleLoop();
  SettleLoop();
  EXPECT_FALSE(lost_.HasBeenNotified());
  go_on.Open();
  reader.join();
  lost_.WaitForNotification();
}

// While the connection is being lost the lock is not held throughout: nobody else may hand on
// messages that lie in frames of the reader.
TEST_F(EndpointTest, MessagesInFramesStayWithTheReaderWhenTheConnectionEnds) {
  TestCall call(endpoint_);
  ASSERT_OK(call.Open("request"));
  peer_.Reply(peer_.WaitForCall(0), "reply");
  std::vector<TestFrame> frames = peer_.TakeFrames();
  frames.push_back({0, "\x7f no such frame"});
  std::atomic<bool> goodbye{false};
  script_->SetTransmitHook([this, &goodbye] {
    if (goodbye.exchange(true)) return;
    endpoint_->Run([](Protocol&, Protocol::Events&) {});
    SettleLoop();
  });
  std::thread reader([this, &call] { endpoint_->Await(call.ended, false); });
  script_->WaitForReceiver(reader.get_id());
  script_->Deliver(std::move(frames));
  const std::thread::id id = reader.get_id();
  reader.join();
  EXPECT_TRUE(goodbye);
  EXPECT_OK(call.status);
  EXPECT_EQ(call.reply, "reply");
  EXPECT_EQ(call.thread, id);
  script_->WaitUntilAborted();
}

// Holds the last reference and lets go of it when its call ends.
class LastUser final : public CallSink {
 public:
  LastUser(std::shared_ptr<Endpoint> endpoint, ConnectionScript& script)
      : endpoint_(std::move(endpoint)), script_(script) {}
  void Open(std::shared_ptr<Endpoint>* other) {
    endpoint_->BeginAsync();
    Endpoint& endpoint = *endpoint_;
    const auto keep = *other;
    endpoint.Run([this](Protocol& protocol, Protocol::Events&) {
      bool queued = false;
      const std::string request = "request";
      const protocol::Payload payload = PayloadOf(request);
      id_ = *protocol.Open({.tag = static_cast<CallSink*>(this),
                            .method = {.full_name = kMethod, .index = 1},
                            .message = &payload,
                            .half_close = true},
                           std::chrono::steady_clock::now(), &queued);
    });
    *other = nullptr;
  }
  absl::Notification released;

 private:
  void OnEvent(Event&) override {
    endpoint_->Run(
        [this](Protocol& protocol, Protocol::Events& events) { protocol.Release(id_, events); });
    EXPECT_EQ(endpoint_.use_count(), 2);  // and the loop's, inside OnReadable
    endpoint_ = nullptr;
    EXPECT_FALSE(script_.destroyed());
    released.Notify();
  }
  std::shared_ptr<Endpoint> endpoint_;
  ConnectionScript& script_;
  protocol::CallId id_;
};

TEST_F(EndpointTest, ReleasedInsideItsOwnEvents) {
  LastUser user(endpoint_, *script_);
  user.Open(&endpoint_);
  peer_.Reply(peer_.WaitForCall(0), "reply");
  peer_.Flush();
  user.released.WaitForNotification();
  script_->WaitUntilDestroyed();
  EXPECT_FALSE(lost_.HasBeenNotified());
}

// ---- callbacks

class NotedOperation final : public Operation {
 public:
  void Done(bool) override {
    thread = std::this_thread::get_id();
    done.Notify();
  }
  std::thread::id thread;
  absl::Notification done;
};

TEST_F(EndpointTest, UserCodeDoesNotRunOnAThreadThatIsInABlockingCall) {
  TestCall blocking(endpoint_), async(endpoint_);
  NotedOperation operation;
  async.hook = [this, &operation](Event& event) {
    if (event.bits & Event::kFinished) {
      endpoint_->EndAsync();
      endpoint_->Complete(operation, true);
    }
  };
  std::thread caller([&blocking] { EXPECT_OK(blocking.Call("1")); });
  script_->WaitForReceiver(caller.get_id());
  endpoint_->BeginAsync();
  ASSERT_OK(async.Open("2"));
  // The reader is asleep and gets this frame, but its user's code is for the loop.
  peer_.Reply(peer_.WaitForCall(1), "reply");
  peer_.Flush();
  operation.done.WaitForNotification();
  EXPECT_EQ(async.thread, caller.get_id());
  std::thread::id loop_thread;
  loop_.RunAndWait([&loop_thread] { loop_thread = std::this_thread::get_id(); });
  EXPECT_EQ(operation.thread, loop_thread);
  async.over.WaitForNotification();

  peer_.Reply(peer_.WaitForCall(0), "reply");
  peer_.Flush();
  caller.join();
}

TEST_F(EndpointTest, WhileAnOperationIsAsynchronousTheLoopReads) {
  TestCall blocking(endpoint_), async(endpoint_);
  endpoint_->BeginAsync();
  ASSERT_OK(async.Open("1"));
  script_->WaitUntilWatched();
  std::thread caller([&blocking] { EXPECT_OK(blocking.Call("2")); });
  EndpointPeek::WaitForParked(*endpoint_, 1);
  peer_.Reply(peer_.WaitForCall(1), "reply");
  peer_.Flush();
  caller.join();
  EXPECT_NE(blocking.thread, std::this_thread::get_id());
  peer_.Reply(peer_.WaitForCall(0), "reply");
  peer_.Flush();
  async.over.WaitForNotification();
  endpoint_->EndAsync();
}

TEST_F(EndpointTest, CompletionsStayInOrderWhenSomeArePosted) {
  Gate in_loop, posted;
  NotedOperation first, second;
  loop_.Post([this, &in_loop, &posted, &first, &second] {
    in_loop.Open();
    posted.Wait();
    endpoint_->Complete(second, true);
    EXPECT_FALSE(first.done.HasBeenNotified());
    EXPECT_FALSE(second.done.HasBeenNotified());
  });
  in_loop.Wait();
  {
    const Endpoint::ScopedBorrow borrow;
    endpoint_->Complete(first, true);
  }
  posted.Open();
  second.done.WaitForNotification();
  EXPECT_TRUE(first.done.HasBeenNotified());
}

TEST_F(EndpointTest, ABlockingOperationCompletesOnAnyThread) {
  BlockingOperation operation;
  {
    const Endpoint::ScopedBorrow borrow;
    endpoint_->Complete(operation, true);
  }
  endpoint_->Await(operation, false);
  EXPECT_TRUE(operation.ok());
}

TEST_F(EndpointTest, CommandsOfABatchLeaveTogether) {
  TestCall first(endpoint_), second(endpoint_);
  std::vector<std::unique_ptr<TestCall>> more;
  for (TestCall* call : {&first, &second}) {
    call->hook = [this, &more](Event&) {
      more.push_back(std::make_unique<TestCall>(endpoint_));
      ASSERT_OK(more.back()->Open("next"));
      EXPECT_EQ(Endpoint::Dispatching(), endpoint_.get());
    };
  }
  endpoint_->BeginAsync();
  ASSERT_OK(first.Open("1"));
  ASSERT_OK(second.Open("2"));
  peer_.WaitForCall(1);
  SettleLoop();
  const uint64_t transmits = script_->transmits();
  peer_.Reply(peer_.WaitForCall(0), "");
  peer_.Reply(peer_.WaitForCall(1), "");
  peer_.Flush();
  peer_.WaitForCall(3);
  SettleLoop();
  EXPECT_EQ(script_->transmits(), transmits + 1);
  for (auto& call : more) call->Cancel();
  for (auto& call : more) call->over.WaitForNotification();
  endpoint_->EndAsync();
}

TEST_F(EndpointTest, ADrainingPeerRetiresTheConnectionAtOnceEvenInsideACallback) {
  TestCall call(endpoint_);
  bool retired = false;
  call.hook = [this, &retired](Event&) { retired = endpoint_->retired(); };
  endpoint_->BeginAsync();
  ASSERT_OK(call.Open("1"));
  peer_.WaitForCall(0);
  peer_.Drain();
  peer_.Reply(peer_.WaitForCall(0), "the last");
  peer_.Flush();
  call.over.WaitForNotification();
  EXPECT_TRUE(retired);
  EXPECT_OK(call.status);
  endpoint_->EndAsync();
}

TEST_F(EndpointTest, OnRuntimeThread) {
  EXPECT_FALSE(Endpoint::OnRuntimeThread());
  loop_.RunAndWait([] { EXPECT_TRUE(Endpoint::OnRuntimeThread()); });
  TestCall call(endpoint_);
  call.hook = [](Event&) { EXPECT_TRUE(Endpoint::OnRuntimeThread()); };
  std::thread caller([&call] { EXPECT_OK(call.Call("1")); });
  peer_.Reply(peer_.WaitForCall(0), "");
  peer_.Flush();
  caller.join();
  EXPECT_FALSE(Endpoint::OnRuntimeThread());
}

}  // namespace
}  // namespace test
}  // namespace anywire
