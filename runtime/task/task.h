// Task<T>: a coroutine that yields one T.
//
//   anywire::Task<absl::Status> Handler(...) {
//     auto reply = co_await stub.Async().SayHello(request);
//     co_return ...;
//   }
//
// A task starts when it is awaited (or spawned, or waited for: wait.h), once, and its awaiter goes
// on, on the thread on which it ends. Destroying a task that has not started, or that is suspended,
// destroys its frame; what it awaits must not complete after that. Frames come from a per-thread
// free list. An exception that leaves the coroutine is rethrown to the awaiter.
//
// A coroutine may be resumed on any thread, by whatever it awaits. Its call scope (call_scope.h)
// follows it there, and the thread has its own scope back whenever the coroutine suspends or ends.
//
// GCC 12 destroys the members of an aggregate twice when the aggregate is a temporary in an
// expression with co_await and its members have destructors (`co_await F({.name = "x"})`). So an
// options struct that is passed in such expressions is trivially destructible, as CallOptions is;
// other aggregates are named before they are passed.
#ifndef ANYWIRE_RUNTIME_TASK_TASK_H_
#define ANYWIRE_RUNTIME_TASK_TASK_H_

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "anywire/awaitable.h"
#include "anywire/call_scope.h"
#include "anywire/operation.h"
#include "runtime/task/frame_allocator.h"

namespace anywire {

template <typename T>
class [[nodiscard]] Task;

namespace internal {

// What promises of all result types share: whom to tell of the end, and the call scope that follows
// the coroutine.
class PromiseBase : public FrameAllocated {
 public:
  struct InitialAwaiter {
    PromiseBase& promise;
    bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) noexcept {}
    void await_resume() noexcept { promise.EnterScope(); }
  };
  InitialAwaiter initial_suspend() noexcept { return {*this}; }

  // No symmetric transfer: below -O2 GCC compiles it to a nested call, and a coroutine that awaits
  // many tasks which end at once would use up the stack.
  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> ended) noexcept {
      PromiseBase& promise = ended.promise();
      current_call_scope = promise.outer_scope_;
      promise.done_->Done(true);  // may destroy the coroutine
    }
    void await_resume() noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }

  // Whatever a coroutine awaits: the thread gets its own scope back when the coroutine suspends,
  // and the coroutine finds its scope again on whatever thread it resumes. `Awaiter` may be a
  // reference.
  template <typename Awaiter>
  struct Scoped {
    Awaiter awaiter;
    PromiseBase& promise;

    bool await_ready() {
      if (!awaiter.await_ready()) return false;
      current_call_scope = promise.outer_scope_;
      return true;
    }
    template <typename Promise>
    auto await_suspend(std::coroutine_handle<Promise> handle) {
      // Another thread may resume the coroutine, and even destroy it, before the awaiter's function
      // returns.
      const CallScope* const outer = promise.outer_scope_;
      if constexpr (std::is_void_v<decltype(awaiter.await_suspend(handle))>) {
        awaiter.await_suspend(handle);
        current_call_scope = outer;
      } else {
        auto next = awaiter.await_suspend(handle);
        current_call_scope = outer;
        return next;
      }
    }
    decltype(auto) await_resume() {
      promise.EnterScope();
      return awaiter.await_resume();
    }
  };
  // An awaiter lives in the awaiting expression, so a reference to it is enough, and it need not be
  // movable.
  template <typename Awaitable>
  auto await_transform(Awaitable&& awaitable) {
    if constexpr (requires { std::forward<Awaitable>(awaitable).operator co_await(); }) {
      using Awaiter = decltype(std::forward<Awaitable>(awaitable).operator co_await());
      return Scoped<Awaiter>{std::forward<Awaitable>(awaitable).operator co_await(), *this};
    } else if constexpr (requires { operator co_await(std::forward<Awaitable>(awaitable)); }) {
      using Awaiter = decltype(operator co_await(std::forward<Awaitable>(awaitable)));
      return Scoped<Awaiter>{operator co_await(std::forward<Awaitable>(awaitable)), *this};
    } else {
      return Scoped<Awaitable&>{awaitable, *this};
    }
  }

  void set_done(Operation& done) { done_ = &done; }
  void set_scope(const CallScope* scope) { scope_ = scope; }
  const CallScope* scope() const { return scope_; }

 private:
  void EnterScope() noexcept {
    outer_scope_ = current_call_scope;
    current_call_scope = scope_;
  }

  Operation* done_ = nullptr;
  const CallScope* scope_ = nullptr;
  const CallScope* outer_scope_ = nullptr;  // of the thread on which the coroutine was last resumed
};

template <typename T>
class Promise final : public PromiseBase {
 public:
  Task<T> get_return_object();
  template <typename U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  void unhandled_exception() { exception_ = std::current_exception(); }
  T Take() {
    if (exception_) std::rethrow_exception(std::exchange(exception_, nullptr));
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
  std::exception_ptr exception_;
};

template <>
class Promise<void> final : public PromiseBase {
 public:
  Task<void> get_return_object();
  void return_void() {}
  void unhandled_exception() { exception_ = std::current_exception(); }
  void Take() {
    if (exception_) std::rethrow_exception(std::exchange(exception_, nullptr));
  }

 private:
  std::exception_ptr exception_;
};

}  // namespace internal

template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::Promise<T>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  // Awaiting starts the task and gives its result. The awaiter's scope is handed down unless the
  // task has its own.
  class Awaiter final : private internal::AwaitedOperation {
   public:
    explicit Awaiter(Task& task) : task_(task) {}
    bool await_ready() const { return false; }
    template <typename P>
    bool await_suspend(std::coroutine_handle<P> awaiting) {
      if constexpr (std::is_base_of_v<internal::PromiseBase, P>) {
        auto& promise = task_.handle_.promise();
        if (promise.scope() == nullptr) promise.set_scope(awaiting.promise().scope());
      }
      return Suspend(awaiting, [this] { task_.Start(*this); });
    }
    T await_resume() { return task_.Take(); }

   private:
    Task& task_;
  };
  Awaiter operator co_await() && { return Awaiter(*this); }

  // The scope that the coroutine and all it awaits run in; before it starts. `scope` outlives it.
  void set_scope(const CallScope* scope) { handle_.promise().set_scope(scope); }

  // For code that is no coroutine: starts the task; `done` is told when it has ended (perhaps
  // inside), and may destroy the task then. Once.
  void Start(Operation& done) {
    handle_.promise().set_done(done);
    handle_.resume();
  }
  // What the ended task has yielded, or throws what has left it. Once.
  T Take() { return handle_.promise().Take(); }

 private:
  friend promise_type;
  using Handle = std::coroutine_handle<promise_type>;
  explicit Task(Handle handle) : handle_(handle) {}
  Handle handle_;
};

template <typename T>
Task<T> internal::Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> internal::Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

// Starts `task` on this thread and lets it run to its end on its own, outside of the caller's
// scope. An exception that leaves it ends the process.
void Spawn(Task<void> task);

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_TASK_TASK_H_
