// Timers for many calls: setting and clearing one takes constant time and no memory.
//
// A hierarchical timing wheel (Varghese and Lauck, 1987, scheme 6): eight wheels of 8 slots; a slot
// of the first is one tick, a slot of each further one a turn of the wheel before. A timer starts
// in the wheel that its distance asks for and moves inward as its time comes near, at most seven
// times. (Every idle connection has these slots: fewer and larger wheels reach no further with four
// times the memory.) A tick is 2^20 ns, about a millisecond; timers never fire early, and at most
// one tick late.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_TIMING_WHEEL_H_
#define ANYWIRE_RUNTIME_PROTOCOL_TIMING_WHEEL_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "absl/base/attributes.h"

namespace anywire::protocol {

class TimingWheel {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  // Part of what it is the timer of. Not copied; outlives its being set.
  struct Timer {
    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    void* owner = nullptr;  // the user's; the wheel does not look at it
    bool is_set() const { return list != nullptr; }

   private:
    friend class TimingWheel;
    Timer* previous = nullptr;
    Timer* next = nullptr;
    Timer** list = nullptr;
    uint64_t tick = 0;
  };

  explicit TimingWheel(Instant now);
  TimingWheel(const TimingWheel&) = delete;
  TimingWheel& operator=(const TimingWheel&) = delete;

  // Sets a timer that is not set. Instant::max(): does nothing. A time past is due at once.
  ABSL_ATTRIBUTE_NOINLINE void Set(Timer& timer, Instant due);
  ABSL_ATTRIBUTE_NOINLINE void Clear(Timer& timer);  // also one that is not set
  // Sets it, unless it is set and due no later.
  void SetNoLaterThan(Timer& timer, Instant due) {
    if (timer.is_set() && timer.tick <= TickAfter(due)) return;
    if (timer.is_set()) Clear(timer);
    Set(timer, due);
  }

  // A timer that is due, no longer set, or null when none is left. Call it until then.
  Timer* PopDue(Instant now);
  // False: PopDue would give none.
  bool MayBeDue(Instant now) const { return due_ != nullptr || TickBefore(now) >= earliest_; }

  // No timer is due before this; Instant::max() when none is set. May be early when timers have
  // been cleared since the last PopDue.
  Instant NextDue() const {
    // Above the range of the clock is as good as never.
    if (earliest_ > kLastTick) return Instant::max();
    return Instant(std::chrono::nanoseconds(earliest_ << kTickBits));
  }

  size_t size() const { return size_; }

 private:
  static constexpr int kLevels = 8;
  static constexpr int kSlotBits = 3;
  static constexpr int kSlots = 1 << kSlotBits;
  static constexpr int kTickBits = 20;
  static constexpr uint64_t kNever = ~uint64_t{0};
  static constexpr uint64_t kLastTick = uint64_t{INT64_MAX} >> kTickBits;

  static uint64_t Nanoseconds(Instant time) {
    const auto count = std::chrono::nanoseconds(time.time_since_epoch()).count();
    return count > 0 ? static_cast<uint64_t>(count) : 0;
  }
  static uint64_t TickBefore(Instant time) { return Nanoseconds(time) >> kTickBits; }
  // Rounded up: never early.
  static uint64_t TickAfter(Instant time) {
    return (Nanoseconds(time) + (uint64_t{1} << kTickBits) - 1) >> kTickBits;
  }

  void Place(Timer& timer);
  static void Push(Timer*& list, Timer& timer);
  void Unlink(Timer& timer);
  // The tick at which the next slot of a wheel comes up that has timers; there is one.
  uint64_t FirstSlot(int level) const;
  // The same of all wheels; kNever when all are empty.
  uint64_t NextSlot() const;
  // Places the timers of a slot anew, whose time has come.
  void Empty(int level, uint64_t slot);
  void Advance(uint64_t to);
  uint64_t FindEarliest() const;

  Timer* due_ = nullptr;
  Timer* slots_[kLevels][kSlots] = {};
  uint8_t occupied_[kLevels] = {};  // a bit for each slot that has timers
  uint64_t tick_;                   // everything up to and with this one has been moved to due_
  // No timer is earlier. After tick_, unless PopDue has timers to give.
  uint64_t earliest_ = kNever;
  size_t size_ = 0;
};

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_TIMING_WHEEL_H_
