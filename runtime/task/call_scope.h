// What a call made inside a handler inherits: the handler's deadline and cancellation.
//
// The current scope is a property of the running code: a handler's coroutine and every coroutine it
// awaits carry it from suspension to suspension (task.h), a BlockingService's worker thread for the
// time of the handler.
#ifndef ANYWIRE_RUNTIME_TASK_CALL_SCOPE_H_
#define ANYWIRE_RUNTIME_TASK_CALL_SCOPE_H_

#include <chrono>

#include "anywire/cancellation.h"

namespace anywire {

struct CallScope {
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  const CancellationToken* cancellation = nullptr;  // null: is never cancelled
};

// The scope of the code that runs on this thread; null outside handlers. It lives as long as its
// handler's call.
const CallScope* CurrentCallScope();

// Sets the thread's scope for a while and puts back what was there before.
class ScopedCallScope {
 public:
  explicit ScopedCallScope(const CallScope* scope);
  ~ScopedCallScope();
  ScopedCallScope(const ScopedCallScope&) = delete;
  ScopedCallScope& operator=(const ScopedCallScope&) = delete;

 private:
  const CallScope* const previous_;
};

namespace internal {
extern thread_local constinit const CallScope* current_call_scope;
}  // namespace internal

inline const CallScope* CurrentCallScope() { return internal::current_call_scope; }
inline ScopedCallScope::ScopedCallScope(const CallScope* scope)
    : previous_(internal::current_call_scope) {
  internal::current_call_scope = scope;
}
inline ScopedCallScope::~ScopedCallScope() { internal::current_call_scope = previous_; }

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_TASK_CALL_SCOPE_H_
