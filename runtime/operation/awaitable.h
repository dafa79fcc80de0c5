// From operations to coroutines and callbacks.
#ifndef ANYWIRE_RUNTIME_OPERATION_AWAITABLE_H_
#define ANYWIRE_RUNTIME_OPERATION_AWAITABLE_H_

#include <atomic>
#include <coroutine>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "anywire/operation.h"

namespace anywire::internal {

// An operation that resumes a coroutine. An operation that completes inside its start does not
// suspend at all, so a coroutine that finds everything ready runs in a loop and not in a recursion.
class AwaitedOperation : public Operation {
 public:
  // For await_suspend.
  template <typename Start>
  bool Suspend(std::coroutine_handle<> handle, Start&& start) {
    handle_ = handle;
    start();
    // Whoever comes second, the starter here or Done, goes on with the coroutine.
    return !passed_.exchange(true, std::memory_order_acq_rel);
  }
  bool ok() const { return ok_; }

  void Done(bool ok) final {
    ok_ = ok;
    const std::coroutine_handle<> handle = handle_;
    if (passed_.exchange(true, std::memory_order_acq_rel)) handle.resume();
  }

 private:
  std::coroutine_handle<> handle_;
  std::atomic<bool> passed_{false};
  bool ok_ = false;
};

// A step that starts when it is awaited: awaits the operation that `start` starts, then yields
// finish(ok). Once, so only as an rvalue: an Operation is done once.
template <typename Start, typename Finish>
class [[nodiscard]] AwaitStep final {
 public:
  AwaitStep(Start start, Finish finish) : start_(std::move(start)), finish_(std::move(finish)) {}

  class Awaiter final : private AwaitedOperation {
   public:
    explicit Awaiter(AwaitStep& step) : step_(step) {}
    bool await_ready() const { return false; }
    bool await_suspend(std::coroutine_handle<> handle) {
      return Suspend(handle, [this] { step_.start_(*this); });
    }
    auto await_resume() { return step_.finish_(ok()); }

   private:
    AwaitStep& step_;
  };
  Awaiter operator co_await() && { return Awaiter(*this); }

 private:
  Start start_;
  Finish finish_;
};

// Runs the operation that `start` starts and then finish(ok), never inside this function: what
// completes at once is handed to `runner.RunLater`. Allocates once. An exception that leaves
// `finish` ends the process.
template <typename Runner, typename Start, typename Finish>
void RunStep(const Runner& runner, Start start, Finish finish) {
  class Step final : public Operation {
   public:
    explicit Step(Finish finish) : finish_(std::move(finish)) {}
    void Done(bool ok) noexcept override {
      ok_ = ok;
      if (passed_.exchange(true, std::memory_order_acq_rel)) Run();
    }
    void Run() noexcept {
      const std::unique_ptr<Step> self(this);
      finish_(ok_);
    }
    bool CompletedInside() { return passed_.exchange(true, std::memory_order_acq_rel); }

   private:
    Finish finish_;
    std::atomic<bool> passed_{false};
    bool ok_ = false;
  };
  auto* step = new Step(std::move(finish));
  start(*step);
  if (step->CompletedInside()) runner.RunLater([step] { step->Run(); });
}

}  // namespace anywire::internal

#endif  // ANYWIRE_RUNTIME_OPERATION_AWAITABLE_H_
