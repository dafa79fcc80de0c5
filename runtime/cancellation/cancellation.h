// Cancellation: one side asks, any number of listeners hear it once.
//
//   CancellationSource source;
//   auto reply = stub.Search(request, {.cancellation = &source.token()});  // on one thread
//   source.Cancel();                                                       // on another: CANCELLED
//
// All functions may be called by any thread.
#ifndef ANYWIRE_RUNTIME_CANCELLATION_CANCELLATION_H_
#define ANYWIRE_RUNTIME_CANCELLATION_CANCELLATION_H_

#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"

namespace anywire {

class CancellationState;

// What one hands to those who should listen. Cheap to copy. A default-constructed token is never
// cancelled.
class CancellationToken {
 public:
  CancellationToken() = default;
  bool cancelled() const;
  // Whether it can ever be cancelled.
  explicit operator bool() const { return state_ != nullptr; }

 private:
  friend class CancellationSource;
  friend class CancellationCallback;
  explicit CancellationToken(std::shared_ptr<CancellationState> state) : state_(std::move(state)) {}
  std::shared_ptr<CancellationState> state_;
};

// Copies cancel the same tokens. The end of a source does not cancel.
class CancellationSource {
 public:
  CancellationSource();

  const CancellationToken& token() const { return token_; }
  // Runs every registered callback, on this thread, once. Later calls do nothing.
  void Cancel();

  // Makes the source as new: tokens and sources copied from it before have no more to do with it.
  // Costs nothing when there are none. Not while another thread uses the source.
  void Renew();

 private:
  CancellationToken token_;
};

// A registration. `function` runs once, on the thread that cancels, or inside the constructor if
// that has happened already. After the destructor it does not run; the destructor waits for a run
// in progress on another thread (and not for one that it is called from). The function must not
// throw.
class CancellationCallback {
 public:
  CancellationCallback(const CancellationToken& token, absl::AnyInvocable<void()> function);
  ~CancellationCallback();
  CancellationCallback(const CancellationCallback&) = delete;
  CancellationCallback& operator=(const CancellationCallback&) = delete;

 private:
  friend class CancellationState;
  std::shared_ptr<CancellationState> state_;
  absl::AnyInvocable<void()> function_;
  CancellationCallback* next_ = nullptr;
  CancellationCallback* previous_ = nullptr;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_CANCELLATION_CANCELLATION_H_
