#include "anywire/cancellation.h"

#include <atomic>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace anywire {

// The list of callbacks that wait. Cancel takes them off one by one and runs each without the lock.
class CancellationState {
 public:
  bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }

  // False when cancelled already: the callback is not on the list then.
  bool Add(CancellationCallback& callback) ABSL_LOCKS_EXCLUDED(mutex_) {
    const absl::MutexLock lock(&mutex_);
    if (cancelled()) return false;
    callback.next_ = first_;
    callback.previous_ = nullptr;
    if (first_ != nullptr) first_->previous_ = &callback;
    first_ = &callback;
    return true;
  }

  void Remove(CancellationCallback& callback) ABSL_LOCKS_EXCLUDED(mutex_) {
    const absl::MutexLock lock(&mutex_);
    if (first_ == &callback || callback.previous_ != nullptr) {
      Unlink(callback);
      return;
    }
    if (running_ != &callback) return;
    if (runner_ == std::this_thread::get_id()) {
      running_ = nullptr;  // it destroys itself: Cancel must not touch it any more
      return;
    }
    const auto ended = [this, &callback]()
                           ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return running_ != &callback; };
    mutex_.Await(absl::Condition(&ended));
  }

  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_) {
    mutex_.Lock();
    if (cancelled()) {
      mutex_.Unlock();
      return;
    }
    cancelled_.store(true, std::memory_order_release);
    runner_ = std::this_thread::get_id();
    while (first_ != nullptr) {
      running_ = first_;
      Unlink(*first_);
      // Moved out, so that the callback may be destroyed by its own function.
      absl::AnyInvocable<void()> function = std::move(running_->function_);
      mutex_.Unlock();
      function();
      function = nullptr;
      mutex_.Lock();
      running_ = nullptr;
    }
    mutex_.Unlock();
  }

 private:
  void Unlink(CancellationCallback& callback) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (callback.next_ != nullptr) callback.next_->previous_ = callback.previous_;
    (callback.previous_ != nullptr ? callback.previous_->next_ : first_) = callback.next_;
    callback.next_ = nullptr;
    callback.previous_ = nullptr;
  }

  absl::Mutex mutex_;
  std::atomic<bool> cancelled_{false};
  CancellationCallback* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
  CancellationCallback* running_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::thread::id runner_ ABSL_GUARDED_BY(mutex_);
};

bool CancellationToken::cancelled() const { return state_ != nullptr && state_->cancelled(); }

CancellationSource::CancellationSource() : token_(std::make_shared<CancellationState>()) {}

void CancellationSource::Cancel() {
  // A callback may destroy the source.
  const std::shared_ptr<CancellationState> state = token_.state_;
  state->Cancel();
}

void CancellationSource::Renew() {
  // A copy that another thread drops at this moment only makes us allocate.
  if (token_.state_.use_count() == 1 && !token_.cancelled()) return;
  token_.state_ = std::make_shared<CancellationState>();
}

CancellationCallback::CancellationCallback(const CancellationToken& token,
                                           absl::AnyInvocable<void()> function)
    : state_(token.state_), function_(std::move(function)) {
  if (state_ != nullptr && !state_->Add(*this)) {
    state_ = nullptr;
    std::exchange(function_, nullptr)();
  }
}

CancellationCallback::~CancellationCallback() {
  if (state_ != nullptr) state_->Remove(*this);
}

}  // namespace anywire
