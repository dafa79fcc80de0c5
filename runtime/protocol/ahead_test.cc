// Messages that are written before the command that sends them: the machine hands their memory on
// to a sink that takes it, keeps it while they wait, and writes them once.
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

}  // namespace
}  // namespace anywire::protocol
