// How long a thread that waits for its peer polls before it goes to sleep.
//
// Waking a thread costs more than a short call does, polling costs a processor core. So a thread
// polls where the peer has lately answered within a short time, for about that time, and
// not where all cores are taken by others that poll.
#ifndef ANYWIRE_TRANSPORTS_SPIN_H_
#define ANYWIRE_TRANSPORTS_SPIN_H_

#include <algorithm>
#include <atomic>
#include <chrono>

namespace anywire {

// What the connections and event loops of a process share. Any thread.
class SpinLimit {
 public:
  // `max`: the longest time to poll in a wait, but that a try now and then takes twice as long; 0:
  // never. `cores`: that the process may use. One of
  // them is left to those who do not poll, unless it is the only one: then the peer may have
  // another core, and if it has not, nobody polls for long.
  SpinLimit(std::chrono::nanoseconds max, int cores)
      : max_(max), max_threads_(std::max(cores - 1, 1)) {}
  SpinLimit(const SpinLimit&) = delete;
  SpinLimit& operator=(const SpinLimit&) = delete;

  std::chrono::nanoseconds max() const { return max_; }

  // Takes one of the cores to poll on, if there is one; who gets it calls End.
  bool TryBegin() {
    if (threads_.fetch_add(1, std::memory_order_relaxed) < max_threads_) return true;
    End();
    return false;
  }
  void End() { threads_.fetch_sub(1, std::memory_order_relaxed); }
  // How many poll now.
  int threads() const { return threads_.load(std::memory_order_relaxed); }

 private:
  const std::chrono::nanoseconds max_;
  const int max_threads_;
  std::atomic<int> threads_{0};
};

// What one connection, or one event loop, has learnt. One thread at a time.
//
// An answer that comes while it is polled for doubles the time for the next wait, up to the limit;
// one that does not halves it, down to none at all. Then one wait in a thousand tries again, for
// twice the limit: where both ends sleep, an answer takes as long as it takes to wake the other,
// and does not any more once one of them has begun to poll. The other notices by how short its
// sleeps have become, and tries earlier. (Short sleeps alone do not tell: they may as well be those
// of a peer on the same core.)
class SpinBudget {
 public:
  explicit SpinBudget(std::chrono::nanoseconds max) : max_(max), next_(max) {}

  // For the wait that begins; 0: not to poll. Then the outcome is told, if it was a wait at all.
  std::chrono::nanoseconds Take() {
    if (next_.count() == 0 && ++waits_ >= (short_sleep_ ? kWaitsAtLeast : kWaitsBetweenTries)) {
      waits_ = 0;
      short_sleep_ = false;
      return 2 * max_;
    }
    return next_;
  }
  // While it was polled for, or not.
  void Hit() { next_ = next_.count() == 0 ? max_ : std::min(2 * next_, max_); }
  void Missed() {
    next_ /= 2;
    if (next_ < kShortest) next_ = std::chrono::nanoseconds(0);
  }
  // It was not polled for, and took so long.
  void Slept(std::chrono::nanoseconds time) { short_sleep_ = short_sleep_ || time <= max_; }

 private:
  static constexpr int kWaitsBetweenTries = 1000;
  static constexpr int kWaitsAtLeast = 500;
  // Not worth the reading of a clock.
  static constexpr std::chrono::nanoseconds kShortest = std::chrono::microseconds(1);

  const std::chrono::nanoseconds max_;
  std::chrono::nanoseconds next_;
  // Since the last try, while next_ is 0.
  int waits_ = 0;
  bool short_sleep_ = false;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SPIN_H_
