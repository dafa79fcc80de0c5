// Messages that are written before the command that sends them: the machine hands their memory on
// to a sink that takes it, keeps it while they wait, and writes them once.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/protocol/testing.h"

namespace anywire::protocol {
namespace {

using testing::FinalOf;
using testing::Find;
using testing::FrameLog;
using testing::MachinePair;
using testing::OpenCall;
using testing::PayloadOf;
using testing::TextOf;

// Where a message's bytes lie in memory that was written ahead.
const uint8_t* BytesOf(const Payload& payload) { return payload.ahead.get() + Payload::kHeadroom; }

class AheadTest : public ::testing::Test {
 protected:
  AheadTest() {
    EXPECT_TRUE(pair_.Settle().ok());
    pair_.client_log.keeps_memory = pair_.server_log.keeps_memory = true;
  }

  // `bytes` are in the last frame that the sink was given as memory.
  static void ExpectTaken(const FrameLog& log, const uint8_t* bytes) {
    ASSERT_FALSE(log.kept.empty());
    EXPECT_EQ(log.kept.back().get() + Payload::kHeadroom, bytes);
  }

  absl::StatusOr<CallId> OpenWith(const Payload& payload, const Metadata* metadata = nullptr) {
    Protocol::OpenRequest request;
    request.method = {"test.Service/Method", 0};
    request.message = &payload;
    request.metadata = metadata;
    request.half_close = true;
    bool queued = false;
    return pair_.client.Open(request, pair_.now, &queued);
  }

  MachinePair pair_;
  const std::string text_ = std::string(10'000, 'm');
};

TEST_F(AheadTest, ARequestIsTakenAsItIs) {
  const Payload payload = PayloadOf(text_);
  payload.WriteAhead();
  const uint8_t* const bytes = BytesOf(payload);
  ASSERT_TRUE(OpenWith(payload).ok());
  EXPECT_EQ(payload.ahead, nullptr);
  ExpectTaken(pair_.client_log, bytes);
  ASSERT_TRUE(pair_.Settle().ok());
  EXPECT_EQ(TextOf(*Find(pair_.server_events, Event::kMessage)), text_);
}

TEST_F(AheadTest, AMessageOfAStreamIsTakenAsItIs) {
  const OpenCall call(pair_);
  const Payload payload = PayloadOf(text_);
  payload.WriteAhead();
  const uint8_t* const bytes = BytesOf(payload);
  EXPECT_EQ(pair_.client.Send(call.client, payload), SendResult::kSent);
  ExpectTaken(pair_.client_log, bytes);
  ASSERT_TRUE(pair_.Settle().ok());
  EXPECT_EQ(TextOf(*Find(pair_.server_events, Event::kMessage)), text_);
}

TEST_F(AheadTest, AReplyIsTakenAsItIsWithTrailersToo) {
  Metadata trailing;
  trailing.Add("key", "value");
  const Metadata* const all[] = {nullptr, &trailing};
  for (const Metadata* const metadata : all) {
    const OpenCall call(pair_);
    const Payload payload = PayloadOf(text_);
    payload.WriteAhead();
    const uint8_t* const bytes = BytesOf(payload);
    pair_.server.Finish(call.server, absl::OkStatus(), metadata, &payload);
    ExpectTaken(pair_.server_log, bytes);
    ASSERT_TRUE(pair_.Settle().ok());
    const Protocol::Events events = pair_.TakeClientEvents();
    EXPECT_EQ(TextOf(*Find(events, Event::kMessage)), text_);
    EXPECT_TRUE(FinalOf(events).ok());
  }
}

TEST_F(AheadTest, AHeadThatIsLargerThanTheRoomBeforeTheMessageIsCopiedWithIt) {
  // Around the limit: what stands before the message besides the value has some 40 bytes.
  size_t taken = 0, copied = 0;
  for (size_t size = 0; size < 80; ++size) {
    Metadata metadata;
    metadata.Add("key", std::string(size, 'v'));
    const Payload payload = PayloadOf(text_);
    payload.WriteAhead();
    const size_t before = pair_.client_log.kept.size();
    ASSERT_TRUE(OpenWith(payload, &metadata).ok());
    if (pair_.client_log.kept.size() > before) {
      EXPECT_EQ(copied, 0u) << size;
      ++taken;
    } else {
      ++copied;
    }
    ASSERT_TRUE(pair_.Settle().ok());
    const Protocol::Events events = pair_.TakeServerEvents();
    EXPECT_EQ(TextOf(*Find(events, Event::kMessage)), text_);
    EXPECT_EQ(*Find(events, Event::kIncoming)->metadata->Get("key"), std::string(size, 'v'));
  }
  EXPECT_GT(taken, 0u);
  EXPECT_GT(copied, 0u);
}

TEST_F(AheadTest, WhatWaitsKeepsItsMemoryAndLeavesWithIt) {
  const OpenCall call(pair_);
  const Payload payload = PayloadOf(text_);
  payload.WriteAhead();
  const uint8_t* const bytes = BytesOf(payload);
  pair_.client_log.room = 0;
  EXPECT_EQ(pair_.client.Send(call.client, payload), SendResult::kQueued);
  EXPECT_EQ(payload.ahead, nullptr);
  EXPECT_EQ(pair_.client.account().queued, text_.size());
  pair_.client.Pump(pair_.now, pair_.client_events);
  EXPECT_EQ(pair_.client.account().queued, text_.size());  // there is no room yet

  pair_.client_log.room = SIZE_MAX;
  pair_.client.Pump(pair_.now, pair_.client_events);
  ExpectTaken(pair_.client_log, bytes);
  EXPECT_EQ(pair_.client.account().queued, 0u);
  EXPECT_NE(Find(pair_.client_events, Event::kWritable), nullptr);
  ASSERT_TRUE(pair_.Settle().ok());
  EXPECT_EQ(TextOf(*Find(pair_.server_events, Event::kMessage)), text_);
}

// A request that waits for room leaves with the OPEN, or without a message that the credit does not
// cover yet.
TEST_F(AheadTest, ARequestThatWaitsLeavesWhole) {
  for (const size_t size : {size_t{10'000}, size_t{300'000}}) {
    const std::string text(size, 'r');
    const Payload payload = PayloadOf(text);
    payload.WriteAhead();
    pair_.client_log.room = 0;
    ASSERT_TRUE(OpenWith(payload).ok());
    EXPECT_EQ(pair_.client.account().queued, size);
    pair_.client_log.room = SIZE_MAX;
    ASSERT_TRUE(pair_.Settle().ok());
    EXPECT_EQ(pair_.client.account().queued, 0u);
    const Protocol::Events events = pair_.TakeServerEvents();
    EXPECT_EQ(TextOf(*Find(events, Event::kMessage)), text);
  }
}

TEST_F(AheadTest, WhatGoesInPiecesIsSharedUntilTheLastHasGone) {
  const std::string text(300'000, 'p');
  auto pair = std::make_unique<MachinePair>();
  ASSERT_TRUE(pair->Settle().ok());
  FrameLog& log = pair->client_log;
  log.keeps_shares = true;
  const OpenCall call(*pair);
  const Payload payload = PayloadOf(text);
  payload.WriteAhead();
  const uint8_t* const memory = payload.ahead.get();
  EXPECT_EQ(pair->client.Send(call.client, payload), SendResult::kQueued);
  pair->client.Pump(pair->now, pair->client_events);
  EXPECT_NE(Find(pair->client_events, Event::kWritable), nullptr);
  ASSERT_EQ(log.shared.size(), text.size() / (16 << 10) + 1);
  for (const SharedMessageMemory& shared : log.shared) EXPECT_EQ(shared.get(), memory);
  ASSERT_TRUE(pair->Settle().ok());
  EXPECT_EQ(TextOf(*Find(pair->server_events, Event::kMessage)), text);

  EXPECT_EQ(pair->client.account().queued, 0u);
  const auto shared = [&pair] { return pair->client.account().shared; };
  log.shared.resize(1);
  EXPECT_EQ(shared(), text.size());
  log.shared.clear();
  EXPECT_EQ(shared(), 0u);

  // And of a call that is over, or a machine that is no more.
  payload.WriteAhead();
  EXPECT_EQ(pair->client.Send(call.client, payload), SendResult::kQueued);
  log.room = 1;
  pair->client.Pump(pair->now, pair->client_events);
  ASSERT_EQ(log.shared.size(), 1u);
  pair->client.Cancel(call.client, absl::CancelledError("enough"), pair->client_events);
  EXPECT_EQ(pair->client.account().queued, 0u);
  EXPECT_EQ(shared(), text.size());
  const SharedMessageMemory last = log.shared[0];
  pair = nullptr;
  EXPECT_EQ(last.use_count(), 1);
  EXPECT_EQ(last.get()[Payload::kHeadroom], 'p');
}

TEST_F(AheadTest, ASinkThatDoesNotTakeMemoryIsGivenACopy) {
  pair_.client_log.keeps_memory = false;
  const Payload payload = PayloadOf(text_);
  payload.WriteAhead();
  ASSERT_TRUE(OpenWith(payload).ok());
  EXPECT_TRUE(pair_.client_log.kept.empty());
  ASSERT_TRUE(pair_.Settle().ok());
  EXPECT_EQ(TextOf(*Find(pair_.server_events, Event::kMessage)), text_);
}

TEST_F(AheadTest, IsWrittenOnce) {
  struct Counted {
    int writes = 0;
  } counted;
  Payload payload;
  payload.size = 100;
  payload.object = &counted;
  payload.write = [](const void* object, uint8_t* to, size_t size) {
    ++const_cast<Counted*>(static_cast<const Counted*>(object))->writes;
    std::fill_n(to, size, uint8_t{'w'});
  };
  const OpenCall call(pair_);
  pair_.client_log.room = 0;
  payload.WriteAhead();
  payload.WriteAhead();
  EXPECT_EQ(pair_.client.Send(call.client, payload), SendResult::kQueued);
  pair_.client_log.room = SIZE_MAX;
  ASSERT_TRUE(pair_.Settle().ok());
  EXPECT_EQ(TextOf(*Find(pair_.server_events, Event::kMessage)), std::string(100, 'w'));
  EXPECT_EQ(counted.writes, 1);
}

// A writer that waits for each message to leave is never refused by those of its own that have, nor
// anybody else, however long the transport holds them.
TEST(SharingTest, WhatTheTransportStillHoldsWaitsNoMore) {
  const std::string longest(100'000, 'l');
  Limits limits;
  limits.max_send_message_size = longest.size();
  limits.max_queued_bytes = 2 * longest.size();
  MachinePair pair(limits, Limits());
  pair.client_log.keeps_shares = true;
  OpenCall a(pair), b(pair);
  for (int i = 0; i < 5; ++i) {
    for (const OpenCall* call : {&a, &b}) {
      ASSERT_EQ(pair.client.Send(call->client, PayloadOf(longest)), SendResult::kQueued) << i;
      ASSERT_TRUE(pair.Settle().ok());
      ASSERT_NE(Find(pair.TakeClientEvents(), Event::kWritable), nullptr);
      pair.server.Consumed(call->server, longest.size());
    }
    ASSERT_TRUE(pair.Settle().ok());
  }
  ASSERT_TRUE(pair.OpenUnary("small").ok());
}

// However little of them a peer leaves unacknowledged: what would make more is copied.
TEST(SharingTest, SharesAsManyBytesWithTheTransportAsMayWait) {
  const std::string first(120'000, 'f'), longest(150'000, 'l');
  Limits limits;
  limits.max_send_message_size = longest.size();
  limits.max_queued_bytes = 2 * longest.size();
  for (const size_t size : {29'999, 30'000, 30'001}) {
    SCOPED_TRACE(size);
    MachinePair pair(limits, Limits());
    FrameLog& log = pair.client_log;
    log.keeps_shares = true;
    OpenCall call(pair);
    const auto send = [&](const std::string& text) {
      ASSERT_EQ(pair.client.Send(call.client, PayloadOf(text)), SendResult::kQueued);
      ASSERT_TRUE(pair.Settle().ok());
      ASSERT_NE(Find(pair.TakeClientEvents(), Event::kWritable), nullptr);
      EXPECT_EQ(TextOf(*Find(pair.TakeServerEvents(), Event::kMessage)), text);
      pair.server.Consumed(call.server, text.size());
      ASSERT_TRUE(pair.Settle().ok());
    };
    send(first);
    send(longest);
    EXPECT_EQ(pair.client.account().shared, 270'000u);
    const size_t before = log.shared.size();
    const std::string last(size, 'x');
    send(last);
    EXPECT_EQ(log.shared.size() > before, size <= 30'000);
    EXPECT_EQ(pair.client.account().shared, 270'000u + (size <= 30'000 ? size : 0));
    EXPECT_EQ(pair.client.account().queued, 0u);
    log.shared.clear();
    EXPECT_EQ(pair.client.account().shared, 0u);
    send(last);
    EXPECT_FALSE(log.shared.empty());
  }
}

}  // namespace
}  // namespace anywire::protocol
