#include "tests/bench/histogram.h"

#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace anywire::bench {
namespace {

TEST(HistogramTest, IsEmptyAtFirst) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.mean(), 0);
  EXPECT_EQ(histogram.Quantile(0.5), 0u);
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (uint64_t value = 1; value <= 100; ++value) histogram.Record(value);
  EXPECT_EQ(histogram.count(), 100u);
  EXPECT_EQ(histogram.mean(), 50.5);
  EXPECT_EQ(histogram.Quantile(0), 1u);
  EXPECT_EQ(histogram.Quantile(0.5), 50u);
  EXPECT_EQ(histogram.Quantile(0.9), 90u);
  EXPECT_EQ(histogram.Quantile(0.99), 99u);
  EXPECT_EQ(histogram.Quantile(0.999), 100u);
  EXPECT_EQ(histogram.Quantile(1), 100u);
}

// Around every power of two, where the buckets get wider.
TEST(HistogramTest, BucketsFollowOneAnotherAndAreNarrow) {
  for (int power = 0; power < 40; ++power) {
    const uint64_t middle = uint64_t{1} << power;
    for (uint64_t value = middle - std::min<uint64_t>(middle, 3); value < middle + 3; ++value) {
      const size_t bucket = Histogram::BucketOf(value);
      const uint64_t upper = Histogram::UpperEnd(bucket);
      ASSERT_GE(upper, value);
      ASSERT_LE(upper - value, value / 64) << value;
      ASSERT_EQ(Histogram::BucketOf(upper), bucket) << value;
      ASSERT_EQ(Histogram::BucketOf(upper + 1), bucket + 1) << value;
    }
  }
}

TEST(HistogramTest, WhatIsTooLargeIsCountedAndItsMaximumKept) {
  Histogram histogram;
  histogram.Record(5);
  histogram.Record(~uint64_t{0} / 4);
  histogram.Record(uint64_t{1} << 40);
  EXPECT_EQ(histogram.count(), 3u);
  EXPECT_EQ(histogram.max(), ~uint64_t{0} / 4);
  EXPECT_EQ(histogram.Quantile(0.3), 5u);
  EXPECT_EQ(histogram.Quantile(0.99), ~uint64_t{0} / 4);
}

TEST(HistogramTest, NoQuantileExceedsTheMaximum) {
  Histogram histogram;
  histogram.Record(1'000'001);
  EXPECT_EQ(histogram.Quantile(0.5), 1'000'001u);
}

TEST(HistogramTest, AgreesWithSortedValues) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> latencies(11, 2);
  Histogram histogram;
  std::vector<uint64_t> values(20'000);
  for (uint64_t& value : values) {
    value = static_cast<uint64_t>(latencies(random));
    histogram.Record(value);
  }
  std::sort(values.begin(), values.end());
  for (const double fraction : {0.5, 0.9, 0.99, 0.999}) {
    const uint64_t exact =
        values[static_cast<size_t>(std::ceil(fraction * static_cast<double>(values.size()))) - 1];
    EXPECT_GE(histogram.Quantile(fraction), exact);
    EXPECT_LE(histogram.Quantile(fraction), exact + exact / 64);
  }
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(HistogramTest, ManyThreadsRecord) {
  Histogram histogram;
  std::vector<std::thread> threads;
  for (uint64_t i = 1; i <= 4; ++i) {
    threads.emplace_back([&histogram, i] {
      for (int n = 0; n < 10'000; ++n) histogram.Record(i * 1'000);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(histogram.count(), 40'000u);
  EXPECT_EQ(histogram.mean(), 2'500);
  EXPECT_EQ(histogram.max(), 4'000u);
}

}  // namespace
}  // namespace anywire::bench
