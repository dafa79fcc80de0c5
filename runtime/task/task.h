// Task<T>: a coroutine that yields one T.
//
//   anywire::Task<absl::Status> Handler(...) { auto reply = co_await stub.Async().SayHello(request); co_return ...; }
//
// A task starts when it is awaited (or spawned), once, and resumes its awaiter on the thread on which it ends. Destroying
// a task that has not started, or that is suspended, destroys its frame. Frames come from a per-thread free list. An
// exception that leaves the coroutine is rethrown to the awaiter.
#ifndef ANYWIRE_RUNTIME_TASK_TASK_H_
#define ANYWIRE_RUNTIME_TASK_TASK_H_

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "anywire/call_scope.h"
#include "runtime/task/frame_allocator.h"

namespace anywire {

template <typename T>
class [[nodiscard]] Task;

namespace internal {

// What promises of all result types share: the awaiter to resume, and the call scope that follows the coroutine.
class PromiseBase {
 public:
  static void* operator new(size_t size) { return AllocateFrame(size); }
  static void operator delete(void* frame, size_t size) { FreeFrame(frame, size); }

  struct InitialAwaiter {
    const PromiseBase& promise;
    bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) noexcept {}
    void await_resume() noexcept { current_call_scope = promise.scope_; }
  };
  InitialAwaiter initial_suspend() noexcept { return {*this}; }

  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) noexcept {
      return ended.promise().continuation_;
    }
    void await_resume() noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }

  // Whatever a coroutine awaits, it finds its scope again when it resumes.
  template <typename Awaiter>
  class Scoped {
   public:
    Scoped(Awaiter&& awaiter, const CallScope* scope) : awaiter_(std::forward<Awaiter>(awaiter)), scope_(scope) {}
    bool await_ready() { return awaiter_.await_ready(); }
    template <typename Promise>
    auto await_suspend(std::coroutine_handle<Promise> handle) {
      return awaiter_.await_suspend(handle);
    }
    decltype(auto) await_resume() {
      current_call_scope = scope_;
      return awaiter_.await_resume();
    }

   private:
    Awaiter awaiter_;
    const CallScope* const scope_;
  };
  template <typename Awaitable>
  auto await_transform(Awaitable&& awaitable) {
    if constexpr (requires { std::forward<Awaitable>(awaitable).operator co_await(); }) {
      using Awaiter = decltype(std::forward<Awaitable>(awaitable).operator co_await());
      return Scoped<Awaiter>(std::forward<Awaitable>(awaitable).operator co_await(), scope_);
    } else {
      return Scoped<Awaitable>(std::forward<Awaitable>(awaitable), scope_);
    }
  }

  void set_continuation(std::coroutine_handle<> continuation) { continuation_ = continuation; }
  void set_scope(const CallScope* scope) { scope_ = scope; }
  const CallScope* scope() const { return scope_; }

 private:
  std::coroutine_handle<> continuation_ = std::noop_coroutine();
  const CallScope* scope_ = nullptr;
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
    if (exception_) std::rethrow_exception(exception_);
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
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  std::exception_ptr exception_;
};

}  // namespace internal

template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  // Awaiting starts the task and gives its result. The awaiter's scope is handed down unless the task has its own.
  class Awaiter {
   public:
    explicit Awaiter(Handle handle) : handle_(handle) {}
    bool await_ready() const { return false; }
    template <typename P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> awaiting) {
      handle_.promise().set_continuation(awaiting);
      if constexpr (std::is_base_of_v<internal::PromiseBase, P>) {
        if (handle_.promise().scope() == nullptr) handle_.promise().set_scope(awaiting.promise().scope());
      }
      return handle_;
    }
    T await_resume() { return handle_.promise().Take(); }

   private:
    const Handle handle_;
  };
  Awaiter operator co_await() && { return Awaiter(handle_); }

  // The scope that the coroutine and all it awaits run in; before it starts. `scope` outlives it.
  void set_scope(const CallScope* scope) { handle_.promise().set_scope(scope); }

 private:
  friend promise_type;
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

// Starts `task` on this thread and lets it run to its end on its own. An exception that leaves it ends the process.
void Spawn(Task<void> task);

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_TASK_TASK_H_
