#include "transports/udp/reliability/interval_set.h"

#include <algorithm>

namespace anywire::udp {

size_t IntervalSet::FirstEndingAfter(uint64_t value) const {
  // What comes in order is at the end.
  if (intervals_.empty() || intervals_.back().end <= value) return intervals_.size();
  const auto* const first =
      std::partition_point(intervals_.begin(), intervals_.end(),
                           [value](const Interval& interval) { return interval.end <= value; });
  return static_cast<size_t>(first - intervals_.begin());
}

bool IntervalSet::Contains(uint64_t value) const {
  const size_t i = FirstEndingAfter(value);
  return i < intervals_.size() && intervals_[i].begin <= value;
}

uint64_t IntervalSet::Add(Interval interval) {
  if (interval.begin >= interval.end) return 0;
  // Those that it meets or touches: [first, last).
  size_t first = interval.begin == 0 ? 0 : FirstEndingAfter(interval.begin - 1);
  size_t last = first;
  uint64_t covered = 0;
  Interval merged = interval;
  for (; last < intervals_.size() && intervals_[last].begin <= interval.end; ++last) {
    const Interval& other = intervals_[last];
    const uint64_t begin = std::max(other.begin, interval.begin);
    const uint64_t end = std::min(other.end, interval.end);
    covered += end > begin ? end - begin : 0;
    merged.begin = std::min(merged.begin, other.begin);
    merged.end = std::max(merged.end, other.end);
  }
  if (first == last) {
    intervals_.insert(intervals_.begin() + static_cast<ptrdiff_t>(first), interval);
  } else {
    intervals_[first] = merged;
    intervals_.erase(intervals_.begin() + static_cast<ptrdiff_t>(first + 1),
                     intervals_.begin() + static_cast<ptrdiff_t>(last));
  }
  return interval.size() - covered;
}

uint64_t IntervalSet::Subtract(Interval interval) {
  if (interval.begin >= interval.end) return 0;
  uint64_t removed = 0;
  size_t i = FirstEndingAfter(interval.begin);
  while (i < intervals_.size() && intervals_[i].begin < interval.end) {
    const Interval before = intervals_[i];
    const bool keeps_left = before.begin < interval.begin;
    const bool keeps_right = before.end > interval.end;
    removed += std::min(before.end, interval.end) - std::max(before.begin, interval.begin);
    if (keeps_left) intervals_[i].end = interval.begin;
    if (keeps_left && keeps_right) {
      intervals_.insert(intervals_.begin() + static_cast<ptrdiff_t>(i + 1),
                        Interval{interval.end, before.end});
      return removed;
    }
    if (keeps_left) {
      ++i;
    } else if (keeps_right) {
      intervals_[i].begin = interval.end;
      return removed;
    } else {
      intervals_.erase(intervals_.begin() + static_cast<ptrdiff_t>(i));
    }
  }
  return removed;
}

}  // namespace anywire::udp
