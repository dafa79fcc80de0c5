#include "anywire/spin.h"

#include "gtest/gtest.h"

namespace anywire {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;

TEST(SpinLimitTest, LeavesACore) {
  SpinLimit limit(microseconds(50), 3);
  EXPECT_EQ(limit.max(), microseconds(50));
  EXPECT_TRUE(limit.TryBegin());
  EXPECT_TRUE(limit.TryBegin());
  EXPECT_FALSE(limit.TryBegin());
  EXPECT_FALSE(limit.TryBegin());  // a refusal takes nothing
  limit.End();
  EXPECT_TRUE(limit.TryBegin());
  EXPECT_FALSE(limit.TryBegin());
}

TEST(SpinLimitTest, TheOnlyCoreIsNotLeft) {
  SpinLimit limit(microseconds(50), 1);
  EXPECT_TRUE(limit.TryBegin());
  EXPECT_FALSE(limit.TryBegin());
}

TEST(SpinBudgetTest, BeginsWithTheLimitAndStaysThereWhileItIsWorthIt) {
  SpinBudget budget(microseconds(50));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(budget.Take(), microseconds(50));
    budget.Hit();
  }
}

TEST(SpinBudgetTest, MissesShrinkItToNothingAndAHitDoublesIt) {
  SpinBudget budget(microseconds(8));
  for (const int expected : {8, 4, 2, 1}) {
    EXPECT_EQ(budget.Take(), microseconds(expected));
    budget.Missed();
  }
  EXPECT_EQ(budget.Take(), nanoseconds(0));

  SpinBudget other(microseconds(50));
  other.Missed();
  other.Missed();
  EXPECT_EQ(other.Take(), nanoseconds(12'500));
  other.Hit();
  EXPECT_EQ(other.Take(), microseconds(25));
  other.Hit();
  other.Hit();
  EXPECT_EQ(other.Take(), microseconds(50));
}

TEST(SpinBudgetTest, OneWaitInAThousandTriesAgain) {
  SpinBudget budget(microseconds(1));
  budget.Missed();
  for (int round = 0; round < 2; ++round) {
    for (int i = 1; i < 1000; ++i) EXPECT_EQ(budget.Take(), nanoseconds(0)) << i;
    EXPECT_EQ(budget.Take(), microseconds(2));  // for twice as long
    budget.Missed();                            // in vain
  }
  for (int i = 1; i < 1000; ++i) EXPECT_EQ(budget.Take(), nanoseconds(0)) << i;
  EXPECT_EQ(budget.Take(), microseconds(2));
  budget.Hit();
  EXPECT_EQ(budget.Take(), microseconds(1));
}

TEST(SpinBudgetTest, ShortSleepsBringTheTryForward) {
  SpinBudget budget(microseconds(1));
  budget.Missed();
  for (int i = 1; i < 1000; ++i) {
    EXPECT_EQ(budget.Take(), nanoseconds(0)) << i;
    budget.Slept(nanoseconds(1001));
  }
  EXPECT_EQ(budget.Take(), microseconds(2));
  budget.Missed();
  for (int i = 1; i < 500; ++i) {
    EXPECT_EQ(budget.Take(), nanoseconds(0)) << i;
    budget.Slept(nanoseconds(1000));
  }
  EXPECT_EQ(budget.Take(), microseconds(2));
  budget.Missed();
  // In vain: what came before says nothing any more.
  for (int i = 1; i < 1000; ++i) EXPECT_EQ(budget.Take(), nanoseconds(0)) << i;
  EXPECT_EQ(budget.Take(), microseconds(2));
}

TEST(SpinBudgetTest, OfNothingThereIsNothing) {
  SpinBudget budget(nanoseconds(0));
  for (int i = 0; i < 2001; ++i) EXPECT_EQ(budget.Take(), nanoseconds(0));
}

}  // namespace
}  // namespace anywire
