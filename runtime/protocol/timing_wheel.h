// Timers for many calls: setting and clearing one takes constant time and no memory.
//
// A hierarchical timing wheel (Varghese and Lauck, 1987, scheme 6): four wheels of 64 slots; a slot
// of the first is one tick, a slot of each further one a turn of the wheel before. A timer starts
// in the wheel that its distance asks for and moves inward as its time comes near, at most three
// times. A tick is 2^20 ns, about a millisecond; timers never fire early, and at most one tick
// late.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_TIMING_WHEEL_H_
#define ANYWIRE_RUNTIME_PROTOCOL_TIMING_WHEEL_H_

#include <chrono>
#include <cstddef>
#include <cstdint>

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
  void Set(Timer& timer, Instant due);
  void Clear(Timer& timer);  // also one that is not set

  // A timer that is due, no longer set, or null when none is left. Call it until then.
  Timer* PopDue(Instant now);

  // No timer is due before this; Instant::max() when none is set. May be early when timers have
  // been cleared since the last PopDue.
  Instant NextDue() const;

  size_t size() const { return size_; }

 private:
  static constexpr int kLevels = 4;
  static constexpr int kSlotBits = 6;
  static constexpr int kSlots = 1 << kSlotBits;
  static constexpr uint64_t kNever = ~uint64_t{0};

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
  uint64_t occupied_[kLevels] = {};  // a bit for each slot that has timers
  uint64_t tick_;                    // everything up to and with this one has been moved to due_
  uint64_t earliest_ = kNever;       // no timer is earlier
  size_t size_ = 0;
};

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_TIMING_WHEEL_H_
