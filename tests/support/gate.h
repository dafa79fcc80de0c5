// Things to wait for in tests, for threads and for coroutines. No wait has a limit of its own: the
// test's Watchdog is it.
#ifndef ANYWIRE_TESTS_SUPPORT_GATE_H_
#define ANYWIRE_TESTS_SUPPORT_GATE_H_

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "anywire/cancellation.h"

namespace anywire::test {

// Opens once and stays open. Any thread.
class Gate {
 public:
  // Waits for an Open that has not returned yet, so that who waited may destroy the gate.
  ~Gate() { absl::MutexLock lock(&mutex_); }
  // Resumes waiting coroutines on this thread.
  void Open() ABSL_LOCKS_EXCLUDED(mutex_);
  void Wait() ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsOpen() ABSL_LOCKS_EXCLUDED(mutex_);

  struct Awaiter {
    Gate& gate;
    bool await_ready() { return false; }
    bool await_suspend(std::coroutine_handle<> handle) { return gate.Enlist(handle); }
    void await_resume() {}
  };
  // co_await gate.Opened();
  Awaiter Opened() { return {*this}; }

 private:
  // False when the gate is open already.
  bool Enlist(std::coroutine_handle<> handle) ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::coroutine_handle<>> waiting_ ABSL_GUARDED_BY(mutex_);
};

// A number that only grows. Any thread.
class Counter {
 public:
  ~Counter() { absl::MutexLock lock(&mutex_); }
  void Add(uint64_t more = 1) ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t value() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Until the number is at least `value`.
  void WaitFor(uint64_t value) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable absl::Mutex mutex_;
  uint64_t value_ ABSL_GUARDED_BY(mutex_) = 0;
};

// co_await Cancelled(context.cancellation()): until the token is cancelled; resumes on the thread
// that cancels it.
class Cancelled {
 public:
  explicit Cancelled(const CancellationToken& token) : token_(token) {}
  Cancelled(Cancelled&& other) : token_(other.token_) {}
  bool await_ready() { return token_.cancelled(); }
  bool await_suspend(std::coroutine_handle<> handle) {
    callback_.emplace(token_, [this, handle] {
      if (passed_.exchange(true)) handle.resume();
    });
    // Whoever comes second goes on with the coroutine.
    return !passed_.exchange(true);
  }
  void await_resume() { callback_.reset(); }

 private:
  const CancellationToken token_;
  std::atomic<bool> passed_{false};
  std::optional<CancellationCallback> callback_;
};

// The same for a thread.
void WaitUntilCancelled(const CancellationToken& token);

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_GATE_H_
