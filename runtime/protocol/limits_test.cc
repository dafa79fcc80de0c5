// The limits, at, below and above, through both machines.
#include <string>
#include <vector>

#include "anywire/delivery.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/protocol/testing.h"
#include "runtime/wire/call_frames.h"

namespace anywire::protocol {
namespace {

using testing::FinalOf;
using testing::Find;
using testing::MachinePair;
using testing::OpenCall;
using testing::PayloadOf;
using testing::TextOf;

TEST(LimitsTest, ReceivedMessages) {
  Limits limits;
  limits.max_receive_message_size = 1000;
  MachinePair pair(Limits(), limits);
  ASSERT_TRUE(pair.Settle().ok());
  for (const size_t size : {999, 1000, 1001}) {
    const std::string message(size, 'x');
    ASSERT_TRUE(pair.OpenUnary(message).ok());
    ASSERT_TRUE(pair.Settle().ok());
    const Protocol::Events server = pair.TakeServerEvents();
    EXPECT_EQ(server.size(), size <= 1000 ? 1u : 0u) << size;
    if (size > 1000) {
      const absl::Status status = FinalOf(pair.TakeClientEvents());
      EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
      EXPECT_EQ(DeliveryOf(status), Delivery::kNotProcessed);
    }
  }
}

TEST(LimitsTest, AReplyThatIsTooLargeEndsTheCallAtTheClient) {
  Limits limits;
  limits.max_receive_message_size = 100000;
  MachinePair pair(limits, Limits());
  ASSERT_TRUE(pair.Settle().ok());
  const std::string request = "x";
  for (const size_t size : {99999, 100000, 100001}) {
    ASSERT_TRUE(pair.OpenUnary(request).ok());
    ASSERT_TRUE(pair.Settle().ok());
    const std::string reply(size, 'r');
    const Payload payload = PayloadOf(reply);
    const CallId call = pair.TakeServerEvents().at(0).call;
    pair.server.Finish(call, absl::OkStatus(), nullptr, &payload);
    pair.server.Release(call, pair.server_events);
    ASSERT_TRUE(pair.Settle().ok());
    EXPECT_EQ(FinalOf(pair.TakeClientEvents()).code(),
              size <= 100000 ? absl::StatusCode::kOk : absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(pair.server.call_count(), 0u);
  }
}

TEST(LimitsTest, SentMessages) {
  Limits limits;
  limits.max_send_message_size = 1000;
  MachinePair pair(limits, limits);
  OpenCall call(pair);
  for (const size_t size : {999, 1000, 1001}) {
    const std::string message(size, 'x');
    EXPECT_EQ(pair.client.Send(call.client, PayloadOf(message)),
              size <= 1000 ? SendResult::kSent : SendResult::kTooLarge);
    EXPECT_EQ(pair.OpenUnary(message).status().code(),
              size <= 1000 ? absl::StatusCode::kOk : absl::StatusCode::kResourceExhausted);
    ASSERT_TRUE(pair.Settle().ok());
  }
  const std::string large(1001, 'x');
  const Payload payload = PayloadOf(large);
  pair.server.Finish(call.server, absl::OkStatus(), nullptr, &payload);
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_EQ(FinalOf(pair.TakeClientEvents()).code(), absl::StatusCode::kResourceExhausted);
}

TEST(LimitsTest, ConcurrentCallsWaitAndWaitingCallsAreCounted) {
  Limits server_limits;
  server_limits.max_concurrent_calls = 2;
  Limits client_limits;
  client_limits.max_waiting_calls = 2;
  MachinePair pair(client_limits, server_limits);
  ASSERT_TRUE(pair.Settle().ok());
  const std::string text = "x";
  for (int i = 1; i <= 5; ++i) {
    const absl::StatusOr<CallId> call = pair.OpenUnary(text);
    EXPECT_EQ(call.ok(), i <= 4) << i;
    EXPECT_EQ(pair.queued, i == 3 || i == 4) << i;
    if (!call.ok()) {
      EXPECT_EQ(DeliveryOf(call.status()), Delivery::kNotSent);
    }
  }
  ASSERT_TRUE(pair.Settle().ok());
  Protocol::Events events = pair.TakeServerEvents();
  ASSERT_EQ(events.size(), 2u);
  // One that ends makes place for one, though the server's owner has not released it.
  pair.server.Finish(events[0].call, absl::OkStatus(), nullptr, nullptr);
  ASSERT_TRUE(pair.Settle().ok());
  events = pair.TakeServerEvents();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(TextOf(events[0]), text);
}

TEST(LimitsTest, CancelledCallsWhoseHandlersRunAreLimitedToo) {
  Limits limits;
  limits.max_concurrent_calls = 2;
  MachinePair pair(Limits(), limits);
  ASSERT_TRUE(pair.Settle().ok());
  for (int i = 1; i <= 5; ++i) {
    const CallId call = *pair.Open(OpenCall::Streaming());
    ASSERT_TRUE(pair.Settle().ok());
    const bool accepted = Find(pair.TakeServerEvents(), Event::kIncoming) != nullptr;
    EXPECT_EQ(accepted, i <= 4) << i;
    if (!accepted) {
      const absl::Status status = FinalOf(pair.TakeClientEvents());
      EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
      EXPECT_EQ(DeliveryOf(status), Delivery::kNotProcessed);
    }
    pair.client.Cancel(call, absl::CancelledError("x"), pair.client_events);
    ASSERT_TRUE(pair.Settle().ok());
    pair.TakeClientEvents();
  }
}

TEST(LimitsTest, ASlowReaderStallsItsOwnCallAlone) {
  Limits limits;
  limits.call_window = 16 << 10;
  MachinePair pair(Limits(), limits);
  OpenCall slow(pair), other(pair);
  const std::string message(4096 - 64, 'x');
  int sent = 0;
  while (pair.client.Send(slow.client, PayloadOf(message)) == SendResult::kSent) ++sent;
  EXPECT_EQ(sent, 4);  // the window, to the byte
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_EQ(pair.client.Send(slow.client, PayloadOf(message)), SendResult::kOver);  // one waits
  EXPECT_EQ(pair.client.Send(other.client, PayloadOf(message)), SendResult::kSent);
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_EQ(Find(pair.TakeClientEvents(), Event::kWritable), nullptr);
  for (int i = 0; i < 2; ++i) pair.server.Consumed(slow.server, message.size());
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_NE(Find(pair.TakeClientEvents(), Event::kWritable), nullptr);
}

// Limits under which 1,200 bytes may wait to be sent.
Limits ShortQueue() {
  Limits limits;
  limits.max_send_message_size = 600;
  limits.max_queued_bytes = 1200;
  return limits;
}

TEST(LimitsTest, BytesThatWaitToBeSentByAServer) {
  const std::string longest(600, 'l'), hundred(100, 'h'), one = "1";
  for (const size_t size : {499, 500, 501}) {
    SCOPED_TRACE(size);
    MachinePair pair(Limits(), ShortQueue());
    OpenCall a(pair), b(pair), c(pair), d(pair);
    pair.server_log.room = 0;
    EXPECT_EQ(pair.server.Send(a.server, PayloadOf(longest)), SendResult::kQueued);
    EXPECT_EQ(pair.server.Send(b.server, PayloadOf(hundred)), SendResult::kQueued);
    const std::string reply(size, 'r');
    const Payload payload = PayloadOf(reply);
    pair.server.Finish(c.server, absl::OkStatus(), nullptr, &payload);
    EXPECT_EQ(pair.server.account().queued, size <= 500 ? 700 + size : 700);
    EXPECT_EQ(pair.server.Send(d.server, PayloadOf(one)),
              size == 500 ? SendResult::kQueueFull : SendResult::kQueued);
    pair.server_log.room = SIZE_MAX;
    ASSERT_TRUE(pair.Settle().ok());
    const absl::Status status = FinalOf(pair.TakeClientEvents());
    EXPECT_EQ(status.code(),
              size <= 500 ? absl::StatusCode::kOk : absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(DeliveryOf(status), Delivery::kUnknown);
    EXPECT_EQ(pair.server.account().queued, 0u);
    EXPECT_EQ(pair.server.Send(d.server, PayloadOf(one)), SendResult::kSent);
  }
}

TEST(LimitsTest, BytesThatWaitToBeSentByAClient) {
  const std::string longest(600, 'l'), hundred(100, 'h'), none;
  for (const size_t size : {499, 500, 501}) {
    SCOPED_TRACE(size);
    MachinePair pair(ShortQueue(), Limits());
    OpenCall streaming(pair);
    pair.client_log.room = 0;
    const CallId first = *pair.OpenUnary(longest);
    EXPECT_TRUE(pair.queued);
    ASSERT_TRUE(pair.OpenUnary(hundred).ok());
    const std::string message(size, 'm');
    const absl::StatusOr<CallId> last = pair.OpenUnary(message);
    EXPECT_EQ(last.ok(), size <= 500);
    if (!last.ok()) {
      EXPECT_EQ(last.status().code(), absl::StatusCode::kResourceExhausted);
      EXPECT_EQ(DeliveryOf(last.status()), Delivery::kNotSent);
    }
    EXPECT_TRUE(pair.OpenUnary(none).ok());
    EXPECT_EQ(pair.client.Send(streaming.client, PayloadOf(longest)), SendResult::kQueueFull);
    const size_t queued = size <= 500 ? 700 + size : 700;
    EXPECT_EQ(pair.client.account().queued, queued);
    // What is given up waits no more.
    pair.client.Cancel(first, absl::CancelledError("enough"), pair.client_events);
    EXPECT_EQ(pair.client.account().queued, queued - 600);
    EXPECT_EQ(pair.client.Send(streaming.client, PayloadOf(longest)), SendResult::kQueued);
    pair.client.OnConnectionLost(absl::UnavailableError("gone"), pair.client_events);
    EXPECT_EQ(pair.client.account().queued, 0u);
  }
}

TEST(LimitsTest, TwoOfTheLargestMessagesMayAlwaysWait) {
  Limits limits = ShortQueue();
  limits.max_queued_bytes = 0;
  MachinePair pair(limits, Limits());
  OpenCall a(pair), b(pair), c(pair);
  const std::string longest(600, 'l'), one = "1";
  pair.client_log.room = 0;
  EXPECT_EQ(pair.client.Send(a.client, PayloadOf(longest)), SendResult::kQueued);
  EXPECT_EQ(pair.client.Send(b.client, PayloadOf(longest)), SendResult::kQueued);
  EXPECT_EQ(pair.client.Send(c.client, PayloadOf(one)), SendResult::kQueueFull);
}

TEST(LimitsTest, SmallCallsPassBetweenThePiecesOfALargeOne) {
  MachinePair pair;
  OpenCall large(pair);
  const std::string message(1 << 20, 'x'), small = "small";
  EXPECT_EQ(pair.client.Send(large.client, PayloadOf(message)), SendResult::kQueued);
  pair.client_log.room = 3;
  pair.client.Pump(pair.now, pair.client_events);
  pair.client_log.room = SIZE_MAX;
  ASSERT_TRUE(pair.OpenUnary(small).ok());
  EXPECT_FALSE(pair.queued);
  ASSERT_EQ(pair.client_log.frames.size(), 4u);
  EXPECT_LE(pair.client_log.frames[0].bytes.size(), 16u << 10);
  ASSERT_TRUE(pair.Settle().ok());
  const Protocol::Events events = pair.TakeServerEvents();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(TextOf(events[0]), small);
  EXPECT_EQ(TextOf(events[1]), message);
}

TEST(LimitsTest, MetadataThatDoNotFitAFrameGoInFragments) {
  MachinePair pair(Limits(), Limits(), 1024);
  ASSERT_TRUE(pair.Settle().ok());
  Metadata metadata;
  for (int i = 0; i < 15; ++i) metadata.Add("key", std::string(900, 'v'));
  MachinePair::OpenOptions options;
  const std::string message(3000, 'm');
  options.message = &message;
  options.metadata = &metadata;
  ASSERT_TRUE(pair.Open(options).ok());
  ASSERT_TRUE(pair.Settle().ok());
  Protocol::Events events = pair.TakeServerEvents();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].metadata->size(), 15u);
  EXPECT_EQ(TextOf(events[1]), message);
  EXPECT_TRUE(pair.server.SendInitialMetadata(events[0].call, metadata).ok());
  pair.server.Finish(events[0].call, absl::AbortedError(std::string(5000, 't')), &metadata,
                     nullptr);
  pair.server.Release(events[0].call, pair.server_events);
  ASSERT_TRUE(pair.Settle().ok());
  events = pair.TakeClientEvents();
  EXPECT_NE(Find(events, Event::kInitialMetadata), nullptr);
  const Event* const end = Find(events, Event::kFinished);
  ASSERT_NE(end, nullptr);
  EXPECT_EQ(end->final->status.message().size(), 5000u);
  EXPECT_EQ(end->final->trailing.size(), 15u);
}

// An OPEN in fragments of `size` bytes in all, the last of them held back.
std::vector<testing::SentFrame> UnfinishedOpen(uint64_t stream, size_t size) {
  std::string open = "\xa0";
  open.resize(size, 'x');
  std::vector<testing::SentFrame> frames;
  for (size_t at = 0; at < size; at += 16 << 10) {
    frames.push_back({stream, static_cast<char>(wire::kFragment) + open.substr(at, 16 << 10)});
  }
  return frames;
}

// The largest OPEN in fragments: twice the metadata and 64 KiB.
constexpr size_t kMostInFragments = (2 * 16 + 64) << 10;

TEST(LimitsTest, TooMuchInFragmentsIsRefusedBeforeItIsWhole) {
  for (const size_t size : {kMostInFragments - 1, kMostInFragments, kMostInFragments + 1}) {
    SCOPED_TRACE(size);
    MachinePair pair;
    ASSERT_TRUE(pair.Settle().ok());
    ASSERT_TRUE(
        pair.server
            .OnFrames(testing::ViewsOf(UnfinishedOpen(1, size)), pair.now, pair.server_events)
            .ok());
    pair.server_log.room = 10;  // for a machine that writes without end
    pair.server.Pump(pair.now, pair.server_events);
    EXPECT_FALSE(pair.server.wants_pump());
    if (size <= kMostInFragments) {
      EXPECT_TRUE(pair.server_log.frames.empty());
      continue;
    }
    ASSERT_EQ(pair.server_log.frames.size(), 1u);
    const std::string refusal = pair.server_log.frames[0].bytes;
    EXPECT_EQ(refusal, wire::EncodeFinish(absl::ResourceExhaustedError("too much metadata"), true,
                                          "", "", false));
    EXPECT_EQ(pair.server.open_call_count(), 0u);
    // The rest may still come, and the stream is free after the client's end.
    const std::vector<testing::SentFrame> rest = {
        {1, {wire::kFragment, 'x'}}, {1, {wire::kLastFragment, 'x'}}, {1, {wire::kReset, 1}}};
    ASSERT_TRUE(pair.server.OnFrames(testing::ViewsOf(rest), pair.now, pair.server_events).ok());
    EXPECT_EQ(pair.server.call_count(), 0u);
    EXPECT_TRUE(pair.server_events.empty());
  }
}

TEST(LimitsTest, FragmentsOfAllCallsOfAConnection) {
  for (const size_t last : {(64 << 10) - 1, 64 << 10, (64 << 10) + 1}) {
    SCOPED_TRACE(last);
    MachinePair pair;
    ASSERT_TRUE(pair.Settle().ok());
    for (uint64_t stream = 1; stream <= 16; ++stream) {
      const size_t size = stream < 16 ? 64 << 10 : last;
      ASSERT_TRUE(pair.server
                      .OnFrames(testing::ViewsOf(UnfinishedOpen(stream, size)), pair.now,
                                pair.server_events)
                      .ok());
    }
    pair.server_log.room = 10;
    pair.server.Pump(pair.now, pair.server_events);
    EXPECT_EQ(pair.server.open_call_count(), last <= 64 << 10 ? 16u : 15u);
    EXPECT_EQ(pair.server_log.frames.size(), last <= 64 << 10 ? 0u : 1u);
  }
}

TEST(LimitsTest, AServerThatSendsTooMuchInFragmentsLosesTheCall) {
  for (const size_t size : {kMostInFragments, kMostInFragments + 1}) {
    SCOPED_TRACE(size);
    MachinePair pair;
    OpenCall call(pair);
    std::vector<testing::SentFrame> frames = UnfinishedOpen(1, size);
    frames[0].bytes[1] = static_cast<char>(wire::kFinish);
    ASSERT_TRUE(pair.client.OnFrames(testing::ViewsOf(frames), pair.now, pair.client_events).ok());
    const Protocol::Events events = pair.TakeClientEvents();
    ASSERT_EQ(events.size(), size > kMostInFragments ? 1u : 0u);
    if (events.empty()) continue;
    EXPECT_EQ(FinalOf(events).code(), absl::StatusCode::kResourceExhausted);
    pair.client.Pump(pair.now, pair.client_events);
    EXPECT_EQ(pair.client_log.Take().size(), 1u);  // RESET
    const std::vector<testing::SentFrame> last = {{1, {wire::kLastFragment, 'x'}}};
    ASSERT_TRUE(pair.client.OnFrames(testing::ViewsOf(last), pair.now, pair.client_events).ok());
    pair.client.Release(call.client, pair.client_events);
    EXPECT_EQ(pair.client.call_count(), 0u);
  }
}

}  // namespace
}  // namespace anywire::protocol
