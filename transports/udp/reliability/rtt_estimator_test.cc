#include "transports/udp/reliability/rtt_estimator.h"

#include "gtest/gtest.h"

namespace anywire::udp {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(RttEstimatorTest, BeforeTheFirstSampleItIsTheInitialOne) {
  const RttEstimator rtt{Options()};
  EXPECT_FALSE(rtt.has_sample());
  EXPECT_EQ(milliseconds(333), rtt.smoothed());
  // 333 + 4 * 166.5: about a second, as RFC 9002, section 6.2.2 says.
  EXPECT_EQ(milliseconds(999), rtt.ProbeTimeout(Duration(0)));
}

TEST(RttEstimatorTest, FirstSampleReplacesIt) {
  RttEstimator rtt{Options()};
  rtt.Update(milliseconds(40), milliseconds(1));
  EXPECT_EQ(milliseconds(40), rtt.smoothed()) << "the first is taken with its delay";
  EXPECT_EQ(milliseconds(20), rtt.variation());
  EXPECT_EQ(milliseconds(40), rtt.minimum());
  EXPECT_EQ(milliseconds(40 + 80 + 7), rtt.ProbeTimeout(milliseconds(7)));
}

// The formulas of RFC 9002, section 5.3.
TEST(RttEstimatorTest, LaterSamplesAreWeighed) {
  RttEstimator rtt{Options()};
  rtt.Update(milliseconds(40), Duration(0));
  rtt.Update(milliseconds(60), milliseconds(4));  // 56 without the peer's delay
  EXPECT_EQ((7 * Duration(milliseconds(40)) + milliseconds(56)) / 8, rtt.smoothed());
  EXPECT_EQ((3 * Duration(milliseconds(20)) + milliseconds(16)) / 4, rtt.variation());
  EXPECT_EQ(milliseconds(60), rtt.latest());
  EXPECT_EQ(milliseconds(40), rtt.minimum());
}

TEST(RttEstimatorTest, PeersDelayDoesNotMakeThePathFasterThanItEverWas) {
  RttEstimator rtt{Options()};
  rtt.Update(milliseconds(40), Duration(0));
  rtt.Update(milliseconds(44), milliseconds(4));
  EXPECT_EQ(milliseconds(40), rtt.smoothed());
  rtt.Update(milliseconds(43), milliseconds(4));
  EXPECT_EQ((7 * Duration(milliseconds(40)) + milliseconds(43)) / 8, rtt.smoothed());
  rtt.Update(milliseconds(30), Duration(0));
  EXPECT_EQ(milliseconds(30), rtt.minimum());
}

TEST(RttEstimatorTest, GranularityIsTheLeast) {
  Options options;
  options.granularity = microseconds(100);
  RttEstimator rtt(options);
  for (int i = 0; i < 100; ++i) rtt.Update(microseconds(16), Duration(0));
  EXPECT_EQ(microseconds(100), rtt.LossDelay());
  EXPECT_EQ(microseconds(116), rtt.ProbeTimeout(Duration(0)));
  rtt.Update(milliseconds(8), Duration(0));
  EXPECT_EQ(milliseconds(9), rtt.LossDelay()) << "9/8 of the latest, when that is more";
}

TEST(RttEstimatorTest, AClockThatStandsStillIsNoHarm) {
  RttEstimator rtt{Options()};
  rtt.Update(-milliseconds(1), Duration(0));
  EXPECT_EQ(Duration(0), rtt.smoothed());
}

}  // namespace
}  // namespace anywire::udp
