// Virtual time: what is to happen, in order. Nothing waits; the clock jumps to the next entry.
#ifndef ANYWIRE_TESTS_SIM_AGENDA_H_
#define ANYWIRE_TESTS_SIM_AGENDA_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "runtime/protocol/protocol.h"

namespace anywire::sim {

using protocol::Instant;
using Duration = std::chrono::nanoseconds;

class Agenda {
 public:
  Instant now() const { return now_; }

  void At(Instant time, std::function<void()> action) {
    entries_.push({time < now_ ? now_ : time, next_number_++, std::move(action)});
  }
  void After(Duration delay, std::function<void()> action) { At(now_ + delay, std::move(action)); }

  bool empty() const { return entries_.empty(); }
  // When the next entry is due; Instant::max() when there is none.
  Instant next() const { return entries_.empty() ? Instant::max() : entries_.top().time; }
  // Does the next entry; there is one.
  void Step() {
    Entry entry = std::move(const_cast<Entry&>(entries_.top()));
    entries_.pop();
    now_ = entry.time;
    entry.action();
  }
  // Something else than an entry happens at `time`, which is not after the next one's.
  void AdvanceTo(Instant time) { now_ = std::max(now_, time); }

 private:
  struct Entry {
    Instant time;
    uint64_t number;  // entries of one time happen in the order in which they were made
    std::function<void()> action;
    friend bool operator<(const Entry& a, const Entry& b) {
      return a.time != b.time ? a.time > b.time : a.number > b.number;
    }
  };
  Instant now_ = Instant(std::chrono::hours(1));
  uint64_t next_number_ = 0;
  std::priority_queue<Entry> entries_;
};

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_AGENDA_H_
