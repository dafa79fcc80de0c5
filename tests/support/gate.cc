#include "tests/support/gate.h"

#include <utility>

#include "absl/synchronization/notification.h"

namespace anywire::test {

void Gate::Open() {
  std::vector<std::coroutine_handle<>> waiting;
  {
    absl::MutexLock lock(&mutex_);
    open_ = true;
    waiting.swap(waiting_);
  }
  for (std::coroutine_handle<> handle : waiting) handle.resume();
}

void Gate::Wait() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&open_));
}

bool Gate::IsOpen() {
  absl::MutexLock lock(&mutex_);
  return open_;
}

bool Gate::Enlist(std::coroutine_handle<> handle) {
  absl::MutexLock lock(&mutex_);
  if (open_) return false;
  waiting_.push_back(handle);
  return true;
}

void Counter::Add(uint64_t more) {
  absl::MutexLock lock(&mutex_);
  value_ += more;
}

uint64_t Counter::value() const {
  absl::MutexLock lock(&mutex_);
  return value_;
}

void Counter::WaitFor(uint64_t value) const {
  const auto reached = [this, value]()
                           ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return value_ >= value; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&reached));
}

void WaitUntilCancelled(const CancellationToken& token) {
  absl::Notification cancelled;
  CancellationCallback callback(token, [&cancelled] { cancelled.Notify(); });
  cancelled.WaitForNotification();
}

}  // namespace anywire::test
