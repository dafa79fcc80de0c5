// Wait: from ordinary code into coroutines.
//
//   absl::StatusOr<int> total = anywire::Wait(SumOf(stub, requests));   // SumOf is a coroutine
#ifndef ANYWIRE_RUNTIME_TASK_WAIT_H_
#define ANYWIRE_RUNTIME_TASK_WAIT_H_

#include <utility>

#include "absl/synchronization/notification.h"
#include "anywire/call_scope.h"
#include "anywire/operation.h"
#include "anywire/task.h"

namespace anywire {

// Starts `task` here, waits on this thread until it has ended (on whatever thread), and returns
// what it yields or throws what it throws. The task is in the caller's call scope. Not for a thread
// of the runtime's own (in a coroutine handler or a callback), which the task may need to go on:
// those co_await.
template <typename T>
T Wait(Task<T> task) {
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
