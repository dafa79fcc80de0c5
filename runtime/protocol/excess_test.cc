// What large messages have beyond their shares: it goes at once while the excess window covers it,
// waits in turn where it does not, and comes back however a message ends.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/protocol/testing.h"
#include "runtime/wire/frame_kinds.h"

namespace anywire::protocol {
namespace {

using testing::FinalOf;
using testing::Find;
using testing::MachinePair;
using testing::OpenCall;
using testing::PayloadOf;
using testing::TextOf;

// With the limits below: a share of 8 KiB, and an excess window of two of the largest messages.
constexpr size_t kShare = 8 << 10;
constexpr size_t kLargest = 1 << 20;
constexpr size_t kExcess = kLargest + wire::kMessageOverhead - kShare;
constexpr size_t kWindow = 2 * (kLargest + wire::kMessageOverhead);

Limits Receiver() {
  Limits limits;
  limits.call_window = 2 * kShare;
  limits.connection_buffer = 0;  // hence four of the largest messages
  limits.max_receive_message_size = kLargest;
  return limits;
}

class ExcessTest : public ::testing::Test {
 protected:
  ExcessTest() : pair_(Limits(), Receiver()) { EXPECT_TRUE(pair_.Settle().ok()); }

  // How many bytes of the messages that wait leave before the receiver says anything.
  size_t SentAtOnce() {
    pair_.client.Pump(pair_.now, pair_.client_events);
    size_t bytes = 0;
    for (const testing::SentFrame& frame : pair_.client_log.frames) bytes += frame.bytes.size();
    return bytes;
  }
  SendResult Send(const OpenCall& call, const std::string& message) {
    return pair_.client.Send(call.client, PayloadOf(message));
  }
  size_t MayExceed() const { return static_cast<size_t>(pair_.client.account().may_exceed); }

  MachinePair pair_;
  const std::string largest_ = std::string(kLargest, 'x');
};

TEST_F(ExcessTest, TheFirstLargeMessageGoesAtOnce) {
  const OpenCall call(pair_);
  EXPECT_EQ(MayExceed(), kWindow);
  ASSERT_EQ(Send(call, largest_), SendResult::kQueued);
  EXPECT_GT(SentAtOnce(), kLargest);
  ASSERT_TRUE(pair_.Settle().ok());
  EXPECT_EQ(TextOf(*Find(pair_.TakeServerEvents(), Event::kMessage)), largest_);
  EXPECT_EQ(pair_.server.account().held, kShare + kExcess);
  // What is left is more than another such message needs: it is not worth a frame yet.
  pair_.server.Consumed(call.server, kLargest);
  ASSERT_TRUE(pair_.Settle().ok());
  EXPECT_EQ(MayExceed(), kWindow - kExcess);
  EXPECT_EQ(pair_.server.account().held, 0u);
}

// One transport's frame holds it: nothing is copied.
TEST(ExcessInOneFrameTest, ALargeMessageIsOneFrameWhereFramesAreLarge) {
  MachinePair pair(Limits(), Limits(), FrameSizes(2 << 20, 2 << 20));
  ASSERT_TRUE(pair.Settle().ok());
  const std::string message(1 << 20, 'x');
  const OpenCall call(pair);
  EXPECT_EQ(pair.client.Send(call.client, PayloadOf(message)), SendResult::kSent);
  EXPECT_EQ(pair.client_log.frames.size(), 1u);
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_EQ(TextOf(*Find(pair.TakeServerEvents(), Event::kMessage)), message);
  pair.server.Consumed(call.server, message.size());
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_EQ(pair.server.account().held, 0u);
}

// Two calls hold the window with messages that nobody reads. Small messages pass; large ones go in
// the order in which they came.
TEST_F(ExcessTest, WhoFindsNoneWaitsInTurnAndHoldsUpNobodyElse) {
  const OpenCall first(pair_), second(pair_), third(pair_), fourth(pair_), small(pair_);
  ASSERT_EQ(Send(first, largest_), SendResult::kQueued);
  ASSERT_EQ(Send(second, largest_), SendResult::kQueued);
  ASSERT_EQ(Send(third, largest_), SendResult::kQueued);
  const std::string less(2 * kShare, 'y');  // would find what it needs, and comes after the third
  ASSERT_EQ(Send(fourth, less), SendResult::kQueued);
  EXPECT_EQ(Send(small, "small"), SendResult::kSent);
  ASSERT_TRUE(pair_.Settle().ok());
  Protocol::Events events = pair_.TakeServerEvents();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(TextOf(events[0]), "small");
  EXPECT_EQ(MayExceed(), kWindow - 2 * kExcess);

  pair_.server.Consumed(second.server, kLargest);
  ASSERT_TRUE(pair_.Settle().ok());
  events = pair_.TakeServerEvents();
  ASSERT_EQ(events.size(), 2u);
  for (const Event& event : events) {
    EXPECT_EQ(TextOf(event), event.call == third.server ? largest_ : less);
  }
}

// The first reader never reads. As long as the rest of the window covers a message it goes, however
// much of that has been used before.
TEST_F(ExcessTest, AReaderThatStopsHoldsNoMoreThanItsMessages) {
  const OpenCall stopped(pair_), call(pair_);
  ASSERT_EQ(Send(stopped, largest_), SendResult::kQueued);
  ASSERT_TRUE(pair_.Settle().ok());
  for (const size_t size : {kLargest, kLargest / 2, kLargest, kLargest}) {
    pair_.TakeServerEvents();
    const std::string message(size, 'y');
    ASSERT_NE(Send(call, message), SendResult::kOver);
    ASSERT_TRUE(pair_.Settle().ok());
    ASSERT_NE(Find(pair_.TakeServerEvents(), Event::kMessage), nullptr) << size;
    pair_.server.Consumed(call.server, size);
    ASSERT_TRUE(pair_.Settle().ok());
  }
}

TEST_F(ExcessTest, ItComesBackHoweverAMessageEnds) {
  enum End { kConsumed, kReleased, kCancelledByClient, kCancelledByServer };
  for (const End end : {kConsumed, kReleased, kCancelledByClient, kCancelledByServer}) {
    for (const bool complete : {true, false}) {
      if (!complete && end == kConsumed) continue;
      SCOPED_TRACE(testing::Bytes({'0' + end, complete ? 'c' : 'p'}));
      const OpenCall call(pair_);
      ASSERT_EQ(Send(call, largest_), SendResult::kQueued);
      if (complete) {
        ASSERT_TRUE(pair_.Settle().ok());
        pair_.client.HalfClose(call.client);
      } else {
        pair_.client.Pump(pair_.now, pair_.client_events);
        auto& frames = pair_.client_log.frames;
        frames.resize(frames.size() / 2);
        ASSERT_TRUE(pair_.Carry(pair_.client_log, pair_.server, pair_.server_events).ok());
      }
      switch (end) {
        case kConsumed:
          pair_.server.Consumed(call.server, kLargest);
          break;
        case kReleased:
          break;
        case kCancelledByClient:
          pair_.client.Cancel(call.client, absl::CancelledError("enough"), pair_.client_events);
          break;
        case kCancelledByServer:
          pair_.server.Finish(call.server, absl::AbortedError("enough"), nullptr, nullptr);
          break;
      }
      if (complete || end != kReleased) {
        ASSERT_TRUE(pair_.Settle().ok());
      }
      pair_.server.Release(call.server, pair_.server_events);
      pair_.client.Release(call.client, pair_.client_events);
      ASSERT_TRUE(pair_.Settle().ok());
      pair_.TakeServerEvents();
      EXPECT_EQ(pair_.server.account().held, 0u);
      EXPECT_EQ(pair_.server.account().peer_may_exceed, MayExceed());
      EXPECT_GE(MayExceed(), kExcess);
    }
  }
}

// A message that waited, and one that had its excess and not begun, go as if they had never been.
TEST_F(ExcessTest, WhoIsCancelledBeforeItsFirstPieceGivesItBack) {
  const OpenCall call(pair_);
  ASSERT_EQ(Send(call, largest_), SendResult::kQueued);
  pair_.client_log.room = 0;
  pair_.client.Pump(pair_.now, pair_.client_events);
  EXPECT_EQ(MayExceed(), kWindow - kExcess);
  pair_.client.Cancel(call.client, absl::CancelledError("enough"), pair_.client_events);
  EXPECT_EQ(MayExceed(), kWindow);
}

// More than half the window: the peer hears of it, says that it is too large, and the call ends.
// That holds when not all of the window is there, too; and what is not too large goes.
TEST_F(ExcessTest, AMessageAboveHalfTheWindowIsRefusedAtOnce) {
  // So much of a message goes beside its share.
  constexpr size_t kHalf = kWindow / 2 + kShare - wire::kMessageOverhead;
  for (const size_t before : {size_t{0}, kLargest * 3 / 4}) {
    for (const size_t size : {kHalf, kHalf + 1, kWindow, kWindow + kShare}) {
      SCOPED_TRACE(size);
      MachinePair pair(Limits(), Receiver());
      ASSERT_TRUE(pair.Settle().ok());
      const OpenCall reading(pair), call(pair), other(pair);
      if (before > 0) {
        const std::string message(before, 'x');
        ASSERT_EQ(pair.client.Send(reading.client, PayloadOf(message)), SendResult::kQueued);
        ASSERT_TRUE(pair.Settle().ok());
        pair.server.Consumed(reading.server, before);  // not worth a frame yet
        ASSERT_TRUE(pair.Settle().ok());
        ASSERT_LT(pair.client.account().may_exceed, static_cast<int64_t>(kWindow));
      }
      pair.TakeServerEvents();
      const std::string message(size, 'x');
      ASSERT_EQ(pair.client.Send(call.client, PayloadOf(message)), SendResult::kQueued);
      ASSERT_TRUE(pair.Settle().ok());
      EXPECT_EQ(FinalOf(pair.TakeClientEvents()).code(), absl::StatusCode::kResourceExhausted);
      // Nobody waits behind it.
      ASSERT_EQ(pair.client.Send(other.client, PayloadOf(largest_)), SendResult::kQueued);
      ASSERT_TRUE(pair.Settle().ok());
      const Protocol::Events events = pair.TakeServerEvents();
      const Event* const event = Find(events, Event::kMessage);
      ASSERT_NE(event, nullptr);
      EXPECT_EQ(TextOf(*event), largest_);
      EXPECT_EQ(pair.client.account().may_exceed,
                static_cast<int64_t>(pair.server.account().peer_may_exceed));
    }
  }
}

}  // namespace
}  // namespace anywire::protocol
