#include "runtime/endpoint/driver_pool.h"

#include <pthread.h>
#include <signal.h>

#include <system_error>
#include <utility>

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
  // Signals are for the program's own threads; those that a fault raises are the faulty thread's.
  sigset_t all, before;
  sigfillset(&all);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) {
    sigdelset(&all, fault);
  }
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = true;
  try {
    threads_.emplace_back([this] { ThreadMain(); });
  } catch (const std::system_error&) {
    started = false;  // the system has no more threads; the loop serves the connection as well
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!started) return false;
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
