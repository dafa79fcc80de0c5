// Channels and unary calls over a transport that does what the test says.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "anywire/async_streams.h"
#include "anywire/cancellation.h"
#include "anywire/channel.h"
#include "anywire/delivery.h"
#include "anywire/interceptor.h"
#include "anywire/runtime.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.pb.h"
#include "gtest/gtest.h"
#include "runtime/client/testing.h"
#include "runtime/client/unary_call.h"
#include "runtime/config/config.h"
#include "tests/support/status_matchers.h"
#include "tests/support/watchdog.h"

namespace anywire::test {
namespace {

using absl::StatusCode;
using google::protobuf::StringValue;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
// A message with required fields.
using Demanding = google::protobuf::UninterpretedOption::NamePart;

// The template that users see and the runtime's class have names of their own: this file sees both.
static_assert(!std::is_base_of_v<UnaryCallBase, UnaryCall<StringValue, StringValue>>);

constinit const Method kUnary("test.Service/Unary", CallShape::kUnary);
constinit const Method kHurried("test.Service/Hurried", CallShape::kUnary, absl::Milliseconds(20));

config::Config ConfigOf(absl::string_view text) {
  absl::StatusOr<config::Config> config =
      config::ParseConfig(text, config::Format::kText, "test.textproto");
  EXPECT_OK(config);
  return *std::move(config);
}

class ClientTest : public ::testing::Test {
 protected:
  ClientTest()
      : watchdog_(::testing::UnitTest::GetInstance()->current_test_info()->name(),
                  absl::Seconds(30)) {
    Configure("runtime { io_threads: 1 }");
  }

  void Configure(absl::string_view text) {
    channel_.reset();
    TransportRegistry registry;
    EXPECT_OK(registry.Register(std::make_unique<ScriptedTransport>(dials_)));
    runtime_ = std::make_unique<Runtime>(std::move(registry), ConfigOf(text));
    channel_.emplace(*runtime_, "scripted:peer");
    absl::Notification asked;
    channel_->RunLater([this, &asked] {
      loop_thread_ = std::this_thread::get_id();
      asked.Notify();
    });
    asked.WaitForNotification();
  }

  // A blocking call.
  absl::StatusOr<std::string> Call(const std::string& request, const CallOptions& options = {}) {
    StringValue reply;
    absl::Status status = channel_->Call(kUnary, Text(request), &reply, options);
    if (!status.ok()) return status;
    return reply.value();
  }

  // An asynchronous one.
  struct AsyncCall {
    StringValue reply;
    absl::Status status;
    NotedOperation done;
  };
  std::unique_ptr<AsyncCall> StartCall(const std::string& request,
                                       const CallOptions& options = {}) {
    auto call = std::make_unique<AsyncCall>();
    channel_->StartCall(kUnary, Text(request), &call->reply, &call->status, options, call->done);
    return call;
  }
  // Its status; it must have come on the loop's thread.
  absl::Status StatusOf(AsyncCall& call) {
    const bool ok = call.done.ok();
    EXPECT_EQ(ok, call.status.ok());
    EXPECT_EQ(call.done.thread(), loop_thread_);
    return call.status;
  }

  // Waits until the loop has done what it was asked before.
  void SettleLoop() {
    absl::Notification settled;
    channel_->RunLater([&settled] { settled.Notify(); });
    settled.WaitForNotification();
  }

  Watchdog watchdog_;
  DialLog dials_;
  std::unique_ptr<Runtime> runtime_;
  std::optional<Channel> channel_;
  std::thread::id loop_thread_;
};

// ---- connecting

TEST_F(ClientTest, ManyCallsOneConnection) {
  auto first = StartCall("1");
  auto second = StartCall("2");
  ScriptedPeer peer(dials_.Accept(0));
  peer.WaitForCall(1);
  for (size_t i = 0; i < 2; ++i) {
    auto& call = peer.WaitForCall(i);
    peer.Reply(call, call.messages[0]);
  }
  peer.Flush();
  EXPECT_OK(StatusOf(*first));
  EXPECT_OK(StatusOf(*second));
  EXPECT_EQ(first->reply.value(), "1");
  EXPECT_EQ(second->reply.value(), "2");
  EXPECT_EQ(peer.WaitForCall(0).messages[0], Bytes("1"));  // in the order of the calls
  EXPECT_EQ(dials_.dials(), 1u);
}

TEST_F(ClientTest, AFailureToConnectEndsAllWhoWait) {
  auto first = StartCall("1");
  auto second = StartCall("2");
  std::atomic<bool> third_ended = false;
  std::thread caller([this, &third_ended] {
    EXPECT_THAT(Call("3"), StatusIs(StatusCode::kUnavailable));
    third_ended = true;
  });
  dials_.Refuse(0, absl::UnavailableError("connection refused"));
  EXPECT_THAT(StatusOf(*first),
              StatusIs(StatusCode::kUnavailable, HasSubstr("scripted:peer: connection refused")));
  EXPECT_THAT(first->status, Delivered(Delivery::kNotSent));
  EXPECT_THAT(StatusOf(*second), StatusIs(StatusCode::kUnavailable));
  // The third may have come too late for that attempt.
  bool refused = false;
  while (!third_ended) {
    if (!refused && dials_.dials() > 1) {
      dials_.Refuse(1, absl::UnavailableError("again"));
      refused = true;
    }
    std::this_thread::yield();
  }
  caller.join();
}

TEST_F(ClientTest, TheNextCallTriesAgain) {
  auto first = StartCall("1");
  dials_.Refuse(0, absl::UnavailableError("connection refused"));
  EXPECT_FALSE(StatusOf(*first).ok());
  auto second = StartCall("2");
  ScriptedPeer peer(dials_.Accept(1));
  peer.Reply(peer.WaitForCall(0), Bytes("reply"));
  peer.Flush();
  EXPECT_OK(StatusOf(*second));
}

TEST_F(ClientTest, ADeadlinePassesWhileConnecting) {
  const CallOptions options = {.timeout = absl::Milliseconds(20)};
  auto async = StartCall("1", options);
  const absl::Status blocking = Call("2", options).status();
  EXPECT_THAT(blocking, StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_THAT(blocking, Delivered(Delivery::kNotSent));
  EXPECT_THAT(StatusOf(*async), StatusIs(StatusCode::kDeadlineExceeded));
  // The attempt goes on for others.
  auto patient = StartCall("3");
  ScriptedPeer peer(dials_.Accept(0));
  EXPECT_EQ(peer.WaitForCall(0).messages[0], Bytes("3"));
  peer.Reply(peer.WaitForCall(0), Bytes("reply"));
  peer.Flush();
  EXPECT_OK(StatusOf(*patient));
}

TEST_F(ClientTest, AMethodsDefaultTimeoutHolds) {
  StringValue reply;
  EXPECT_THAT(channel_->Call(kHurried, Text("1"), &reply, {}),
              StatusIs(StatusCode::kDeadlineExceeded));
}

TEST_F(ClientTest, ACallWithoutTimeDoesNotConnect) {
  const CallOptions options = {.timeout = absl::ZeroDuration()};
  EXPECT_THAT(Call("1", options), StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_THAT(StatusOf(*StartCall("2", options)), StatusIs(StatusCode::kDeadlineExceeded));
  SettleLoop();
  EXPECT_EQ(dials_.dials(), 0u);
}

TEST_F(ClientTest, AnAttemptToConnectIsGivenUp) {
  Configure(R"(runtime { io_threads: 1 connect_timeout: "20ms" })");
  auto call = StartCall("1");
  EXPECT_THAT(StatusOf(*call),
              StatusIs(StatusCode::kUnavailable, HasSubstr("no connection within 20ms")));
  dials_.WaitUntilAbandoned(0);
}

TEST_F(ClientTest, CancelledWhileConnecting) {
  CancellationSource source;
  const CallOptions options = {.cancellation = &source.token()};
  auto async = StartCall("1", options);
  std::thread caller([this, &options] {
    const absl::Status status = Call("2", options).status();
    EXPECT_THAT(status, StatusIs(StatusCode::kCancelled));
    EXPECT_THAT(status, Delivered(Delivery::kNotSent));
  });
  dials_.WaitForDial(0);
  source.Cancel();
  caller.join();
  EXPECT_THAT(StatusOf(*async), StatusIs(StatusCode::kCancelled));
  EXPECT_THAT(async->status, Delivered(Delivery::kNotSent));
}

TEST_F(ClientTest, CancelledBeforeItsStartACallSendsNothing) {
  auto first = StartCall("1");
  const auto script = dials_.Accept(0);
  ScriptedPeer peer(script);
  peer.WaitForCall(0);
  CancellationSource source;
  source.Cancel();
  const CallOptions options = {.cancellation = &source.token()};
  const absl::Status blocking = Call("2", options).status();
  EXPECT_THAT(blocking, StatusIs(StatusCode::kCancelled));
  EXPECT_THAT(blocking, Delivered(Delivery::kNotSent));
  auto async = StartCall("3", options);
  EXPECT_THAT(StatusOf(*async), StatusIs(StatusCode::kCancelled));
  EXPECT_THAT(async->status, Delivered(Delivery::kNotSent));
  peer.ReadNow();
  EXPECT_EQ(peer.calls(), 1u);
  peer.Reply(peer.WaitForCall(0), "");
  peer.Flush();
  EXPECT_OK(StatusOf(*first));
}

TEST_F(ClientTest, NoMoreThanMaxWaitingCallsWait) {
  Configure("runtime { io_threads: 1 } limits { max_waiting_calls: 2 }");
  auto first = StartCall("1");
  auto second = StartCall("2");
  auto third = StartCall("3");
  EXPECT_THAT(StatusOf(*third),
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("max_waiting_calls")));
  EXPECT_THAT(third->status, Delivered(Delivery::kNotSent));
  EXPECT_THAT(Call("4"), StatusIs(StatusCode::kResourceExhausted));
  ScriptedPeer peer(dials_.Accept(0));
  peer.Reply(peer.WaitForCall(0), "");
  peer.Reply(peer.WaitForCall(1), "");
  peer.Flush();
  EXPECT_OK(StatusOf(*first));
  EXPECT_OK(StatusOf(*second));
}

TEST_F(ClientTest, WithoutItsChannelNobodyDials) {
  CancellationSource source;
  auto call = StartCall("1", {.cancellation = &source.token()});
  dials_.WaitForDial(0);
  source.Cancel();
  EXPECT_FALSE(StatusOf(*call).ok());
  channel_.reset();
  dials_.WaitUntilAbandoned(0);
}

TEST_F(ClientTest, ABadTargetEndsCallsOnTheLoopToo) {
  Channel nowhere(*runtime_, "no-such-name");
  EXPECT_THAT(nowhere.status(), StatusIs(StatusCode::kNotFound));
  StringValue reply;
  EXPECT_THAT(nowhere.Call(kUnary, Text("1"), &reply, {}), StatusIs(StatusCode::kNotFound));
  AsyncCall call;
  nowhere.StartCall(kUnary, Text("1"), &call.reply, &call.status, {}, call.done);
  EXPECT_FALSE(call.done.ok());
  EXPECT_NE(call.done.thread(), std::this_thread::get_id());
  EXPECT_THAT(call.status, StatusIs(StatusCode::kNotFound));
}

// ---- the life of a connection

TEST_F(ClientTest, ALostConnectionIsLetGoAndTheNextCallMakesAnother) {
  auto first = StartCall("1");
  const auto script = dials_.Accept(0);
  ScriptedPeer peer(script);
  peer.WaitForCall(0);
  script->EndReceive(absl::UnavailableError("closed by peer"));
  EXPECT_THAT(StatusOf(*first), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(first->status, Delivered(Delivery::kUnknown));
  script->WaitUntilDestroyed();
  auto second = StartCall("2");
  ScriptedPeer next(dials_.Accept(1));
  next.Reply(next.WaitForCall(0), "");
  next.Flush();
  EXPECT_OK(StatusOf(*second));
}

TEST_F(ClientTest, ADrainedConnectionServesItsCallsAndTakesNoMore) {
  auto first = StartCall("1");
  auto last = StartCall("2");
  const auto script = dials_.Accept(0);
  ScriptedPeer peer(script);
  peer.WaitForCall(1);
  peer.Drain();
  peer.Reply(peer.WaitForCall(1), "");
  peer.Flush();
  EXPECT_OK(StatusOf(*last));  // so the client has read the other, too
  auto second = StartCall("3");
  ScriptedPeer next(dials_.Accept(1));
  next.Reply(next.WaitForCall(0), "");
  next.Flush();
  EXPECT_OK(StatusOf(*second));
  EXPECT_FALSE(first->done.done());
  peer.Reply(peer.WaitForCall(0), Bytes("late"));
  peer.Flush();
  EXPECT_OK(StatusOf(*first));
  EXPECT_EQ(first->reply.value(), "late");
  script->WaitUntilDestroyed();  // nobody needs it any more
}

// The first of those who waited holds up the loop until the connection has been lost; the second
// must not suffer.
TEST_F(ClientTest, AConnectionLostBeforeACallWasOpenedOnItIsReplaced) {
  class Holder final : public ClientInterceptor, public ClientCallWatcher {
   public:
    explicit Holder(std::function<void()> hold) : hold_(std::move(hold)) {}
    std::unique_ptr<ClientCallWatcher> Intercept(const Method&, absl::string_view) override {
      return std::make_unique<Holder>(hold_);
    }
    void OnFinish(absl::Status&, const Metadata&, absl::Duration) override { hold_(); }

   private:
    const std::function<void()> hold_;
  };
  absl::Notification holding, go_on;
  const Channel held = channel_->Intercepted(std::make_shared<Holder>([&holding, &go_on] {
    holding.Notify();
    go_on.WaitForNotification();
  }));
  Metadata too_much;
  too_much.Add("key", std::string(20 << 10, 'x'));
  AsyncCall first;
  held.StartCall(kUnary, Text("1"), &first.reply, &first.status, {.metadata = &too_much},
                 first.done);
  auto second = StartCall("2");
  const auto script = dials_.Accept(0);
  holding.WaitForNotification();  // the connection is there, and the second call not yet on it
  script->EndReceive(absl::UnavailableError("closed by peer"));
  EXPECT_THAT(Call("3"), StatusIs(StatusCode::kUnavailable));  // meets the end itself
  go_on.Notify();
  ScriptedPeer peer(dials_.Accept(1));
  EXPECT_EQ(peer.WaitForCall(0).messages[0], Bytes("2"));
  peer.Reply(peer.WaitForCall(0), "");
  peer.Flush();
  EXPECT_OK(StatusOf(*second));
  EXPECT_THAT(StatusOf(first), StatusIs(StatusCode::kResourceExhausted));
}

TEST_F(ClientTest, CallsInProgressOutliveTheirChannel) {
  auto call = StartCall("1");
  const auto script = dials_.Accept(0);
  ScriptedPeer peer(script);
  peer.WaitForCall(0);
  channel_.reset();
  peer.Reply(peer.WaitForCall(0), Bytes("reply"));
  peer.Flush();
  EXPECT_OK(StatusOf(*call));
  script->WaitUntilDestroyed();
}

// ---- the end of a call

TEST_F(ClientTest, CancelledInProgress) {
  CancellationSource source;
  const CallOptions options = {.cancellation = &source.token()};
  auto async = StartCall("1", options);
  const auto script = dials_.Accept(0);
  ScriptedPeer peer(script);
  peer.WaitForCall(0);
  std::thread caller(
      [this, &options] { EXPECT_THAT(Call("2", options), StatusIs(StatusCode::kCancelled)); });
  peer.WaitForCall(1);
  source.Cancel();
  caller.join();
  EXPECT_THAT(StatusOf(*async), StatusIs(StatusCode::kCancelled));
  peer.WaitForCancel(0);
  peer.WaitForCancel(1);
}

TEST_F(ClientTest, CancelledWhileTheCallerSleepsInTheTransport) {
  CancellationSource source;
  std::thread caller([this, &source] {
    EXPECT_THAT(Call("1", {.cancellation = &source.token()}), StatusIs(StatusCode::kCancelled));
  });
  const auto script = dials_.Accept(0);
  script->WaitForReceiver(caller.get_id());
  source.Cancel();
  caller.join();
}

TEST_F(ClientTest, ADeadlinePassesInProgress) {
  auto async = StartCall("1", {.timeout = absl::Milliseconds(30)});
  ScriptedPeer peer(dials_.Accept(0));
  EXPECT_THAT(StatusOf(*async), StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_THAT(Call("2", {.timeout = absl::Milliseconds(30)}),
              StatusIs(StatusCode::kDeadlineExceeded));
}

TEST_F(ClientTest, WhatIsNoReply) {
  auto none = StartCall("none");
  auto garbage = StartCall("garbage");
  auto two = StartCall("two");
  auto failed = StartCall("failed");
  ScriptedPeer peer(dials_.Accept(0));
  peer.WaitForCall(3);
  peer.Finish(peer.WaitForCall(0), absl::OkStatus());
  peer.Send(peer.WaitForCall(1), "\xff\xff");
  peer.Send(peer.WaitForCall(2), Bytes("one"));
  peer.Send(peer.WaitForCall(2), Bytes("two"));
  peer.Finish(peer.WaitForCall(3), absl::NotFoundError("nothing"));
  peer.Flush();
  EXPECT_THAT(StatusOf(*none), StatusIs(StatusCode::kInternal, HasSubstr("without a reply")));
  EXPECT_THAT(StatusOf(*garbage), StatusIs(StatusCode::kInternal, HasSubstr("no valid")));
  EXPECT_THAT(StatusOf(*two), StatusIs(StatusCode::kInternal, HasSubstr("more than one reply")));
  EXPECT_THAT(StatusOf(*failed), StatusIs(StatusCode::kNotFound, "nothing"));
  // The server hears that its work is in vain.
  peer.WaitForCancel(1);
  peer.WaitForCancel(2);
}

TEST_F(ClientTest, BlockingCallsAreRefusedInsideCallbacks) {
  auto call = StartCall("1");
  ScriptedPeer peer(dials_.Accept(0));
  absl::Notification done;
  absl::Status refused;
  channel_->RunLater([this, &refused, &done] {
    refused = Call("2").status();
    done.Notify();
  });
  done.WaitForNotification();
  EXPECT_THAT(refused, StatusIs(StatusCode::kFailedPrecondition, HasSubstr("co_await")));
  EXPECT_THAT(refused, Delivered(Delivery::kNotSent));
  peer.Reply(peer.WaitForCall(0), "");
  peer.Flush();
  EXPECT_OK(StatusOf(*call));
}

// ---- what may be sent, and what is a reply

TEST_F(ClientTest, ARequestThatIsTooLargeIsNotEvenSerialised) {
  const OversizedMessage huge(size_t{3} << 30);
  AsyncCall async;
  channel_->StartCall(kUnary, huge, &async.reply, &async.status, {}, async.done);
  for (const absl::Status& status :
       {channel_->Call(kUnary, huge, &async.reply, {}), StatusOf(async)}) {
    EXPECT_THAT(status, StatusIs(StatusCode::kResourceExhausted, HasSubstr("3221225472 bytes")));
    EXPECT_THAT(status, Delivered(Delivery::kNotSent));
  }
  EXPECT_EQ(dials_.dials(), 0u);
}

TEST_F(ClientTest, ARequestWithoutItsRequiredFieldsIsNotSent) {
  const Demanding empty;
  AsyncCall async;
  channel_->StartCall(kUnary, empty, &async.reply, &async.status, {}, async.done);
  for (const absl::Status& status :
       {channel_->Call(kUnary, empty, &async.reply, {}), StatusOf(async)}) {
    EXPECT_THAT(status, StatusIs(StatusCode::kInvalidArgument, HasSubstr("name_part")));
    EXPECT_THAT(status, Delivered(Delivery::kNotSent));
  }
  EXPECT_EQ(dials_.dials(), 0u);
}

TEST_F(ClientTest, AServerCannotMakeUsPrint) {
  static std::atomic<int> printed{0};
  google::protobuf::LogHandler* const before = google::protobuf::SetLogHandler(
      [](google::protobuf::LogLevel, const char*, int, const std::string&) { ++printed; });
  Demanding reply;
  absl::Status status;
  NotedOperation done;
  channel_->StartCall(kUnary, Text("1"), &reply, &status, {}, done);
  ScriptedPeer peer(dials_.Accept(0));
  peer.Reply(peer.WaitForCall(0), "");
  peer.Flush();
  EXPECT_FALSE(done.ok());
  EXPECT_THAT(status, StatusIs(StatusCode::kInternal, HasSubstr("no valid")));
  EXPECT_EQ(printed, 0);
  google::protobuf::SetLogHandler(before);
}

// ---- blocking and asynchronous calls on one connection

TEST_F(ClientTest, ACallbackDoesNotRunOnAThreadThatIsInABlockingCall) {
  std::thread caller([this] { EXPECT_OK(Call("blocking")); });
  const auto script = dials_.Accept(0);
  ScriptedPeer peer(script);
  script->WaitForReceiver(caller.get_id());
  auto async = StartCall("async");
  peer.Reply(peer.WaitForCall(1), Bytes("reply"));
  peer.Flush();
  EXPECT_OK(StatusOf(*async));  // on the loop's thread
  peer.Reply(peer.WaitForCall(0), "");
  peer.Flush();
  caller.join();
}

// ---- interceptors

TEST_F(ClientTest, WatchersSeeACallFromBothEnds) {
  class Watcher final : public ClientCallWatcher {
   public:
    Watcher(std::string name, std::vector<std::string>& log) : name_(std::move(name)), log_(log) {}
    absl::Status OnStart(Metadata& metadata) override {
      metadata.Add("seen-by", name_);
      log_.push_back(name_ + " start");
      return absl::OkStatus();
    }
    void OnSendMessage(const google::protobuf::MessageLite&) override {
      log_.push_back(name_ + " send");
    }
    void OnReceiveMessage(const google::protobuf::MessageLite&) override {
      log_.push_back(name_ + " receive");
    }
    void OnFinish(absl::Status& status, const Metadata&, absl::Duration) override {
      log_.push_back(absl::StrCat(name_, " ", absl::StatusCodeToString(status.code())));
      if (name_ == "inner") status = absl::AbortedError("replaced");
    }

   private:
    const std::string name_;
    std::vector<std::string>& log_;
  };
  class Interceptor final : public ClientInterceptor {
   public:
    Interceptor(std::string name, std::vector<std::string>& log)
        : name_(std::move(name)), log_(log) {}
    std::unique_ptr<ClientCallWatcher> Intercept(const Method&, absl::string_view target) override {
      EXPECT_EQ(target, "scripted:peer");
      return std::make_unique<Watcher>(name_, log_);
    }

   private:
    const std::string name_;
    std::vector<std::string>& log_;
  };
  std::vector<std::string> log;
  channel_.emplace(channel_->Intercepted(std::make_shared<Interceptor>("outer", log))
                       .Intercepted(std::make_shared<Interceptor>("inner", log)));
  auto call = StartCall("1");
  ScriptedPeer peer(dials_.Accept(0));
  peer.Reply(peer.WaitForCall(0), "");
  peer.Flush();
  EXPECT_THAT(StatusOf(*call), StatusIs(StatusCode::kAborted));
  EXPECT_THAT(log, ElementsAre("outer start", "inner start", "outer send", "inner send",
                               "inner receive", "outer receive", "inner OK", "outer ABORTED"));
}

}  // namespace
}  // namespace anywire::test
