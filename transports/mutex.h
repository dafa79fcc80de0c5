// A mutex for hot paths: std::mutex, with the annotations that clang checks.
//
// absl::Mutex has more to offer, but Debian's Abseil is built with its detection of deadlocks on,
// which costs some 400 instructions for each lock; this one costs about 40. Use absl::Mutex where
// that does not matter.
#ifndef ANYWIRE_TRANSPORTS_MUTEX_H_
#define ANYWIRE_TRANSPORTS_MUTEX_H_

#include <mutex>

#include "absl/base/thread_annotations.h"

namespace anywire {

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

  // For std::condition_variable, whose waits follow the steady clock. Held on return as before.
  template <typename Wait>
  void WaitWith(Wait wait) ABSL_EXCLUSIVE_LOCKS_REQUIRED(this) {
    std::unique_lock<std::mutex> lock(mutex_, std::adopt_lock);
    wait(lock);
    lock.release();
  }

 private:
  std::mutex mutex_;
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
