#include "runtime/server/worker_pool.h"

#include <pthread.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace anywire {

WorkerPool::WorkerPool(uint32_t max_threads, uint32_t max_queued)
    : max_threads_(std::max<size_t>(max_threads, 1)), max_queued_(max_queued) {}

WorkerPool::~WorkerPool() {
  std::vector<std::thread> threads;
  {
    const absl::MutexLock lock(&mutex_);
    ending_ = true;
    threads = std::move(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

bool WorkerPool::TrySubmit(WorkItem& item) {
  const absl::MutexLock lock(&mutex_);
  const size_t startable = max_threads_ - threads_.size();
  if (queued_ >= max_queued_ + idle_ + startable) return false;
  if (queued_ >= idle_ && startable > 0 && !StartThread() && threads_.empty()) return false;
  item.next_ = nullptr;
  (last_ != nullptr ? last_->next_ : first_) = &item;
  last_ = &item;
  ++queued_;
  return true;
}

bool WorkerPool::StartThread() {
  const std::string name = absl::StrCat("anywire-work-", threads_.size());
  try {
    threads_.emplace_back([this] { ThreadMain(); });
  } catch (const std::system_error&) {
    return false;  // the system has no more threads; those that there are will do it
  }
  pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
  ++idle_;  // from its birth, so that no second one is started for the same item
  return true;
}

void WorkerPool::ThreadMain() {
  for (;;) {
    WorkItem* item;
    {
      const absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &WorkerPool::HasWorkOrEnds));
      if (first_ == nullptr) return;
      item = first_;
      first_ = item->next_;
      if (first_ == nullptr) last_ = nullptr;
      --queued_;
      --idle_;
    }
    item->Work();
    const absl::MutexLock lock(&mutex_);
    ++idle_;
  }
}

}  // namespace anywire
