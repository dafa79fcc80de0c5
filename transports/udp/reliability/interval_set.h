// A set of numbers as sorted, disjoint intervals that do not touch: packet numbers that have come,
// bytes of a frame that have.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_INTERVAL_SET_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_INTERVAL_SET_H_

#include <cstddef>
#include <cstdint>

#include "absl/container/inlined_vector.h"

namespace anywire::udp {

// From begin to before end; not empty.
struct Interval {
  uint64_t begin;
  uint64_t end;

  uint64_t size() const { return end - begin; }
  friend bool operator==(const Interval&, const Interval&) = default;
};

// Cost: a binary search, and a move of the intervals behind when one is added or goes. Whoever
// fills it from a peer's bytes limits their number.
class IntervalSet {
 public:
  bool empty() const { return intervals_.empty(); }
  size_t count() const { return intervals_.size(); }  // of intervals
  const Interval& operator[](size_t i) const { return intervals_[i]; }
  const Interval& front() const { return intervals_.front(); }
  const Interval& back() const { return intervals_.back(); }

  bool Contains(uint64_t value) const;
  // Returns how many of the numbers are new. `interval` may be empty.
  uint64_t Add(Interval interval);
  // Returns how many of the numbers were there. `interval` may be empty.
  uint64_t Subtract(Interval interval);
  void PopFront() { intervals_.erase(intervals_.begin()); }
  // Also gives back memory.
  void Clear() {
    intervals_.clear();
    intervals_.shrink_to_fit();
  }

  // Calls `covered(Interval)` or `missing(Interval)` for each part of `interval` that is or is not
  // in the set, in order.
  template <typename Covered, typename Missing>
  void Split(Interval interval, Covered covered, Missing missing) const {
    uint64_t at = interval.begin;
    for (size_t i = FirstEndingAfter(at); at < interval.end; ++i) {
      if (i == intervals_.size() || intervals_[i].begin >= interval.end) {
        missing(Interval{at, interval.end});
        return;
      }
      if (intervals_[i].begin > at) {
        missing(Interval{at, intervals_[i].begin});
        at = intervals_[i].begin;
      }
      const uint64_t end = intervals_[i].end < interval.end ? intervals_[i].end : interval.end;
      covered(Interval{at, end});
      at = end;
    }
  }

 private:
  // Index of the first interval with end > value; count() if there is none.
  size_t FirstEndingAfter(uint64_t value) const;

  absl::InlinedVector<Interval, 2> intervals_;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_INTERVAL_SET_H_
