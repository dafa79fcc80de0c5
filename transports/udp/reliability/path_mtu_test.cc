#include "transports/udp/reliability/path_mtu.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace anywire::udp {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Instant kNow{std::chrono::hours(1)};

// Probes until none is due, over a path that carries `carries`; returns how many it took.
int Search(PathMtu& mtu, Instant now, size_t carries) {
  int probes = 0;
  while (const size_t size = mtu.ProbeDue(now)) {
    mtu.OnProbeSent();
    EXPECT_EQ(0u, mtu.ProbeDue(now)) << "one at a time";
    if (size <= carries) {
      mtu.OnProbeAcked(now, size);
    } else {
      mtu.OnProbeLost(now, size);
    }
    if (++probes > 100) break;
  }
  return probes;
}

TEST(PathMtuTest, TheUpperBoundIsTriedFirst) {
  PathMtu mtu(65'507);
  EXPECT_EQ(kBaseDatagramSize, mtu.current());
  EXPECT_EQ(1, Search(mtu, kNow, 65'507));
  EXPECT_EQ(65'507u, mtu.current());
  EXPECT_EQ(0u, mtu.ProbeDue(kNow + 1000 * PathMtu::kRaiseInterval)) << "there is no more to find";
}

TEST(PathMtuTest, AnySizeIsFoundToWithinAStep) {
  for (size_t carries = kBaseDatagramSize; carries <= 9000; carries += 61) {
    PathMtu mtu(9000);
    EXPECT_LE(Search(mtu, kNow, carries), 40) << carries;
    EXPECT_LE(mtu.current(), carries);
    EXPECT_GE(mtu.current() + PathMtu::kSearchStep, std::min<size_t>(carries, 9000)) << carries;
  }
}

TEST(PathMtuTest, NothingToSearchForAtTheBase) {
  PathMtu mtu(kBaseDatagramSize);
  EXPECT_EQ(0u, mtu.ProbeDue(kNow));
}

TEST(PathMtuTest, ASizeIsTooLargeAfterThreeLosses) {
  PathMtu mtu(1452);
  for (int i = 0; i < PathMtu::kMaxProbes; ++i) {
    EXPECT_EQ(1452u, mtu.ProbeDue(kNow)) << i;
    mtu.OnProbeSent();
    mtu.OnProbeLost(kNow, 1452);
  }
  EXPECT_EQ(1326u, mtu.ProbeDue(kNow)) << "half way";
}

TEST(PathMtuTest, LossesOfASizeThatPassesAreForgotten) {
  PathMtu mtu(1452);
  for (int i = 0; i < 2; ++i) {
    mtu.OnProbeSent();
    mtu.OnProbeLost(kNow, 1452);
  }
  mtu.OnProbeSent();
  mtu.OnProbeAcked(kNow, 1452);
  EXPECT_EQ(1452u, mtu.current());
}

TEST(PathMtuTest, SearchesAgainLater) {
  PathMtu mtu(9000);
  Search(mtu, kNow, 1500);
  const size_t before = mtu.current();
  EXPECT_LT(before, 1501u);
  EXPECT_EQ(0u, mtu.ProbeDue(kNow + PathMtu::kRaiseInterval - Duration(1)));
  EXPECT_EQ(1, Search(mtu, kNow + PathMtu::kRaiseInterval, 9000));
  EXPECT_EQ(9000u, mtu.current());
}

// Datagrams of that size are lost, each sent a millisecond after the one before was found lost.
// Returns whether the last led back to the base.
bool LoseInARow(PathMtu& mtu, Instant now, int count, size_t size) {
  bool is_black_hole = false;
  for (int i = 0; i < count; ++i, now += milliseconds(2)) {
    EXPECT_FALSE(is_black_hole) << i;
    is_black_hole = mtu.OnDatagramLost(now + milliseconds(1), now, size);
  }
  return is_black_hole;
}

TEST(PathMtuTest, ABlackHoleLeadsBackToTheBase) {
  PathMtu mtu(1452);
  EXPECT_FALSE(LoseInARow(mtu, kNow, 10, 1300)) << "what is at the base stays there";
  Search(mtu, kNow, 1452);
  EXPECT_FALSE(mtu.in_doubt());
  EXPECT_FALSE(LoseInARow(mtu, kNow, 10, kBaseDatagramSize)) << "these would be lost there, too";
  EXPECT_FALSE(LoseInARow(mtu, kNow, PathMtu::kBlackHoleLosses - 1, kBaseDatagramSize + 1));
  EXPECT_TRUE(mtu.in_doubt());
  EXPECT_EQ(1452u, mtu.current());
  const Instant found = kNow + milliseconds(100);
  EXPECT_TRUE(mtu.OnDatagramLost(found, found, 1452));
  EXPECT_FALSE(mtu.in_doubt());
  EXPECT_EQ(kBaseDatagramSize, mtu.current());
  EXPECT_EQ(0u, mtu.ProbeDue(found + PathMtu::kBlackHolePause - Duration(1)));
  EXPECT_EQ(1452u, mtu.ProbeDue(found + PathMtu::kBlackHolePause));
}

TEST(PathMtuTest, OneAsLargeThatArrivesIsNoBlackHole) {
  PathMtu mtu(1452);
  Search(mtu, kNow, 1452);
  EXPECT_FALSE(LoseInARow(mtu, kNow, PathMtu::kBlackHoleLosses - 1, 1400));
  mtu.OnDatagramAcked(1400);
  EXPECT_FALSE(mtu.in_doubt());
  EXPECT_FALSE(LoseInARow(mtu, kNow + milliseconds(50), PathMtu::kBlackHoleLosses - 1, 1400));
  mtu.OnDatagramAcked(1399);
  EXPECT_TRUE(LoseInARow(mtu, kNow + milliseconds(90), 1, 1400)) << "a smaller one says nothing";
}

TEST(PathMtuTest, LossesOfOneMomentAreOne) {
  PathMtu mtu(1452);
  Search(mtu, kNow, 1452);
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(mtu.OnDatagramLost(kNow + milliseconds(5), kNow + microseconds(i), 1452));
  }
  EXPECT_FALSE(LoseInARow(mtu, kNow + milliseconds(5), PathMtu::kBlackHoleLosses - 2, 1452));
  EXPECT_TRUE(LoseInARow(mtu, kNow + milliseconds(50), 1, 1452));
}

// An acknowledgement may come after the black hole was found, or of a probe given up.
TEST(PathMtuTest, LateNewsOfAProbe) {
  PathMtu mtu(1452);
  for (int i = 0; i < PathMtu::kMaxProbes; ++i) {
    mtu.OnProbeSent();
    mtu.OnProbeLost(kNow, 1452);
  }
  mtu.OnProbeAcked(kNow, 1452);
  EXPECT_EQ(kBaseDatagramSize, mtu.current()) << "known to be too large";
}

}  // namespace
}  // namespace anywire::udp
