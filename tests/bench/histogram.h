// Latencies, counted in buckets whose width grows with the value (as HdrHistogram does): no sample
// is dropped, and no quantile is more than a sixty-fourth above the value it stands for.
#ifndef ANYWIRE_TESTS_BENCH_HISTOGRAM_H_
#define ANYWIRE_TESTS_BENCH_HISTOGRAM_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace anywire::bench {

// Any thread may record; the rest is for when nobody does.
class Histogram {
 public:
  // Values are nanoseconds. From 2^40 (18 minutes) on, all go to the last bucket.
  void Record(uint64_t value);

  uint64_t count() const;
  // Exact.
  uint64_t max() const { return max_.load(std::memory_order_relaxed); }
  double mean() const;
  // The smallest recorded value, rounded up by its bucket, that at least this fraction of all
  // values does not exceed: Quantile(0.99). 0 when nothing was recorded; never more than max().
  uint64_t Quantile(double fraction) const;

  // For tests: the bucket of a value, and the largest value that has it.
  static size_t BucketOf(uint64_t value);
  static uint64_t UpperEnd(size_t bucket);

 private:
  // Values below 2^kPrecision have a bucket each; every octave above is cut into 2^kPrecision / 2.
  static constexpr int kPrecision = 7;
  static constexpr uint64_t kExact = uint64_t{1} << kPrecision;
  static constexpr int kOctaves = 40 - kPrecision;
  static constexpr size_t kBuckets = kExact + kOctaves * (kExact / 2);

  std::array<std::atomic<uint64_t>, kBuckets> counts_ = {};
  std::atomic<uint64_t> sum_{0};
  std::atomic<uint64_t> max_{0};
};

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_HISTOGRAM_H_
