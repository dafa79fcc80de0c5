// Threads that each drive one busy connection of a server.
//
// A loop that serves many connections asks the kernel which of them has something, then receives:
// one system call more for every request than a thread that simply waits in the one connection it
// serves. So a connection on which single requests go to and fro is lent such a thread for as long
// as it stays busy; the loop watches over all others.
#ifndef ANYWIRE_RUNTIME_ENDPOINT_DRIVER_POOL_H_
#define ANYWIRE_RUNTIME_ENDPOINT_DRIVER_POOL_H_

#include <list>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"

namespace anywire {

class DriverPool {
 public:
  // At most `max_threads`, started as they are needed.
  explicit DriverPool(int max_threads) : max_threads_(max_threads) {}
  // Waits for the threads: the connections that they drive must have ended or be about to.
  ~DriverPool();
  DriverPool(const DriverPool&) = delete;
  DriverPool& operator=(const DriverPool&) = delete;

  // Runs `drive` on a thread of the pool, or returns false when all are busy (or the system has no
  // more). Any thread.
  bool TryRun(absl::AnyInvocable<void()> drive) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  bool StartThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ThreadMain() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || !waiting_.empty(); }

  const int max_threads_;
  absl::Mutex mutex_;
  std::list<absl::AnyInvocable<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
  std::list<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_ENDPOINT_DRIVER_POOL_H_
