#include "tests/bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace anywire::bench {

size_t Histogram::BucketOf(uint64_t value) {
  if (value < kExact) return value;
  const int octave = std::bit_width(value) - kPrecision;  // from 1
  if (octave > kOctaves) return kBuckets - 1;
  // The leading kPrecision bits: kExact / 2 up to kExact - 1.
  const uint64_t leading = value >> octave;
  return kExact + static_cast<size_t>(octave - 1) * (kExact / 2) + (leading - kExact / 2);
}

uint64_t Histogram::UpperEnd(size_t bucket) {
  if (bucket < kExact) return bucket;
  const size_t octave = (bucket - kExact) / (kExact / 2) + 1;
  const uint64_t leading = (bucket - kExact) % (kExact / 2) + kExact / 2;
  return ((leading + 1) << octave) - 1;
}

void Histogram::Record(uint64_t value) {
  counts_[BucketOf(value)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
  uint64_t seen = max_.load(std::memory_order_relaxed);
  while (value > seen && !max_.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

uint64_t Histogram::count() const {
  uint64_t total = 0;
  for (const auto& count : counts_) total += count.load(std::memory_order_relaxed);
  return total;
}

double Histogram::mean() const {
  const uint64_t total = count();
  if (total == 0) return 0;
  return static_cast<double>(sum_.load(std::memory_order_relaxed)) / static_cast<double>(total);
}

uint64_t Histogram::Quantile(double fraction) const {
  const uint64_t total = count();
  if (total == 0) return 0;
  const uint64_t wanted = std::max<uint64_t>(
      1, static_cast<uint64_t>(std::ceil(fraction * static_cast<double>(total))));
  uint64_t passed = 0;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    passed += counts_[bucket].load(std::memory_order_relaxed);
    // The last bucket has no upper end of its own.
    if (passed >= wanted && bucket + 1 < kBuckets) return std::min(UpperEnd(bucket), max());
  }
  return max();
}

}  // namespace anywire::bench
