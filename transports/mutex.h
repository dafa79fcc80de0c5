// A mutex for hot paths, with the annotations that clang checks.
//
// absl::Mutex has more to offer, but Debian's Abseil is built with its detection of deadlocks on,
// which costs some 400 instructions for each lock. This one costs about ten while nobody else wants
// it. Use absl::Mutex where that does not matter.
#ifndef ANYWIRE_TRANSPORTS_MUTEX_H_
#define ANYWIRE_TRANSPORTS_MUTEX_H_

#include <atomic>
#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/base/thread_annotations.h"
#include "anywire/futex.h"

namespace anywire {

class ABSL_LOCKABLE Mutex {
 public:
  constexpr Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    uint32_t state = kFree;
    if (!state_.compare_exchange_strong(state, kHeld, std::memory_order_acquire)) LockContended();
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    if (state_.exchange(kFree, std::memory_order_release) == kWanted) WakeOne();
  }

  // For std::condition_variable_any.
  void lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { Lock(); }
  void unlock() ABSL_UNLOCK_FUNCTION() { Unlock(); }

 private:
  // "Futexes Are Tricky" (Drepper 2011), mutex 2.
  enum : uint32_t { kFree, kHeld, kWanted };

  static constexpr int kLooks = 50;
  static void PauseProcessor() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  // Out of line: what is inlined everywhere is the part that mostly runs.
  ABSL_ATTRIBUTE_NOINLINE void LockContended() {
    // A lock is mostly held for less time than it takes to fall asleep.
    for (int looks = 0; looks < kLooks; ++looks) {
      uint32_t state = kFree;
      if (state_.load(std::memory_order_relaxed) == kFree &&
          state_.compare_exchange_strong(state, kHeld, std::memory_order_acquire)) {
        return;
      }
      PauseProcessor();
    }
    while (state_.exchange(kWanted, std::memory_order_acquire) != kFree) {
      FutexWait(state_, kWanted);
    }
  }
  ABSL_ATTRIBUTE_NOINLINE void WakeOne() { FutexWakeOne(&state_); }

  std::atomic<uint32_t> state_{kFree};
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(*mutex) {
    mutex_.Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_MUTEX_H_
