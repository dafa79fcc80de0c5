#include "runtime/endpoint/driver_pool.h"

#include <pthread.h>

#include <system_error>
#include <utility>

#include "anywire/signals_blocked.h"

namespace anywire {

DriverPool::~DriverPool() {
  std::list<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

bool DriverPool::TryRun(absl::AnyInvocable<void()> drive) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return false;
  if (idle_ <= static_cast<int>(waiting_.size())) {
    if (static_cast<int>(threads_.size()) >= max_threads_) return false;
    if (!StartThread()) return false;
  }
  waiting_.push_back(std::move(drive));
  return true;
}

bool DriverPool::StartThread() {
  try {
    const SignalsBlocked blocked;
    threads_.emplace_back([this] { ThreadMain(); });
  } catch (const std::system_error&) {
    return false;  // the system has no more threads; the loop serves the connection as well
  }
  pthread_setname_np(threads_.back().native_handle(), "anywire-driver");
  ++idle_;
  return true;
}

void DriverPool::ThreadMain() {
  for (;;) {
    absl::AnyInvocable<void()> drive;
    {
      absl::MutexLock lock(&mutex_, absl::Condition(this, &DriverPool::HasWork));
      if (waiting_.empty()) return;
      drive = std::move(waiting_.front());
      waiting_.pop_front();
      --idle_;
    }
    drive();
    drive = nullptr;  // what it holds goes before the thread counts as idle
    absl::MutexLock lock(&mutex_);
    ++idle_;
  }
}

}  // namespace anywire
