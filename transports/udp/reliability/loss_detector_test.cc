#include "transports/udp/reliability/loss_detector.h"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace anywire::udp {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Instant kStart{std::chrono::hours(1)};
constexpr Duration kRtt = milliseconds(40);

// Keeps what it is told.
class Congestion final : public CongestionController {
 public:
  void OnAcked(Instant, Instant, size_t bytes, Duration, bool limited) override {
    acked += bytes;
    was_limited = limited;
  }
  void OnLost(Instant, Instant) override { ++losses; }
  void OnPersistentCongestion() override { ++persistent; }
  void SetDatagramSize(size_t) override {}
  size_t window() const override { return 100'000; }

  size_t acked = 0;
  bool was_limited = false;
  int losses = 0;
  int persistent = 0;
};

class LossDetectorTest : public ::testing::Test, public LossDetector::Listener {
 protected:
  void OnPieceAcked(const FramePiece& piece) override { acked_.push_back(piece.frame_id); }
  void OnPieceLost(const FramePiece& piece) override { lost_.push_back(piece.frame_id); }
  void OnPacketAcked(Instant, const SentPacket&) override { ++acked_packets_; }
  void OnPacketLost(Instant, const SentPacket&) override { ++lost_packets_; }

  // Sends a packet with one piece, of a frame whose id is the packet's number.
  void Send(Instant at, size_t size = 1000, bool is_mtu_probe = false) {
    const uint64_t number = detector_.next_number();
    if (!is_mtu_probe) detector_.AddPiece({.frame_id = number, .begin = 0, .end = 1});
    detector_.OnPacketSent({.time_sent = at,
                            .size = static_cast<uint32_t>(size),
                            .ack_eliciting = true,
                            .is_mtu_probe = is_mtu_probe});
  }
  const char* Ack(Instant at, std::vector<Interval> ranges, uint64_t delay_us = 0) {
    AckChunk ack;
    ack.delay_us = delay_us;
    ack.count = ranges.size();
    std::copy(ranges.begin(), ranges.end(), ack.ranges);
    return detector_.OnAck(at, ack);
  }

  Congestion congestion_;
  LossDetector detector_{Options(), congestion_, *this};
  std::vector<uint64_t> acked_, lost_;
  int acked_packets_ = 0, lost_packets_ = 0;
};

TEST_F(LossDetectorTest, AcknowledgedPacketsLeave) {
  for (int i = 0; i < 3; ++i) Send(kStart);
  EXPECT_EQ(3000u, detector_.bytes_in_flight());
  EXPECT_EQ(97'000u, detector_.window_left());
  EXPECT_EQ(nullptr, Ack(kStart + kRtt, {{0, 3}}));
  EXPECT_THAT(acked_, ElementsAre(0, 1, 2));
  EXPECT_THAT(lost_, IsEmpty());
  EXPECT_EQ(0u, detector_.bytes_in_flight());
  EXPECT_EQ(0u, detector_.remembered());
  EXPECT_EQ(3000u, congestion_.acked);
  EXPECT_EQ(kRtt, detector_.rtt().smoothed());
  EXPECT_EQ(kNever, detector_.timer());
  EXPECT_EQ(nullptr, Ack(kStart + 2 * kRtt, {{0, 3}})) << "again, which changes nothing";
  EXPECT_EQ(3000u, congestion_.acked);
}

TEST_F(LossDetectorTest, ThreeLaterPacketsMakeALoss) {
  for (int i = 0; i < 4; ++i) Send(kStart);
  Ack(kStart + kRtt, {{1, 3}});
  EXPECT_THAT(lost_, IsEmpty()) << "two later ones do not";
  Ack(kStart + kRtt, {{1, 4}});
  EXPECT_THAT(lost_, ElementsAre(0));
  EXPECT_EQ(1, congestion_.losses);
  EXPECT_EQ(0u, detector_.bytes_in_flight());
}

TEST_F(LossDetectorTest, TimeMakesALoss) {
  Send(kStart);
  Send(kStart);
  Ack(kStart + kRtt, {{1, 2}});
  EXPECT_THAT(lost_, IsEmpty());
  const Instant due = kStart + kRtt * 9 / 8;
  EXPECT_EQ(due, detector_.timer());
  EXPECT_EQ(0, detector_.OnTimer(due - Duration(1)));
  EXPECT_THAT(lost_, IsEmpty());
  EXPECT_EQ(0, detector_.OnTimer(due));
  EXPECT_THAT(lost_, ElementsAre(0));
  EXPECT_EQ(kNever, detector_.timer());
  EXPECT_EQ(0u, detector_.remembered());
}

TEST_F(LossDetectorTest, SilenceMakesProbesWithDoublingPauses) {
  detector_.SetPeerMaxAckDelay(milliseconds(5));
  Send(kStart);
  Ack(kStart + kRtt, {{0, 1}});
  const Instant sent = kStart + milliseconds(100);
  Send(sent);
  Send(sent);
  // 40 + 4 * 20 + 5
  const Duration timeout = milliseconds(125);
  EXPECT_EQ(timeout, detector_.ProbeTimeout());
  EXPECT_EQ(sent + timeout, detector_.timer());
  EXPECT_EQ(0, detector_.OnTimer(sent + timeout - Duration(1)));
  EXPECT_EQ(2, detector_.OnTimer(sent + timeout));
  EXPECT_EQ(1, detector_.probe_timeouts());
  EXPECT_EQ(2000u, detector_.bytes_in_flight()) << "nothing is lost yet";
  EXPECT_EQ(0, congestion_.losses);
  Send(sent + timeout);
  EXPECT_EQ(sent + timeout + 2 * timeout, detector_.timer());
  EXPECT_EQ(2, detector_.OnTimer(sent + 3 * timeout));
  EXPECT_EQ(sent + 3 * timeout + 4 * timeout, detector_.timer()) << "though nothing was sent";
  Ack(sent + 4 * timeout, {{3, 4}});
  EXPECT_EQ(0, detector_.probe_timeouts());
}

TEST_F(LossDetectorTest, BackoffHasAnEnd) {
  Send(kStart);
  for (int i = 0; i < 100; ++i) detector_.OnTimer(detector_.timer());
  const Instant sent = detector_.timer();
  Send(sent);
  EXPECT_EQ(sent + LossDetector::kMaxProbeTimeout, detector_.timer());
}

// A peer may hold an acknowledgement back for as long as it keeps the connection alive otherwise.
TEST_F(LossDetectorTest, ARoundTripOfDaysOverflowsNothing) {
  constexpr Duration kDays = std::chrono::hours(100);
  detector_.SeedRtt(kStart, milliseconds(1));
  Send(kStart);
  Instant now = kStart + kDays;
  Ack(now, {{0, 1}});
  EXPECT_EQ(LossDetector::kMaxProbeTimeout, detector_.ProbeTimeout());
  Send(now);
  for (int i = 0; i < LossDetector::kMaxBackoff + 5; ++i) {
    EXPECT_EQ(now + LossDetector::kMaxProbeTimeout, detector_.timer()) << i;
    now = detector_.timer();
    EXPECT_EQ(2, detector_.OnTimer(now));
  }
}

TEST_F(LossDetectorTest, ProbesCarryTheOldestThatIsInFlight) {
  for (int i = 0; i < 5; ++i) Send(kStart);
  Ack(kStart + kRtt, {{2, 3}, {0, 1}});
  detector_.ResendOldest(2);
  EXPECT_THAT(lost_, ElementsAre(1, 3));
  EXPECT_EQ(0, lost_packets_);
  EXPECT_EQ(3000u, detector_.bytes_in_flight());
}

TEST_F(LossDetectorTest, AcknowledgementsOfWhatWasNotSent) {
  EXPECT_NE(nullptr, Ack(kStart, {{0, 1}}));
  Send(kStart);
  Send(kStart);
  EXPECT_EQ(nullptr, Ack(kStart, {{1, 2}}));
  EXPECT_NE(nullptr, Ack(kStart, {{1, 3}}));
}

TEST_F(LossDetectorTest, ANumberLeftOutIsATrap) {
  Send(kStart);
  detector_.SkipNumber();
  Send(kStart);
  EXPECT_EQ(3u, detector_.next_number());
  EXPECT_EQ(nullptr, Ack(kStart + kRtt, {{2, 3}, {0, 1}}));
  EXPECT_EQ(0u, detector_.remembered());
  EXPECT_NE(nullptr, Ack(kStart + kRtt, {{0, 3}})) << "also when all of it has been forgotten";
}

TEST_F(LossDetectorTest, AcksAloneAreNotInFlight) {
  for (uint64_t i = 0; i < 1000; ++i) {
    detector_.OnPacketSent({.time_sent = kStart, .size = 30, .has_ack = true});
  }
  EXPECT_EQ(0u, detector_.bytes_in_flight());
  EXPECT_EQ(0u, detector_.remembered()) << "nor remembered for long";
  EXPECT_EQ(kNever, detector_.timer());
}

TEST_F(LossDetectorTest, ALostMtuProbeIsNoCongestion) {
  Send(kStart, 1452, true);
  for (int i = 0; i < 3; ++i) Send(kStart);
  Ack(kStart + kRtt, {{1, 4}});
  EXPECT_EQ(1, lost_packets_);
  EXPECT_EQ(0, congestion_.losses);
  EXPECT_EQ(0u, detector_.bytes_in_flight());
}

TEST_F(LossDetectorTest, MtuProbesAreBesideTheWindow) {
  Send(kStart, 60'000, true);
  EXPECT_EQ(0u, detector_.bytes_in_flight());
  EXPECT_NE(kNever, detector_.timer()) << "but it is to be found lost";
  Ack(kStart + kRtt, {{0, 1}});
  EXPECT_EQ(1, acked_packets_);
  EXPECT_EQ(0u, detector_.bytes_in_flight());
  EXPECT_EQ(0u, congestion_.acked) << "nor does it make it grow";
  EXPECT_EQ(kRtt, detector_.rtt().smoothed());
}

TEST_F(LossDetectorTest, PeersDelayCountsOnlyAsFarAsItWasAnnounced) {
  detector_.SetPeerMaxAckDelay(milliseconds(2));
  Send(kStart);
  Ack(kStart + kRtt, {{0, 1}});
  Send(kStart + kRtt);
  Ack(kStart + kRtt + milliseconds(60), {{1, 2}}, 50'000);
  EXPECT_EQ((7 * Duration(kRtt) + milliseconds(58)) / 8, detector_.rtt().smoothed());
}

TEST_F(LossDetectorTest, ALateAckOfAnOldPacketIsNoSample) {
  Send(kStart);
  Send(kStart);
  Ack(kStart + kRtt, {{1, 2}});
  Ack(kStart + 3 * kRtt / 2, {{0, 2}});
  EXPECT_EQ(kRtt, detector_.rtt().smoothed()) << "its largest was not new";
}

// RFC 9002, section 5.1: the largest is new, and something new asked for the acknowledgement.
TEST_F(LossDetectorTest, WhoMostlyAcknowledgesHasSamplesToo) {
  const auto send_ack = [this](Instant at) {
    detector_.OnPacketSent({.time_sent = at, .size = 30, .has_ack = true});
  };
  Send(kStart);
  Send(kStart);
  Ack(kStart + kRtt, {{1, 2}});
  send_ack(kStart + kRtt / 2);
  Ack(kStart + 5 * kRtt, {{2, 3}});
  EXPECT_EQ(kRtt, detector_.rtt().latest()) << "nothing new asked for that";
  Send(kStart + kRtt);
  send_ack(kStart + 2 * kRtt);
  Ack(kStart + 4 * kRtt, {{3, 5}});
  EXPECT_EQ(2 * kRtt, detector_.rtt().latest());
  Send(kStart + 5 * kRtt);
  Ack(kStart + 20 * kRtt, {{5, 6}, {3, 5}});
  EXPECT_EQ(15 * kRtt, detector_.rtt().latest());
}

TEST_F(LossDetectorTest, ALongTimeInWhichAllIsLostIsPersistentCongestion) {
  // Until the round trip varies no more, and so the probe timeout stays what it is.
  for (uint64_t i = 0; i < 100; ++i) {
    Send(kStart);
    Ack(kStart + kRtt, {{i, i + 1}});
  }
  const Instant begin = kStart + milliseconds(100);
  const Duration long_enough = 3 * detector_.ProbeTimeout();
  for (const bool is_long : {false, true}) {
    const uint64_t first = detector_.next_number();
    const Instant from = begin + (is_long ? std::chrono::seconds(10) : std::chrono::seconds(0));
    Send(from);
    Send(from + long_enough + (is_long ? Duration(1) : Duration(0)));
    Send(from + long_enough + 4 * kRtt);
    Ack(from + long_enough + 5 * kRtt, {{first + 2, first + 3}});
    EXPECT_EQ(is_long ? 1 : 0, congestion_.persistent);
    EXPECT_EQ(is_long ? 2 : 1, congestion_.losses);
  }
}

TEST_F(LossDetectorTest, AnAckInBetweenIsNoPersistentCongestion) {
  Send(kStart);
  Ack(kStart + kRtt, {{0, 1}});
  const Instant begin = kStart + milliseconds(100);
  const Duration long_time = 10 * detector_.ProbeTimeout();
  Send(begin);
  Send(begin + long_time / 2);
  Send(begin + long_time);
  Send(begin + long_time + 4 * kRtt);
  Ack(begin + long_time + 5 * kRtt, {{4, 5}, {2, 3}});
  EXPECT_THAT(lost_, ElementsAre(1, 3));
  EXPECT_EQ(0, congestion_.persistent);
}

TEST_F(LossDetectorTest, AppLimitedIsPassedOn) {
  detector_.SetAppLimited(false);
  Send(kStart);
  Ack(kStart + kRtt, {{0, 1}});
  EXPECT_TRUE(congestion_.was_limited);
  detector_.SetAppLimited(true);
  Send(kStart);
  Ack(kStart + kRtt, {{1, 2}});
  EXPECT_FALSE(congestion_.was_limited);
}

TEST_F(LossDetectorTest, RememberedPacketsAreLimited) {
  while (detector_.MayRemember()) Send(kStart, 1);
  EXPECT_EQ(LossDetector::kMaxPackets, detector_.remembered());
  EXPECT_EQ(0, lost_packets_);
  Send(kStart, 1);  // a probe
  EXPECT_EQ(LossDetector::kMaxPackets, detector_.remembered());
  EXPECT_THAT(lost_, ElementsAre(0)) << "the oldest makes room";
  EXPECT_EQ(1, congestion_.losses);
  EXPECT_EQ(LossDetector::kMaxPackets, detector_.bytes_in_flight());
}

// A peer that acknowledges nothing and asks for acknowledgements.
TEST_F(LossDetectorTest, AcksBehindAnUnacknowledgedPacketAreLimited) {
  Send(kStart);
  const auto send_ack = [this] {
    detector_.OnPacketSent({.time_sent = kStart, .size = 30, .has_ack = true});
  };
  while (detector_.remembered() < LossDetector::kMaxPackets - 1) send_ack();
  EXPECT_TRUE(detector_.MayRemember());
  send_ack();
  EXPECT_EQ(LossDetector::kMaxPackets, detector_.remembered());
  EXPECT_FALSE(detector_.MayRemember());
  EXPECT_THAT(lost_, IsEmpty());
  send_ack();
  EXPECT_THAT(lost_, ElementsAre(0));
  EXPECT_EQ(1, congestion_.losses);
  EXPECT_EQ(0u, detector_.remembered()) << "nothing holds up the others any more";
  EXPECT_EQ(0u, detector_.bytes_in_flight());
  EXPECT_EQ(kNever, detector_.timer());
}

TEST_F(LossDetectorTest, AnMtuProbeThatMakesRoomIsNoCongestion) {
  Send(kStart, 1452, true);
  while (detector_.MayRemember()) Send(kStart, 1);
  Send(kStart, 1);
  EXPECT_EQ(1, lost_packets_);
  EXPECT_EQ(0, congestion_.losses);
}

// Whatever is acknowledged, every packet is told of exactly once, and nothing stays.
TEST_F(LossDetectorTest, RandomAcks) {
  std::mt19937_64 random(test::TestSeed(9));
  Instant now = kStart;
  std::set<uint64_t> sent;
  for (int i = 0; i < 20'000; ++i) {
    now += microseconds(random() % 2000);
    if (random() % 4 != 0) {
      sent.insert(detector_.next_number());
      Send(now);
      continue;
    }
    if (now >= detector_.timer()) detector_.OnTimer(now);
    if (detector_.next_number() == 0) continue;
    AckChunk ack;
    ack.count = 0;
    uint64_t end =
        detector_.next_number() - random() % std::min<uint64_t>(detector_.next_number(), 20);
    while (end > 0 && ack.count < 5) {
      const uint64_t begin = end - 1 - random() % std::min<uint64_t>(end, 6);
      ack.ranges[ack.count++] = {begin, end};
      if (begin < 10) break;
      end = begin - 1 - random() % 5;
    }
    ASSERT_EQ(nullptr, detector_.OnAck(now, ack));
  }
  const uint64_t last = detector_.next_number();
  sent.insert(last);
  Send(now);
  now += std::chrono::seconds(100);
  Ack(now, {{last, last + 1}});
  for (int i = 0; i < 3 && detector_.timer() != kNever; ++i) detector_.OnTimer(detector_.timer());
  std::multiset<uint64_t> told(acked_.begin(), acked_.end());
  told.insert(lost_.begin(), lost_.end());
  EXPECT_EQ(std::multiset<uint64_t>(sent.begin(), sent.end()), told);
  EXPECT_EQ(static_cast<size_t>(acked_packets_ + lost_packets_), sent.size());
  EXPECT_GT(lost_packets_, 100);
  EXPECT_EQ(0u, detector_.bytes_in_flight());
  EXPECT_EQ(0u, detector_.remembered());
}

}  // namespace
}  // namespace anywire::udp
