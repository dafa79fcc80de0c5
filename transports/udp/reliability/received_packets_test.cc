#include "transports/udp/reliability/received_packets.h"

#include <algorithm>
#include <random>
#include <set>

#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace anywire::udp {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Instant kNow{std::chrono::hours(1)};

Options Patient() {
  Options options;
  options.max_ack_delay = milliseconds(1);
  return options;
}

// What the next ACK says; no ranges when there is none.
AckChunk NextAck(ReceivedPackets& packets, Instant now) {
  uint8_t bytes[1000];
  ChunkWriter writer(bytes);
  AckChunk none;
  if (!packets.WriteAck(now, writer)) return none;
  packets.OnAckSent();
  ChunkReader reader(absl::MakeConstSpan(bytes, writer.size()));
  EXPECT_TRUE(reader.Next()) << reader.error();
  return reader.ack();
}

TEST(ReceivedPacketsTest, InOrderIsAcknowledgedWithDelay) {
  ReceivedPackets packets(Patient());
  EXPECT_EQ(kNever, packets.ack_due());
  packets.Record(kNow, 0, 100, true);
  EXPECT_EQ(kNow + milliseconds(1), packets.ack_due());
  packets.Record(kNow + microseconds(300), 1, 100, true);
  EXPECT_EQ(kNow + milliseconds(1), packets.ack_due()) << "the first waits no longer";
  const AckChunk ack = NextAck(packets, kNow + microseconds(500));
  ASSERT_EQ(1u, ack.count);
  EXPECT_EQ((Interval{0, 2}), ack.ranges[0]);
  EXPECT_EQ(200u, ack.delay_us);
  EXPECT_EQ(kNever, packets.ack_due());
  EXPECT_EQ(0u, NextAck(packets, kNow).count) << "once is enough";
}

TEST(ReceivedPacketsTest, SeveralAreAcknowledgedAtOnce) {
  Options options = Patient();
  options.ack_every = 10;
  ReceivedPackets packets(options);
  for (uint64_t i = 0; i < 9; ++i) packets.Record(kNow, i, 100, true);
  EXPECT_EQ(kNow + milliseconds(1), packets.ack_due());
  packets.Record(kNow, 9, 100, true);
  EXPECT_EQ(kNow, packets.ack_due());
}

TEST(ReceivedPacketsTest, LargeOnesAreAcknowledgedEarlier) {
  Options options;
  options.ack_every = 10;
  options.ack_every_bytes = 3000;
  ReceivedPackets packets(options);
  packets.Record(kNow, 0, 1000, true);
  packets.Record(kNow, 1, 5000, false);
  packets.Record(kNow, 2, 1999, true);
  EXPECT_LT(kNow, packets.ack_due()) << "a byte is missing";
  packets.Record(kNow, 3, 1, true);
  EXPECT_EQ(kNow, packets.ack_due());
  packets.OnAckSent();
  packets.Record(kNow, 4, 2999, true);
  EXPECT_LT(kNow, packets.ack_due());
}

TEST(ReceivedPacketsTest, GapsAndLateOnesAreToldAtOnce) {
  ReceivedPackets packets(Patient());
  packets.Record(kNow, 0, 100, true);
  NextAck(packets, kNow);
  packets.Record(kNow, 2, 100, true);
  EXPECT_EQ(kNow, packets.ack_due());
  NextAck(packets, kNow);
  packets.Record(kNow, 1, 100, true);
  EXPECT_EQ(kNow, packets.ack_due());
  NextAck(packets, kNow);
  packets.Record(kNow, 3, 100, true);
  EXPECT_EQ(kNow + milliseconds(1), packets.ack_due());
}

// Or acknowledgements would answer each other for ever.
TEST(ReceivedPacketsTest, AcksAloneAreNotAcknowledged) {
  ReceivedPackets packets(Patient());
  packets.Record(kNow, 0, 100, false);
  packets.Record(kNow, 5, 100, false);
  EXPECT_EQ(kNever, packets.ack_due());
  EXPECT_EQ(0u, NextAck(packets, kNow).count);
  packets.Record(kNow, 6, 100, true);
  EXPECT_EQ(2u, NextAck(packets, kNow).count) << "but told with the next that is";
}

TEST(ReceivedPacketsTest, EachIsNewOnce) {
  std::mt19937_64 random(test::TestSeed(8));
  ReceivedPackets packets(Patient());
  std::set<uint64_t> seen;
  uint64_t top = 0;
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t number = top - std::min<uint64_t>(top, random() % 300);
    top += random() % 3;
    if (seen.count(number) != 0) {
      ASSERT_FALSE(packets.IsNew(number));
    }
    if (!packets.IsNew(number)) continue;
    seen.insert(number);
    packets.Record(kNow, number, 100, true);
    ASSERT_FALSE(packets.IsNew(number));
    ASSERT_LE(packets.ranges(), ReceivedPackets::kMaxRanges);
  }
  EXPECT_GT(seen.size(), 5000u);
}

TEST(ReceivedPacketsTest, RangesAreLimitedAndWhatIsBelowCountsAsReceived) {
  ReceivedPackets packets(Patient());
  for (uint64_t i = 0; i < ReceivedPackets::kMaxRanges; ++i) packets.Record(kNow, 2 * i, 100, true);
  EXPECT_EQ(ReceivedPackets::kMaxRanges, packets.ranges());
  EXPECT_TRUE(packets.IsNew(1));
  packets.Record(kNow, 1000, 100, true);
  EXPECT_EQ(ReceivedPackets::kMaxRanges, packets.ranges());
  EXPECT_FALSE(packets.IsNew(0)) << "the lowest range has been forgotten";
  EXPECT_TRUE(packets.IsNew(1));
  const AckChunk ack = NextAck(packets, kNow);
  EXPECT_EQ(ReceivedPackets::kMaxToldRanges, ack.count);
  EXPECT_EQ(1000u, ack.largest());
}

TEST(ReceivedPacketsTest, WhatThePeerKnowsIsNotToldAgain) {
  ReceivedPackets packets(Patient());
  for (const uint64_t number : {0, 2, 4, 6}) packets.Record(kNow, number, 100, true);
  EXPECT_EQ(4u, NextAck(packets, kNow).count);
  packets.OnAckReceived(6);
  packets.Record(kNow, 8, 100, true);
  EXPECT_EQ(2u, NextAck(packets, kNow).count) << "6, up to which it knows, and 8";
  packets.Record(kNow, 3, 100, true);  // late
  const AckChunk ack = NextAck(packets, kNow);
  ASSERT_EQ(3u, ack.count);
  EXPECT_EQ((Interval{2, 5}), ack.ranges[2]);
}

}  // namespace
}  // namespace anywire::udp
