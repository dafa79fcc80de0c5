#include "tests/support/network_path.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace anywire::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using Instant = PathDirection::Instant;
using Fate = PathDirection::Fate;

class NetworkPathTest : public ::testing::Test {
 protected:
  Fate Send(size_t size = 100) { return path_.Send(options_, now_, size, random_); }
  // The copies of so many packets, a millisecond apart.
  std::vector<int> Copies(int packets) {
    std::vector<int> copies;
    for (int i = 0; i < packets; ++i, now_ += milliseconds(1)) copies.push_back(Send().copies);
    return copies;
  }

  std::mt19937_64 random_{TestSeed(31)};
  PathOptions options_;
  PathDirection path_;
  Instant now_{std::chrono::hours(1)};
};

TEST_F(NetworkPathTest, AGoodPathOnlyDelays) {
  for (int i = 0; i < 1000; ++i, now_ += microseconds(1)) {
    const Fate fate = Send();
    ASSERT_EQ(1, fate.copies);
    EXPECT_EQ(now_ + milliseconds(1), fate.arrivals[0]);
    EXPECT_FALSE(fate.corrupted);
  }
  EXPECT_EQ(1000u, path_.counts().arrived());
}

TEST_F(NetworkPathTest, JitterDelaysWithoutReordering) {
  options_.jitter = milliseconds(5);
  Instant last;
  Instant earliest = Instant::max(), latest;
  for (int i = 0; i < 1000; ++i) {
    const Instant arrives = Send().arrivals[0];
    EXPECT_LE(last, arrives);
    EXPECT_LE(now_ + milliseconds(1), arrives);
    EXPECT_GT(now_ + milliseconds(6), arrives);
    last = arrives;
    earliest = std::min(earliest, arrives - (now_ - Instant()));
    latest = std::max(latest, arrives - (now_ - Instant()));
    now_ += milliseconds(3);  // so that some would overtake those before
  }
  EXPECT_GT(latest - earliest, milliseconds(4));
  EXPECT_EQ(0u, path_.counts().reordered);
}

TEST_F(NetworkPathTest, SomeAreOvertaken) {
  options_.reorder = 20;
  int overtaken = 0;
  Instant last;
  for (int i = 0; i < 10'000; ++i, now_ += microseconds(10)) {
    const Instant arrives = Send().arrivals[0];
    EXPECT_LE(now_ + milliseconds(1), arrives);
    EXPECT_GE(now_ + milliseconds(5), arrives);
    overtaken += arrives < last;
    last = std::max(last, arrives);
  }
  EXPECT_NEAR(2000, path_.counts().reordered, 200);
  EXPECT_GT(overtaken, 1000);
}

TEST_F(NetworkPathTest, AShareIsLost) {
  for (const int loss : {0, 1, 30, 100}) {
    options_.loss = loss;
    const uint64_t before = path_.counts().lost;
    const std::vector<int> copies = Copies(10'000);
    const auto lost = static_cast<uint64_t>(std::count(copies.begin(), copies.end(), 0));
    EXPECT_NEAR(100 * loss, lost, 6 * std::sqrt(loss * (100 - loss)));
    EXPECT_EQ(lost, path_.counts().lost - before);
  }
}

TEST_F(NetworkPathTest, LossesComeInRows) {
  options_.loss = 10;
  options_.burst = 5;
  const std::vector<int> copies = Copies(50'000);
  size_t rows = 0;
  for (size_t i = 0; i < copies.size(); ++i) {
    if (copies[i] != 0) continue;
    size_t length = 0;
    while (i + length < copies.size() && copies[i + length] == 0) ++length;
    // Two rows may meet, and the last one may go on beyond the end.
    if (i + length < copies.size()) {
      EXPECT_EQ(0u, length % 5);
    }
    ++rows;
    i += length;
  }
  EXPECT_NEAR(5000, path_.counts().lost, 700);
  EXPECT_NEAR(1000, rows, 200);
}

TEST_F(NetworkPathTest, SomeComeTwice) {
  options_.duplicate = 10;
  const std::vector<int> copies = Copies(10'000);
  const auto twice = std::count(copies.begin(), copies.end(), 2);
  EXPECT_NEAR(1000, twice, 150);
  EXPECT_EQ(static_cast<uint64_t>(twice), path_.counts().duplicated);
  EXPECT_EQ(0, std::count(copies.begin(), copies.end(), 0));
}

TEST_F(NetworkPathTest, TheSecondOfTwoIsNoLaterThanADelay) {
  options_.duplicate = 100;
  for (int i = 0; i < 1000; ++i, now_ += milliseconds(10)) {
    const Fate fate = Send();
    ASSERT_EQ(2, fate.copies);
    EXPECT_EQ(now_ + milliseconds(1), fate.arrivals[1]);
    EXPECT_LE(fate.arrivals[1], fate.arrivals[0]);
    EXPECT_GE(now_ + milliseconds(2), fate.arrivals[0]);
  }
}

TEST_F(NetworkPathTest, TheMtuIsTheLargest) {
  options_.mtu = 1200;
  EXPECT_EQ(1, Send(1199).copies);
  EXPECT_EQ(1, Send(1200).copies);
  EXPECT_EQ(0, Send(1201).copies);
  EXPECT_EQ(1u, path_.counts().too_large);
}

TEST_F(NetworkPathTest, ABottleneckTakesItsTime) {
  options_.bandwidth = 1e6;
  options_.queue = 100'000;
  for (int i = 1; i <= 10; ++i) {
    EXPECT_EQ(now_ + milliseconds(1) + i * milliseconds(1), Send(1000).arrivals[0]);
  }
  now_ += milliseconds(50);  // by then it is idle again
  EXPECT_EQ(now_ + milliseconds(2), Send(1000).arrivals[0]);
}

TEST_F(NetworkPathTest, TheQueueHasAnEnd) {
  options_.bandwidth = 1e6;
  options_.queue = 3000;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(1, Send(1000).copies) << i;  // before which up to 3000 wait
  EXPECT_EQ(0, Send(1).copies);
  EXPECT_EQ(1u, path_.counts().overflowed);
  now_ += milliseconds(1);
  EXPECT_EQ(1, Send(1).copies);
  EXPECT_EQ(0, Send(1).copies);
}

TEST_F(NetworkPathTest, APartitionLastsAsLongAsItIsOn) {
  EXPECT_EQ(1, Send().copies);
  path_.Partition(true);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(0, Send().copies);
  path_.Partition(false);
  EXPECT_EQ(1, Send().copies);
  EXPECT_EQ(10u, path_.counts().partitioned);
  EXPECT_EQ(2u, path_.counts().arrived());
}

TEST_F(NetworkPathTest, SomeAreDamaged) {
  options_.corrupt = 10;
  int corrupted = 0;
  for (int i = 0; i < 10'000; ++i) corrupted += Send().corrupted;
  EXPECT_NEAR(1000, corrupted, 150);
  EXPECT_EQ(static_cast<uint64_t>(corrupted), path_.counts().corrupted);
}

TEST_F(NetworkPathTest, DamageIsOfAFewBitsOrOfTheEnd) {
  int changed = 0, shorter = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::vector<uint8_t> before(200, 0x55);
    std::vector<uint8_t> after = before;
    const size_t left = Corrupt(absl::MakeSpan(after), random_);
    ASSERT_LE(left, before.size());
    shorter += left < before.size();
    int bits = 0;
    for (size_t j = 0; j < before.size(); ++j) bits += __builtin_popcount(before[j] ^ after[j]);
    EXPECT_LE(bits, 8);
    changed += bits > 0;
  }
  EXPECT_NEAR(125, shorter, 50);
  EXPECT_GT(changed, 900);  // one bit may be flipped twice
}

TEST_F(NetworkPathTest, NothingOfAnEmptyPacketIsDamaged) { EXPECT_EQ(0u, Corrupt({}, random_)); }

TEST_F(NetworkPathTest, ASeedIsAFate) {
  options_ = {.jitter = milliseconds(2),
              .reorder = 10,
              .loss = 10,
              .burst = 2,
              .duplicate = 10,
              .corrupt = 10};
  const auto run = [this](uint64_t seed) {
    std::mt19937_64 random(seed);
    PathDirection path;
    std::vector<Instant> arrivals;
    for (int i = 0; i < 1000; ++i) {
      const Fate fate = path.Send(options_, now_ + i * microseconds(10), 100, random);
      arrivals.insert(arrivals.end(), fate.arrivals, fate.arrivals + fate.copies);
    }
    return arrivals;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

class BothWaysTest : public ::testing::Test {
 protected:
  using Path = NetworkPath<int>;

  void Send(int route, size_t size = 10, Towards towards = Towards::kServer) {
    path_.Send({towards, route, std::vector<uint8_t>(size)}, now_);
  }
  // The routes of all that is on its way, as it arrives.
  std::vector<int> TakeAll() {
    std::vector<int> routes;
    while (path_.NextArrival() != Instant::max()) routes.push_back(path_.Take().route);
    return routes;
  }

  std::mt19937_64 random_{TestSeed(32)};
  const Instant now_{std::chrono::hours(1)};
  static constexpr size_t kRoom = 3 * (10 + Path::kPacketCost);
  Path path_{PathOptions(), random_, kRoom};
};

TEST_F(BothWaysTest, FirstSentFirstArrived) {
  Send(1);
  path_.Send({Towards::kClient, 2, {7, 8}}, now_ - milliseconds(1));
  Send(3);
  EXPECT_EQ(now_, path_.NextArrival());
  const Path::Packet first = path_.Take();
  EXPECT_EQ(Towards::kClient, first.towards);
  EXPECT_EQ(2, first.route);
  EXPECT_EQ((std::vector<uint8_t>{7, 8}), first.bytes);
  EXPECT_EQ(now_ + milliseconds(1), path_.NextArrival());
  EXPECT_EQ((std::vector<int>{1, 3}), TakeAll());
}

TEST_F(BothWaysTest, ThereIsRoomForSoMuch) {
  Send(1);
  Send(2);
  Send(3, 11);  // a byte too much
  Send(4, 10);  // what there is room for
  Send(5, 0);
  EXPECT_EQ((std::vector<int>{1, 2, 4}), TakeAll());
  EXPECT_EQ(2u, path_.counts(Towards::kServer).overflowed);
  EXPECT_EQ(3u, path_.counts(Towards::kServer).arrived());
  Send(6);  // the room of those that have arrived
  EXPECT_EQ((std::vector<int>{6}), TakeAll());
}

TEST_F(BothWaysTest, CopiesTakeRoomToo) {
  path_.options().duplicate = 100;
  for (int i = 0; i < 5; ++i) Send(i);
  EXPECT_EQ(4u, TakeAll().size()) << "two, and the copy of the second";
  EXPECT_EQ(3u, path_.counts(Towards::kServer).overflowed);
}

TEST_F(BothWaysTest, ACopyIsUndamaged) {
  path_.options().duplicate = 100;
  path_.options().corrupt = 100;
  int undamaged = 0;
  for (int i = 0; i < 100; ++i) {
    Send(i);
    while (path_.NextArrival() != Instant::max()) {
      undamaged += path_.Take().bytes == std::vector<uint8_t>(10);
    }
  }
  EXPECT_GE(undamaged, 100);
  EXPECT_LE(undamaged, 120) << "one bit may be flipped twice";
}

TEST_F(BothWaysTest, APartitionIsOfOneDirection) {
  path_.Partition(Towards::kServer, true);
  Send(1);
  Send(2, 10, Towards::kClient);
  EXPECT_EQ((std::vector<int>{2}), TakeAll());
  path_.Partition(Towards::kServer, false);
  Send(3);
  EXPECT_EQ((std::vector<int>{3}), TakeAll());
  EXPECT_EQ(1u, path_.counts(Towards::kServer).partitioned);
  EXPECT_EQ(0u, path_.counts(Towards::kClient).partitioned);
}

}  // namespace
}  // namespace anywire::test
