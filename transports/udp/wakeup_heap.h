// Which of many is due first: a binary heap whose members know their place in it.
#ifndef ANYWIRE_TRANSPORTS_UDP_WAKEUP_HEAP_H_
#define ANYWIRE_TRANSPORTS_UDP_WAKEUP_HEAP_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "transports/udp/reliability/time.h"

namespace anywire::udp {

// Embed it in what is due.
class Wakeup {
 public:
  bool is_set() const { return place_ != kNowhere; }

 private:
  template <typename T, Wakeup T::*member>
  friend class WakeupHeap;
  static constexpr size_t kNowhere = ~size_t{0};

  Instant at_;
  size_t place_ = kNowhere;
};

template <typename T, Wakeup T::*member>
class WakeupHeap {
 public:
  bool empty() const { return heap_.empty(); }
  Instant first_at() const { return empty() ? kNever : (heap_[0]->*member).at_; }
  T& first() const { return *heap_[0]; }

  // Sets it to the earlier of `at` and what it is set to. A time that moves away with everything
  // that happens, as most do, so costs nothing before it comes.
  void SetNoLaterThan(T& who, Instant at) {
    Wakeup& wakeup = who.*member;
    if (!wakeup.is_set()) {
      if (at == kNever) return;
      heap_.push_back(&who);
      wakeup.place_ = heap_.size() - 1;
    } else if (at >= wakeup.at_) {
      return;
    }
    wakeup.at_ = at;
    Rise(wakeup.place_);
  }

  void Remove(T& who) {
    Wakeup& wakeup = who.*member;
    if (!wakeup.is_set()) return;
    const size_t place = std::exchange(wakeup.place_, Wakeup::kNowhere);
    T* const last = heap_.back();
    heap_.pop_back();
    if (last == &who) return;
    Put(place, *last);
    Rise(place);
    Sink((last->*member).place_);
  }

 private:
  Instant At(size_t place) const { return (heap_[place]->*member).at_; }
  void Put(size_t place, T& who) {
    heap_[place] = &who;
    (who.*member).place_ = place;
  }
  void Swap(size_t a, size_t b) {
    T& at_a = *heap_[a];
    Put(a, *heap_[b]);
    Put(b, at_a);
  }
  void Rise(size_t place) {
    for (; place > 0 && At(place) < At((place - 1) / 2); place = (place - 1) / 2) {
      Swap(place, (place - 1) / 2);
    }
  }
  void Sink(size_t place) {
    for (;;) {
      size_t child = 2 * place + 1;
      if (child >= heap_.size()) return;
      if (child + 1 < heap_.size() && At(child + 1) < At(child)) ++child;
      if (At(place) <= At(child)) return;
      Swap(place, child);
      place = child;
    }
  }

  std::vector<T*> heap_;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_WAKEUP_HEAP_H_
