// Calls of every shape, their ends and time, through both machines.
#include <string>
#include <vector>

#include "anywire/delivery.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/protocol/testing.h"
#include "runtime/wire/call_frames.h"

namespace anywire::protocol {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Bytes;
using testing::FinalOf;
using testing::Find;
using testing::MachinePair;
using testing::OpenCall;
using testing::PayloadOf;
using testing::TextOf;

TEST(RoleDeathTest, CommandsOfTheOtherRoleAbort) {
  MachinePair pair;
  EXPECT_DEATH(pair.server.Open({}, pair.now, &pair.queued).IgnoreError(), "Open is not for this");
  EXPECT_DEATH(pair.server.HalfClose({}), "HalfClose is not for this");
  EXPECT_DEATH(pair.client.Finish({}, absl::OkStatus(), nullptr, nullptr), "Finish is not for");
  EXPECT_DEATH(pair.client.FinishAndRelease({}, absl::OkStatus(), nullptr, nullptr),
               "FinishAndRelease is not for");
  EXPECT_DEATH(pair.client.SendInitialMetadata({}, {}).IgnoreError(), "Metadata is not for this");
  EXPECT_DEATH(pair.client.Drain(), "Drain is not for this");
}

TEST(CallTableTest, WhatIsUsedAgainKeepsLittleMemory) {
  CallTable table;
  Call& call = table.New();
  call.fragments.assign(100000, 'f');
  table.Release(call);
  table.Recycle(call);
  EXPECT_EQ(&table.New(), &call);
  EXPECT_LE(call.fragments.capacity(), 256u);
}

// ---- ends

TEST(CallsTest, CancelTellsTheHandlerAndFreesTheStreamAtOnce) {
  MachinePair pair;
  OpenCall call(pair);
  pair.client.Cancel(call.client, absl::CancelledError("enough"), pair.client_events);
  EXPECT_EQ(FinalOf(pair.TakeClientEvents()), absl::CancelledError("enough"));
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_EQ(FinalOf(pair.TakeServerEvents()).code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(pair.TakeClientEvents().empty());
  // The handler has not let go, and the stream is used again.
  OpenCall next(pair);
  EXPECT_EQ(pair.server.call_count(), 2u);
  pair.server.Finish(call.server, absl::OkStatus(), nullptr, nullptr);  // does nothing
  EXPECT_EQ(pair.server.Send(call.server, PayloadOf("x")), SendResult::kOver);
  pair.server.Release(call.server, pair.server_events);
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_TRUE(pair.client_events.empty());
  EXPECT_EQ(pair.server.call_count(), 1u);
}

TEST(CallsTest, AFinishBeforeTheHalfCloseEndsTheClientsDirection) {
  MachinePair pair;
  OpenCall call(pair);
  const Metadata trailing{{"k", "v"}};
  pair.server.Finish(call.server, absl::AbortedError("no"), &trailing, nullptr);
  pair.server.Release(call.server, pair.server_events);
  ASSERT_TRUE(pair.Settle().ok());
  const Protocol::Events events = pair.TakeClientEvents();
  EXPECT_EQ(FinalOf(events), absl::AbortedError("no"));
  EXPECT_EQ(events[0].final->trailing.Get("k"), "v");
  EXPECT_EQ(pair.client.Send(call.client, PayloadOf("x")), SendResult::kOver);
  pair.client.Release(call.client, pair.client_events);
  EXPECT_EQ(pair.client.call_count(), 0u);
  EXPECT_EQ(pair.server.call_count(), 0u);
}

TEST(CallsTest, FinishAndReleaseIsTheLastOfACall) {
  MachinePair pair;
  const std::string request = "ping", reply = "pong";
  const Payload payload = PayloadOf(reply);
  ASSERT_TRUE(pair.Settle().ok());  // hellos
  ASSERT_TRUE(pair.OpenUnary(request).ok());
  ASSERT_TRUE(pair.Settle().ok());
  const CallId call = pair.TakeServerEvents().at(0).call;
  pair.server.FinishAndRelease(call, absl::OkStatus(), nullptr, &payload);
  EXPECT_EQ(pair.server.call_count(), 0u);
  pair.server.FinishAndRelease(call, absl::OkStatus(), nullptr, &payload);  // does nothing
  ASSERT_TRUE(pair.Settle().ok());
  const Protocol::Events events = pair.TakeClientEvents();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(TextOf(events[0]), reply);
  EXPECT_EQ(events[0].final, nullptr);
}

TEST(CallsTest, WhatFinishAndReleaseCouldNotWriteIsStillSent) {
  MachinePair pair;
  const std::string request = "ping", reply(1 << 20, 'r');
  const Payload payload = PayloadOf(reply);
  ASSERT_TRUE(pair.Settle().ok());
  ASSERT_TRUE(pair.OpenUnary(request).ok());
  ASSERT_TRUE(pair.Settle().ok());
  const CallId call = pair.TakeServerEvents().at(0).call;
  const Metadata trailing{{"k", "v"}};
  pair.server.FinishAndRelease(call, absl::OkStatus(), &trailing, &payload);
  EXPECT_EQ(pair.server.call_count(), 1u);
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_EQ(pair.server.call_count(), 0u);
  EXPECT_TRUE(pair.server_events.empty());
  std::string received;
  for (const Event& event : pair.TakeClientEvents()) {
    if (event.bits & Event::kMessage) received = TextOf(event);
    if (event.final != nullptr) {
      EXPECT_EQ(event.final->trailing.Get("k"), "v");
    }
  }
  EXPECT_EQ(received, reply);
}

TEST(CallsTest, FinishAndReleaseOfACallThatIsOverLetsGoOfIt) {
  MachinePair pair;
  OpenCall call(pair);
  pair.client.Cancel(call.client, absl::CancelledError("enough"), pair.client_events);
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_EQ(FinalOf(pair.TakeServerEvents()).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(pair.server.call_count(), 1u);
  pair.server.FinishAndRelease(call.server, absl::OkStatus(), nullptr, nullptr);
  EXPECT_EQ(pair.server.call_count(), 0u);
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_TRUE(pair.server_events.empty());
}

TEST(CallsTest, ALostConnectionSaysWhatIsKnownOfEachCall) {
  MachinePair pair;
  const std::string text = "x";
  OpenCall sent(pair);
  pair.client_log.room = 0;
  const CallId unsent = *pair.OpenUnary(text);
  EXPECT_TRUE(pair.queued);
  pair.client.OnConnectionLost(absl::UnavailableError("gone"), pair.client_events);
  const Protocol::Events events = pair.TakeClientEvents();
  ASSERT_EQ(events.size(), 2u);
  for (const Event& event : events) {
    EXPECT_EQ(event.final->status.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(DeliveryOf(event.final->status),
              event.call == unsent ? Delivery::kNotSent : Delivery::kUnknown);
  }
  EXPECT_EQ(DeliveryOf(pair.OpenUnary(text).status()), Delivery::kNotSent);
}

TEST(CallsTest, DrainRefusesNewCallsAndLetsTheOthersGoOn) {
  MachinePair pair;
  OpenCall running(pair);
  const std::string text = "x";
  pair.server.Drain();
  ASSERT_TRUE(pair.OpenUnary(text).ok());  // before the client has heard of it
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_TRUE(pair.client.peer_is_draining());
  const absl::Status refused = FinalOf(pair.TakeClientEvents());
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(DeliveryOf(refused), Delivery::kNotProcessed);
  EXPECT_EQ(DeliveryOf(pair.OpenUnary(text).status()), Delivery::kNotSent);
  EXPECT_EQ(pair.server.open_call_count(), 1u);
  pair.server.Finish(running.server, absl::OkStatus(), nullptr, nullptr);
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_TRUE(FinalOf(pair.TakeClientEvents()).ok());
  EXPECT_EQ(pair.server.open_call_count(), 0u);
}

TEST(CallsTest, AnUnknownMethodIsUnimplementedAndNotProcessed) {
  MachinePair pair;
  MachinePair::OpenOptions options;
  options.method = "other.Service/Method";
  ASSERT_TRUE(pair.Open(options).ok());
  ASSERT_TRUE(pair.Settle().ok());
  const absl::Status status = FinalOf(pair.TakeClientEvents());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(DeliveryOf(status), Delivery::kNotProcessed);
  EXPECT_TRUE(pair.server_events.empty());
}

TEST(CallsTest, MetadataGoBothWays) {
  MachinePair pair;
  const Metadata sent{{"a-bin", absl::string_view("\0\1", 2)}, {"b", "text"}};
  MachinePair::OpenOptions options = OpenCall::Streaming();
  options.metadata = &sent;
  ASSERT_TRUE(pair.Open(options).ok());
  ASSERT_TRUE(pair.Settle().ok());
  const Protocol::Events incoming = pair.TakeServerEvents();
  ASSERT_NE(incoming.at(0).metadata, nullptr);
  EXPECT_EQ(incoming[0].metadata->Get("a-bin"), absl::string_view("\0\1", 2));
  EXPECT_TRUE(pair.server.SendInitialMetadata(incoming[0].call, sent).ok());
  EXPECT_FALSE(pair.server.SendInitialMetadata(incoming[0].call, sent).ok());
  EXPECT_EQ(pair.server.Send(incoming[0].call, PayloadOf("x")), SendResult::kSent);
  EXPECT_EQ(pair.server_log.frames.size(), 1u);  // together with the message
  ASSERT_TRUE(pair.Settle().ok());
  const Protocol::Events events = pair.TakeClientEvents();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].bits, Event::kInitialMetadata | Event::kMessage);
  EXPECT_EQ(events[0].metadata->Get("b"), "text");
}

// ---- time

TEST(TimeTest, TheDeadlineEndsACallAtBothEnds) {
  MachinePair pair;
  MachinePair::OpenOptions options = OpenCall::Streaming();
  options.deadline = pair.now + seconds(1);
  OpenCall call(pair, options);
  EXPECT_LE(pair.server.NextWakeup(), pair.now + seconds(1) + milliseconds(2));
  pair.now += milliseconds(999);
  ASSERT_TRUE(pair.client.OnTime(pair.now, pair.client_events).ok());
  EXPECT_TRUE(pair.client_events.empty());
  pair.now += milliseconds(3);
  ASSERT_TRUE(pair.client.OnTime(pair.now, pair.client_events).ok());
  ASSERT_TRUE(pair.server.OnTime(pair.now, pair.server_events).ok());
  EXPECT_EQ(FinalOf(pair.TakeClientEvents()).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(FinalOf(pair.TakeServerEvents()).code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_TRUE(pair.client_events.empty());
}

// A thread looks at the clock before it has the machine, and another may have had it meanwhile.
TEST(TimeTest, TimeDoesNotGoBack) {
  MachinePair pair;
  MachinePair::OpenOptions options = OpenCall::Streaming();
  options.deadline = pair.now + seconds(1);
  OpenCall first(pair, options);
  const Instant before = pair.now;
  pair.now += seconds(2);
  ASSERT_TRUE(pair.client.OnTime(pair.now, pair.client_events).ok());
  EXPECT_EQ(FinalOf(pair.TakeClientEvents()).code(), absl::StatusCode::kDeadlineExceeded);
  pair.now = before;
  options.deadline = before + milliseconds(1500);
  ASSERT_TRUE(pair.Open(options).ok());
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_EQ(FinalOf(pair.TakeClientEvents()).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(TimeTest, AReplyAfterTheDeadlineIsTooLate) {
  MachinePair pair;
  MachinePair::OpenOptions options = OpenCall::Streaming();
  options.deadline = pair.now + seconds(1);
  OpenCall call(pair, options);
  pair.server.Finish(call.server, absl::OkStatus(), nullptr, nullptr);
  pair.now += seconds(2);
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_EQ(FinalOf(pair.TakeClientEvents()).code(), absl::StatusCode::kDeadlineExceeded);
}

// A client that gives no credit does not keep a reply in the server's memory past the deadline.
TEST(TimeTest, TheDeadlineEndsAReplyThatHasNotLeft) {
  MachinePair pair;
  // Two such replies take the excess window, and are not carried here.
  const std::string request = "x", reply(Limits().max_receive_message_size, 'r');
  const Payload payload = PayloadOf(reply);
  MachinePair::OpenOptions options;
  options.message = &request;
  for (int i = 0; i < 2; ++i) {
    OpenCall call(pair, options);
    pair.server.Finish(call.server, absl::OkStatus(), nullptr, &payload);
    pair.server.Release(call.server, pair.server_events);
    pair.server.Pump(pair.now, pair.server_events);
    pair.server_log.Take();
  }
  options.deadline = pair.now + seconds(1);
  for (const bool lost : {false, true}) {
    OpenCall call(pair, options);
    pair.server.Finish(call.server, absl::OkStatus(), nullptr, &payload);
    pair.server.Release(call.server, pair.server_events);
    pair.server.Pump(pair.now, pair.server_events);
    EXPECT_EQ(pair.server.open_call_count(), 1u);  // until there is credit
    pair.server_log.Take();
    if (lost) {
      pair.server.OnConnectionLost(absl::UnavailableError("gone"), pair.server_events);
    } else {
      pair.now += milliseconds(1002);
      ASSERT_TRUE(pair.server.OnTime(pair.now, pair.server_events).ok());
      pair.server.Pump(pair.now, pair.server_events);
      const std::vector<testing::SentFrame> end = pair.server_log.Take();
      ASSERT_EQ(end.size(), 1u);
      EXPECT_EQ(end[0].bytes, wire::EncodeFinish(absl::DeadlineExceededError("deadline exceeded"),
                                                 false, "", "", false));
      options.deadline = pair.now + seconds(1);
    }
    EXPECT_EQ(pair.server.open_call_count(), 0u);
    EXPECT_EQ(pair.server.call_count(), 0u);
    EXPECT_TRUE(pair.server_events.empty());  // the handler had finished
    if (lost) {
      EXPECT_EQ(pair.server.NextWakeup(), Instant::max());
    }
    pair.TakeClientEvents();
  }
}

TEST(TimeTest, ADeadlinePastIsNotSent) {
  MachinePair pair;
  MachinePair::OpenOptions options;
  options.deadline = pair.now;
  const absl::Status status = pair.Open(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(DeliveryOf(status), Delivery::kNotSent);
}

TEST(TimeTest, NoHelloInTime) {
  MachinePair pair;
  pair.now += seconds(4);
  EXPECT_TRUE(pair.server.OnTime(pair.now, pair.server_events).ok());
  pair.now += seconds(2);
  EXPECT_EQ(pair.server.OnTime(pair.now, pair.server_events).code(),
            absl::StatusCode::kUnavailable);
}

TEST(TimeTest, AnOpenInFragmentsIsWholeInTimeOrRefused) {
  for (const bool in_time : {true, false}) {
    SCOPED_TRACE(in_time);
    MachinePair pair;
    ASSERT_TRUE(pair.Settle().ok());
    const std::string open = Bytes({0xa1, 0, 6}) + "test.M";
    const auto feed = [&pair](uint8_t kind, const std::string& bytes) {
      const std::vector<testing::SentFrame> frames = {{1, static_cast<char>(kind) + bytes}};
      return pair.server.OnFrames(testing::ViewsOf(frames), pair.now, pair.server_events);
    };
    ASSERT_TRUE(feed(wire::kFragment, open.substr(0, 5)).ok());
    pair.now += in_time ? seconds(5) - milliseconds(1) : seconds(5) + milliseconds(2);
    pair.server.Drain();
    ASSERT_TRUE(pair.server.OnTime(pair.now, pair.server_events).ok());
    pair.server.Pump(pair.now, pair.server_events);
    const std::vector<testing::SentFrame> sent = pair.server_log.Take();
    EXPECT_EQ(pair.server.open_call_count(), in_time ? 1u : 0u);  // a drain waits no longer
    ASSERT_EQ(sent.size(), in_time ? 1u : 2u);                    // GOAWAY, and the refusal
    if (!in_time) {
      EXPECT_EQ(
          sent[1].bytes,
          wire::EncodeFinish(absl::UnavailableError("the call's OPEN did not come whole in time"),
                             true, "", "", false));
    }
    ASSERT_TRUE(feed(wire::kFragment, open.substr(5, 1)).ok());
    ASSERT_TRUE(feed(wire::kLastFragment, open.substr(6)).ok());
    pair.server.Pump(pair.now, pair.server_events);
    EXPECT_EQ(pair.server.call_count(), 0u);
    EXPECT_EQ(pair.server_log.Take().size(), in_time ? 1u : 0u);  // refused, since it drains
    pair.now += seconds(10);
    EXPECT_TRUE(pair.server.OnTime(pair.now, pair.server_events).ok());
    EXPECT_TRUE(pair.server_events.empty());
  }
}

// The time for the fragments is not the call's.
TEST(TimeTest, ACallWhoseOpenCameInFragmentsHasItsOwnDeadline) {
  MachinePair pair(Limits(), Limits(), 1024);
  ASSERT_TRUE(pair.Settle().ok());
  const Metadata metadata{{"key", std::string(3000, 'v')}};
  MachinePair::OpenOptions options = OpenCall::Streaming();
  options.metadata = &metadata;
  OpenCall call(pair, options);
  pair.now += seconds(10);
  ASSERT_TRUE(pair.server.OnTime(pair.now, pair.server_events).ok());
  EXPECT_TRUE(pair.server_events.empty());
}

TEST(TimeTest, KeepaliveGivesUpASilentPeerWithCallsOpenOnly) {
  MachinePair idle;
  ASSERT_TRUE(idle.Settle().ok());
  idle.now += std::chrono::hours(1);
  EXPECT_TRUE(idle.client.OnTime(idle.now, idle.client_events).ok());
  EXPECT_FALSE(idle.client.wants_pump());

  MachinePair pair;
  OpenCall call(pair);
  for (int i = 0; i < 3; ++i) {
    pair.now += seconds(21);  // an answered ping each time
    ASSERT_TRUE(pair.client.OnTime(pair.now, pair.client_events).ok());
    EXPECT_TRUE(pair.client.wants_pump());
    ASSERT_TRUE(pair.Settle().ok());
  }
  pair.now += seconds(21);
  ASSERT_TRUE(pair.client.OnTime(pair.now, pair.client_events).ok());
  pair.now += seconds(9);
  EXPECT_TRUE(pair.client.OnTime(pair.now, pair.client_events).ok());
  pair.now += seconds(2);
  EXPECT_EQ(pair.client.OnTime(pair.now, pair.client_events).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(FinalOf(pair.TakeClientEvents()).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace anywire::protocol
