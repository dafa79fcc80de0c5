#include "runtime/protocol/timing_wheel.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace anywire::protocol {
TimingWheel::TimingWheel(Instant now) : tick_(TickBefore(now)) {}

void TimingWheel::Set(Timer& timer, Instant due) {
  assert(!timer.is_set());
  if (due == Instant::max()) return;
  timer.tick = TickAfter(due);
  earliest_ = std::min(earliest_, timer.tick);
  ++size_;
  Place(timer);
}

void TimingWheel::Clear(Timer& timer) {
  if (!timer.is_set()) return;
  Timer** const list = timer.list;
  Unlink(timer);
  if (*list == nullptr && list != &due_) {
    const size_t slot = static_cast<size_t>(list - &slots_[0][0]);
    occupied_[slot / kSlots] &= static_cast<uint8_t>(~(1u << (slot % kSlots)));
  }
  if (--size_ == 0) {
    earliest_ = kNever;
  } else if (due_ == nullptr) {
    earliest_ = std::max(earliest_, tick_ + 1);
  }
}

void TimingWheel::Place(Timer& timer) {
  if (timer.tick <= tick_) {
    Push(due_, timer);
    return;
  }
  // A timer beyond the last wheel waits in its furthest slot and is placed anew when that comes up.
  constexpr uint64_t kFurthest = (uint64_t{1} << (kLevels * kSlotBits)) - 1;
  const uint64_t distance = std::min(timer.tick - tick_, kFurthest);
  const int level = (std::bit_width(distance) - 1) / kSlotBits;
  const uint64_t slot = ((tick_ + distance) >> (level * kSlotBits)) & (kSlots - 1);
  Push(slots_[level][slot], timer);
  occupied_[level] |= static_cast<uint8_t>(1u << slot);
}

void TimingWheel::Push(Timer*& list, Timer& timer) {
  timer.list = &list;
  timer.previous = nullptr;
  timer.next = list;
  if (list != nullptr) list->previous = &timer;
  list = &timer;
}

void TimingWheel::Unlink(Timer& timer) {
  (timer.previous != nullptr ? timer.previous->next : *timer.list) = timer.next;
  if (timer.next != nullptr) timer.next->previous = timer.previous;
  timer.list = nullptr;
}

uint64_t TimingWheel::FirstSlot(int level) const {
  const int shift = level * kSlotBits;
  const uint64_t position = tick_ >> shift;
  // The slots after the current one first; the current one itself comes last, a whole turn ahead.
  const int first = static_cast<int>((position + 1) & (kSlots - 1));
  const int ahead = std::countr_zero(std::rotr(occupied_[level], first));
  return (position + 1 + static_cast<uint64_t>(ahead)) << shift;
}

uint64_t TimingWheel::NextSlot() const {
  uint64_t next = kNever;
  for (int level = 0; level < kLevels; ++level) {
    if (occupied_[level] != 0) next = std::min(next, FirstSlot(level));
  }
  return next;
}

void TimingWheel::Advance(uint64_t to) {
  for (uint64_t next; (next = NextSlot()) <= to;) {
    tick_ = next;
    // Slots of several wheels may come up together: none must be passed over, or it waits for a
    // whole turn more.
    for (int level = 0; level < kLevels; ++level) {
      const int shift = level * kSlotBits;
      if ((next & ((uint64_t{1} << shift) - 1)) != 0) break;
      Empty(level, (next >> shift) & (kSlots - 1));
    }
  }
  tick_ = std::max(tick_, to);
}

void TimingWheel::Empty(int level, uint64_t slot) {
  occupied_[level] &= static_cast<uint8_t>(~(1u << slot));
  Timer* timer = slots_[level][slot];
  slots_[level][slot] = nullptr;
  while (timer != nullptr) {
    Timer* const following = timer->next;
    Place(*timer);
    timer = following;
  }
}

TimingWheel::Timer* TimingWheel::PopDue(Instant now) {
  if (due_ == nullptr) {
    const uint64_t to = TickBefore(now);
    if (to < earliest_) return nullptr;
    Advance(to);
    if (due_ == nullptr) {
      earliest_ = FindEarliest();
      return nullptr;
    }
  }
  Timer* const timer = due_;
  Unlink(*timer);
  if (--size_ == 0) earliest_ = kNever;
  return timer;
}

uint64_t TimingWheel::FindEarliest() const {
  if (due_ != nullptr) return tick_;
  uint64_t earliest = kNever;
  for (int level = 0; level < kLevels; ++level) {
    if (occupied_[level] == 0) continue;
    const uint64_t tick = FirstSlot(level);
    // The slots of a wheel are in order of time, so its first one has its earliest timer: exactly
    // then in the first wheel, and not before then in the last, where timers wait that are further
    // away than it reaches.
    if (level == 0 || level == kLevels - 1) {
      earliest = std::min(earliest, tick);
      continue;
    }
    const uint64_t slot = (tick >> (level * kSlotBits)) & (kSlots - 1);
    for (const Timer* timer = slots_[level][slot]; timer != nullptr; timer = timer->next) {
      earliest = std::min(earliest, timer->tick);
    }
  }
  return earliest;
}

}  // namespace anywire::protocol
