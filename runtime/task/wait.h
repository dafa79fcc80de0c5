// Wait: from ordinary code into coroutines.
//
//   absl::StatusOr<int> total = anywire::Wait(SumOf(stub, requests));   // SumOf is a coroutine
#ifndef ANYWIRE_RUNTIME_TASK_WAIT_H_
#define ANYWIRE_RUNTIME_TASK_WAIT_H_

#include <stdexcept>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "anywire/call_scope.h"
#include "anywire/operation.h"
#include "anywire/task.h"

namespace anywire {

namespace internal {
// Whether this thread is none of the runtime's own.
bool MayWaitHere();
inline constexpr char kWaitRefused[] =
    "anywire::Wait on a thread of the runtime (in a coroutine handler or a callback) would wait "
    "for itself: co_await the task instead";
}  // namespace internal

// Starts `task` here, waits on this thread until it has ended (on whatever thread), and returns
// what it yields or throws what it throws. The task is in the caller's call scope.
//
// Not for a thread of the runtime's own (in a coroutine handler or a callback), which the task may
// need to go on: those co_await. There it fails without starting the task: FAILED_PRECONDITION
// where T can be a status, else std::logic_error.
template <typename T>
T Wait(Task<T> task) {
  if (!internal::MayWaitHere()) {
    if constexpr (std::is_convertible_v<absl::Status, T>) {
      return absl::FailedPreconditionError(internal::kWaitRefused);
    } else {
      throw std::logic_error(internal::kWaitRefused);
    }
  }
  class Waiter final : public Operation {
   public:
    void Done(bool) override { ended_.Notify(); }
    bool blocking() const override { return true; }
    void Wait() { ended_.WaitForNotification(); }

   private:
    absl::Notification ended_;
  };
  Waiter waiter;
  task.set_scope(CurrentCallScope());
  task.Start(waiter);
  waiter.Wait();
  return task.Take();
}

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_TASK_WAIT_H_
