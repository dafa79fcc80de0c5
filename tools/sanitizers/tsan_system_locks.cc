// Tells the thread sanitizer about the locks of Abseil and kj.
//
// Debian's libraries are not instrumented, so the sanitizer does not see that absl::Mutex or
// kj::MutexGuarded order anything, and reports races where there are none. This file takes the
// place of their lock functions, which are in shared libraries, and calls them between the
// sanitizer's annotations. Inside the annotations all accesses are ignored, also those of a
// condition that Abseil evaluates for another thread.
//
// The functions are declared as free functions that have the members' symbols: the object is the
// first argument in both.

#include <dlfcn.h>
#include <kj/mutex.h>
#include <sanitizer/tsan_interface.h>

#include <cstdint>
#include <cstdlib>

#include "absl/strings/cord.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace {

template <typename Function>
Function* Real(Function* /*replacement*/, const char* symbol) {
  auto* real = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, symbol));
  if (real == nullptr) std::abort();
  return real;
}

// The lock that this thread is in a function of. Some of these functions call each other (a wait
// gives the lock up by the function for that, but mostly gets it back otherwise): what the outer
// one annotates, an inner one must not.
thread_local void* current = nullptr;

class Entry {
 public:
  explicit Entry(void* lock) : outer_(current), inner_(current == lock) { current = lock; }
  ~Entry() { current = outer_; }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  bool inner() const { return inner_; }

 private:
  void* const outer_;
  const bool inner_;
};

// Annotates the acquisition of a lock, which happens in this object's lifetime.
class Locking {
 public:
  Locking(void* lock, unsigned flags)
      : entry_(lock), lock_(lock), flags_(flags | __tsan_mutex_not_static) {
    if (!entry_.inner()) __tsan_mutex_pre_lock(lock_, flags_);
  }
  ~Locking() {
    if (!entry_.inner()) __tsan_mutex_post_lock(lock_, flags_, 0);
  }

  // The lock was not free, or not in time.
  void Failed() { flags_ |= __tsan_mutex_try_lock_failed; }

 private:
  const Entry entry_;
  void* const lock_;
  unsigned flags_;
};

// Annotates the release of a lock, which happens in this object's lifetime.
class Unlocking {
 public:
  Unlocking(void* lock, unsigned flags) : entry_(lock), lock_(lock), flags_(flags) {
    if (!entry_.inner()) __tsan_mutex_pre_unlock(lock_, flags_);
  }
  ~Unlocking() {
    if (!entry_.inner()) __tsan_mutex_post_unlock(lock_, flags_);
  }

 private:
  const Entry entry_;
  void* const lock_;
  const unsigned flags_;
};

// Annotates a wait, which gives a lock up and gets it back in this object's lifetime.
class Waiting {
 public:
  explicit Waiting(void* lock) : entry_(lock), lock_(lock) {
    if (entry_.inner()) return;
    __tsan_mutex_pre_unlock(lock_, 0);
    __tsan_mutex_post_unlock(lock_, 0);
    __tsan_mutex_pre_lock(lock_, 0);
  }
  ~Waiting() {
    if (!entry_.inner()) __tsan_mutex_post_lock(lock_, 0, 0);
  }

 private:
  const Entry entry_;
  void* const lock_;
};

}  // namespace

// Defines `function` in place of a library's member function.
#define REPLACE(result, function, symbol, ...)         \
  extern "C" result function(__VA_ARGS__) asm(symbol); \
  extern "C" __attribute__((used)) result function(__VA_ARGS__)
// Makes `real` what the library has there.
#define REAL(function, symbol) static auto* const real = Real(&function, symbol)

#define ABSL_NAME(name) "_ZN4absl7debian3" name
#define KJ_NAME(name) "_ZN2kj1_" name

// Abseil: a function that does one thing to a mutex.
#define REPLACE_MUTEX(result, function, symbol, annotation, ...)     \
  REPLACE(result, function, ABSL_NAME(symbol), absl::Mutex* mutex) { \
    REAL(function, ABSL_NAME(symbol));                               \
    annotation;                                                      \
    return real(mutex);                                              \
  }

REPLACE_MUTEX(void, Lock, "5Mutex4LockEv", Locking locking(mutex, 0))
REPLACE_MUTEX(void, ReaderLock, "5Mutex10ReaderLockEv",
              Locking locking(mutex, __tsan_mutex_read_lock))
REPLACE_MUTEX(void, Unlock, "5Mutex6UnlockEv", Unlocking unlocking(mutex, 0))
REPLACE_MUTEX(void, ReaderUnlock, "5Mutex12ReaderUnlockEv",
              Unlocking unlocking(mutex, __tsan_mutex_read_lock))

#define REPLACE_TRY_LOCK(function, symbol, flags)                  \
  REPLACE(bool, function, ABSL_NAME(symbol), absl::Mutex* mutex) { \
    REAL(function, ABSL_NAME(symbol));                             \
    Locking locking(mutex, flags);                                 \
    const bool locked = real(mutex);                               \
    if (!locked) locking.Failed();                                 \
    return locked;                                                 \
  }

REPLACE_TRY_LOCK(TryLock, "5Mutex7TryLockEv", __tsan_mutex_try_lock)
REPLACE_TRY_LOCK(ReaderTryLock, "5Mutex13ReaderTryLockEv", __tsan_mutex_try_read_lock)

#define REPLACE_CONDITIONAL(result, function, symbol, annotation)  \
  REPLACE(result, function, ABSL_NAME(symbol), absl::Mutex* mutex, \
          const absl::Condition& condition) {                      \
    REAL(function, ABSL_NAME(symbol));                             \
    annotation;                                                    \
    return real(mutex, condition);                                 \
  }

REPLACE_CONDITIONAL(void, LockWhen, "5Mutex8LockWhenERKNS0_9ConditionE", Locking locking(mutex, 0))
REPLACE_CONDITIONAL(void, ReaderLockWhen, "5Mutex14ReaderLockWhenERKNS0_9ConditionE",
                    Locking locking(mutex, __tsan_mutex_read_lock))
REPLACE_CONDITIONAL(void, Await, "5Mutex5AwaitERKNS0_9ConditionE", Waiting waiting(mutex))

#define REPLACE_TIMED(function, symbol, type, annotation)                                          \
  REPLACE(bool, function, ABSL_NAME(symbol), absl::Mutex* mutex, const absl::Condition& condition, \
          type limit) {                                                                            \
    REAL(function, ABSL_NAME(symbol));                                                             \
    annotation;                                                                                    \
    return real(mutex, condition, limit);                                                          \
  }

REPLACE_TIMED(LockWhenWithTimeout, "5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE",
              absl::Duration, Locking locking(mutex, 0))
REPLACE_TIMED(LockWhenWithDeadline, "5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE",
              absl::Time, Locking locking(mutex, 0))
REPLACE_TIMED(ReaderLockWhenWithTimeout,
              "5Mutex25ReaderLockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE", absl::Duration,
              Locking locking(mutex, __tsan_mutex_read_lock))
REPLACE_TIMED(ReaderLockWhenWithDeadline,
              "5Mutex26ReaderLockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE", absl::Time,
              Locking locking(mutex, __tsan_mutex_read_lock))
REPLACE_TIMED(AwaitWithTimeout, "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE",
              absl::Duration, Waiting waiting(mutex))
REPLACE_TIMED(AwaitWithDeadline, "5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE",
              absl::Time, Waiting waiting(mutex))

#define REPLACE_MUTEX_DESTRUCTOR(function, symbol)                 \
  REPLACE(void, function, ABSL_NAME(symbol), absl::Mutex* mutex) { \
    REAL(function, ABSL_NAME(symbol));                             \
    real(mutex);                                                   \
    __tsan_mutex_destroy(mutex, __tsan_mutex_not_static);          \
  }

REPLACE_MUTEX_DESTRUCTOR(MutexD1, "5MutexD1Ev")
REPLACE_MUTEX_DESTRUCTOR(MutexD2, "5MutexD2Ev")

REPLACE(void, CondVarWait, ABSL_NAME("7CondVar4WaitEPNS0_5MutexE"), absl::CondVar* condition,
        absl::Mutex* mutex) {
  REAL(CondVarWait, ABSL_NAME("7CondVar4WaitEPNS0_5MutexE"));
  Waiting waiting(mutex);
  real(condition, mutex);
}

REPLACE(bool, CondVarWaitWithTimeout,
        ABSL_NAME("7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE"), absl::CondVar* condition,
        absl::Mutex* mutex, absl::Duration timeout) {
  REAL(CondVarWaitWithTimeout, ABSL_NAME("7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE"));
  Waiting waiting(mutex);
  return real(condition, mutex, timeout);
}

REPLACE(bool, CondVarWaitWithDeadline,
        ABSL_NAME("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE"), absl::CondVar* condition,
        absl::Mutex* mutex, absl::Time deadline) {
  REAL(CondVarWaitWithDeadline, ABSL_NAME("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE"));
  Waiting waiting(mutex);
  return real(condition, mutex, deadline);
}

// A notification may be read without its lock, by inline code or in the library, so the object
// itself orders too: its flag, which HasBeenNotified() reads, comes after the mutex.
REPLACE(void, Notify, ABSL_NAME("12Notification6NotifyEv"), absl::Notification* notification) {
  REAL(Notify, ABSL_NAME("12Notification6NotifyEv"));
  __tsan_release(reinterpret_cast<char*>(notification) + sizeof(absl::Mutex));
  real(notification);
}

REPLACE(void, WaitForNotification, "_ZNK4absl7debian312Notification19WaitForNotificationEv",
        absl::Notification* notification) {
  REAL(WaitForNotification, "_ZNK4absl7debian312Notification19WaitForNotificationEv");
  real(notification);
  __tsan_acquire(reinterpret_cast<char*>(notification) + sizeof(absl::Mutex));
}

#define REPLACE_TIMED_NOTIFICATION(function, symbol, type)                                     \
  REPLACE(bool, function, symbol, absl::Notification* notification, type limit) {              \
    REAL(function, symbol);                                                                    \
    const bool notified = real(notification, limit);                                           \
    if (notified) __tsan_acquire(reinterpret_cast<char*>(notification) + sizeof(absl::Mutex)); \
    return notified;                                                                           \
  }

REPLACE_TIMED_NOTIFICATION(
    WaitForNotificationWithTimeout,
    "_ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE",
    absl::Duration)
REPLACE_TIMED_NOTIFICATION(
    WaitForNotificationWithDeadline,
    "_ZNK4absl7debian312Notification31WaitForNotificationWithDeadlineENS0_4TimeE", absl::Time)

// A status and a cord are counted references, and the library counts some of them down, out of the
// sanitizer's sight: what it deletes looks as if others still used it.
extern "C" void AnnotateIgnoreWritesBegin(const char* file, int line);
extern "C" void AnnotateIgnoreWritesEnd(const char* file, int line);

#define REPLACE_UNREF(function, symbol, type)           \
  REPLACE(void, function, ABSL_NAME(symbol), type it) { \
    REAL(function, ABSL_NAME(symbol));                  \
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);      \
    real(it);                                           \
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);        \
  }

REPLACE_UNREF(StatusUnref, "6Status15UnrefNonInlinedEm", uintptr_t)
REPLACE_UNREF(CordDestroy, "4Cord15DestroyCordSlowEv", absl::Cord*)
REPLACE_UNREF(CordRepDestroy, "13cord_internal7CordRep7DestroyEPS2_", void*)

// kj.

namespace {

unsigned FlagsOf(kj::_::Mutex::Exclusivity exclusivity) {
  return exclusivity == kj::_::Mutex::SHARED ? __tsan_mutex_read_lock : 0;
}

}  // namespace

#define KJ_LOCK                                                                             \
  KJ_NAME(                                                                                  \
      "5Mutex4lockENS1_11ExclusivityENS_5MaybeINS_8QuantityIlNS0_15NanosecondLabelEEEEENS_" \
      "18NoopSourceLocationE")
#define KJ_UNLOCK KJ_NAME("5Mutex6unlockENS1_11ExclusivityEPNS1_6WaiterE")
#define KJ_WAIT                                                                           \
  KJ_NAME(                                                                                \
      "5Mutex4waitERNS1_9PredicateENS_5MaybeINS_8QuantityIlNS0_15NanosecondLabelEEEEENS_" \
      "18NoopSourceLocationE")

REPLACE(bool, KjLock, KJ_LOCK, kj::_::Mutex* mutex, kj::_::Mutex::Exclusivity exclusivity,
        kj::Maybe<kj::Duration> timeout, kj::LockSourceLocationArg location) {
  REAL(KjLock, KJ_LOCK);
  Locking locking(mutex, FlagsOf(exclusivity) | (timeout == nullptr ? 0 : __tsan_mutex_try_lock));
  const bool locked = real(mutex, exclusivity, timeout, location);
  if (!locked) locking.Failed();
  return locked;
}

REPLACE(void, KjUnlock, KJ_UNLOCK, kj::_::Mutex* mutex, kj::_::Mutex::Exclusivity exclusivity,
        void* waiter_to_skip) {
  REAL(KjUnlock, KJ_UNLOCK);
  Unlocking unlocking(mutex, FlagsOf(exclusivity));
  real(mutex, exclusivity, waiter_to_skip);
}

REPLACE(void, KjWait, KJ_WAIT, kj::_::Mutex* mutex, kj::_::Mutex::Predicate& predicate,
        kj::Maybe<kj::Duration> timeout, kj::LockSourceLocationArg location) {
  REAL(KjWait, KJ_WAIT);
  Waiting waiting(mutex);
  real(mutex, predicate, timeout, location);
}
