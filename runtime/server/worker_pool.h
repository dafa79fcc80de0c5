// The threads on which handlers of blocking services run.
#ifndef ANYWIRE_RUNTIME_SERVER_WORKER_POOL_H_
#define ANYWIRE_RUNTIME_SERVER_WORKER_POOL_H_

#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace anywire {

// A piece of work; not owned by the pool, so that queueing allocates nothing.
class WorkItem {
 public:
  // On a thread of the pool. The item may be destroyed inside.
  virtual void Work() = 0;

 protected:
  ~WorkItem() = default;

 private:
  friend class WorkerPool;
  WorkItem* next_ = nullptr;
};

class WorkerPool {
 public:
  // At most `max_threads` threads, each started when there is work and nobody idle; at most
  // `max_queued` items wait beyond those that the threads are working on or about to.
  WorkerPool(uint32_t max_threads, uint32_t max_queued);
  // Works off what is queued, then ends the threads.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False, and nothing happens, when the queue is full. First come, first served. Any thread.
  bool TrySubmit(WorkItem& item) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  bool StartThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ThreadMain() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasWorkOrEnds() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return first_ != nullptr || ending_;
  }

  const size_t max_threads_;
  const size_t max_queued_;
  absl::Mutex mutex_;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t queued_ ABSL_GUARDED_BY(mutex_) = 0;
  WorkItem* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
  WorkItem* last_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_WORKER_POOL_H_
