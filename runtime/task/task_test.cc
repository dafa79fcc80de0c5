#include "anywire/task.h"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "anywire/awaitable.h"
#include "anywire/call_scope.h"
#include "anywire/operation.h"
#include "anywire/wait.h"
#include "gtest/gtest.h"

namespace anywire {
namespace {

// Operations that wait until a test completes them.
class Pending {
 public:
  auto Step() {
    return internal::AwaitStep([this](Operation& done) { waiting_.push_back(&done); },
                               [](bool ok) { return ok; });
  }
  void CompleteAll(bool ok) {
    for (Operation* operation : std::exchange(waiting_, {})) operation->Done(ok);
  }
  size_t size() const { return waiting_.size(); }

 private:
  std::vector<Operation*> waiting_;
};

// Completes inside its start.
auto ReadyStep() {
  return internal::AwaitStep([](Operation& done) { done.Done(true); }, [](bool ok) { return ok; });
}

// Completes on a new thread.
auto ThreadStep() {
  return internal::AwaitStep(
      [](Operation& done) { std::thread([&done] { done.Done(true); }).detach(); },
      [](bool ok) { return ok; });
}

// A step is done once, so whoever would await it twice is told by the compiler.
template <typename T>
concept Awaitable = requires(T&& step) {
  std::forward<T>(step).operator co_await();
};
static_assert(Awaitable<decltype(ReadyStep())>);
static_assert(!Awaitable<decltype(ReadyStep())&>);

class Recorder final : public Operation {
 public:
  void Done(bool) override { ++ended; }
  int ended = 0;
};

// Counts the objects that live; a second destruction shows.
struct Counted {
  explicit Counted(int* live) : live(live) { ++*live; }
  Counted(const Counted& other) : live(other.live) { ++*live; }
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --*live; }
  int* live;
  std::string text = "long enough to be on the heap and freed with it";
};

Task<int> One() { co_return 1; }

TEST(TaskTest, StartsWhenItIsStarted) {
  bool ran = false;
  auto coroutine = [](bool* ran) -> Task<void> {
    *ran = true;
    co_return;
  };
  Task<void> task = coroutine(&ran);
  EXPECT_FALSE(ran);
  Recorder done;
  task.Start(done);
  EXPECT_TRUE(ran);
  EXPECT_EQ(done.ended, 1);
}

TEST(TaskTest, YieldsItsResultThroughAwaiters) {
  auto coroutine = []() -> Task<std::string> {
    const int first = co_await One();
    const int second = co_await One();
    co_return std::to_string(first + second);
  };
  EXPECT_EQ(Wait(coroutine()), "2");
}

TEST(TaskTest, YieldsWhatCanOnlyBeMoved) {
  auto coroutine = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(7); };
  EXPECT_EQ(*Wait(coroutine()), 7);
}

TEST(TaskTest, SuspendsUntilItsOperationIsDone) {
  Pending pending;
  auto coroutine = [](Pending* pending) -> Task<bool> {
    const bool first = co_await pending->Step();
    const bool second = co_await pending->Step();
    co_return first && !second;
  };
  Task<bool> task = coroutine(&pending);
  Recorder done;
  task.Start(done);
  EXPECT_EQ(pending.size(), 1u);
  pending.CompleteAll(true);
  EXPECT_EQ(done.ended, 0);
  pending.CompleteAll(false);
  EXPECT_EQ(done.ended, 1);
  EXPECT_TRUE(task.Take());
}

TEST(TaskTest, RethrowsToTheAwaiter) {
  auto thrower = [](Pending* pending) -> Task<int> {
    co_await pending->Step();
    throw std::runtime_error("broken");
  };
  Pending pending;
  std::string caught;
  auto catcher = [&thrower, &pending, &caught]() -> Task<void> {
    try {
      (void)co_await thrower(&pending);
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
  };
  Task<void> task = catcher();
  Recorder done;
  task.Start(done);
  pending.CompleteAll(true);
  EXPECT_EQ(caught, "broken");
}

TEST(TaskTest, WaitRethrows) {
  auto thrower = []() -> Task<int> { throw std::runtime_error("broken"); };
  EXPECT_THROW(Wait(thrower()), std::runtime_error);
}

TEST(TaskTest, ALoopOfTasksThatEndAtOnceNeedsNoStack) {
  auto loop = []() -> Task<int> {
    int sum = 0;
    for (int i = 0; i < 500'000; ++i) sum += co_await One();
    co_return sum;
  };
  EXPECT_EQ(Wait(loop()), 500'000);
}

TEST(TaskTest, ALoopOfReadyOperationsNeedsNoStack) {
  auto loop = []() -> Task<int> {
    int sum = 0;
    for (int i = 0; i < 500'000; ++i) sum += co_await ReadyStep() ? 1 : 0;
    co_return sum;
  };
  EXPECT_EQ(Wait(loop()), 500'000);
}

TEST(TaskTest, DestroyingATaskDestroysItsFrame) {
  int live = 0;
  auto coroutine = [](Counted, Pending* pending) -> Task<void> { co_await pending->Step(); };
  { const Task<void> never_started = coroutine(Counted(&live), nullptr); }
  EXPECT_EQ(live, 0);
  Pending pending;
  {
    Task<void> suspended = coroutine(Counted(&live), &pending);
    Recorder done;
    suspended.Start(done);
    EXPECT_EQ(live, 1);
  }
  EXPECT_EQ(live, 0);
}

TEST(TaskTest, TheOperationThatHearsOfTheEndMayDestroyTheTask) {
  struct Owner final : Operation {
    void Done(bool) override { task.reset(); }
    std::unique_ptr<Task<int>> task;
  };
  Owner owner;
  owner.task = std::make_unique<Task<int>>(One());
  owner.task->Start(owner);
  EXPECT_EQ(owner.task, nullptr);
}

TEST(TaskTest, SpawnRunsToTheEndOnItsOwn) {
  Pending pending;
  int live = 0;
  bool ended = false;
  Spawn([](Counted, Pending* pending, bool* ended) -> Task<void> {
    co_await pending->Step();
    *ended = true;
  }(Counted(&live), &pending, &ended));
  EXPECT_EQ(live, 1);
  pending.CompleteAll(true);
  EXPECT_TRUE(ended);
  EXPECT_EQ(live, 0);
}

TEST(TaskDeathTest, WhatLeavesASpawnedTaskEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(Spawn([]() -> Task<void> {
                 throw std::runtime_error("nobody listens");
                 co_return;
               }()),
               "nobody listens");
}

// Awaiters that cannot be moved, with arguments that are temporaries: what a generated stub makes.
struct Options {
  int number = 0;
  const Counted* counted = nullptr;
};
class Echo final : private internal::AwaitedOperation {
 public:
  Echo(Pending* pending, const std::string& text, const Options& options)
      : pending_(pending), text_(text), options_(options) {}
  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<> handle) {
    return Suspend(handle, [this] {
      step_ = [](void* self) { static_cast<Echo*>(self)->Done(true); };
      pending_ == nullptr ? Done(true) : Park();
    });
  }
  std::string await_resume() { return text_ + std::to_string(options_.number); }
  void Finish() { step_(this); }
  static std::vector<Echo*>& parked() {
    static std::vector<Echo*> parked;
    return parked;
  }

 private:
  void Park() { parked().push_back(this); }
  Pending* const pending_;
  const std::string& text_;
  const Options& options_;
  void (*step_)(void*) = nullptr;
};

TEST(TaskTest, TemporariesInAwaitingExpressionsLiveAsLongAsTheyShould) {
  Pending pending;
  for (Pending* where : {static_cast<Pending*>(nullptr), &pending}) {
    auto coroutine = [](Pending* where, int* live) -> Task<std::string> {
      const Counted named(live);
      std::string all =
          co_await Echo(where, "a text that is long enough for the heap ", {.number = 1});
      all += co_await Echo(where, std::string(30, 'x'), {.number = 2, .counted = &named});
      if (const std::string last = co_await Echo(where, all, {}); !last.empty()) co_return last;
      co_return "";
    };
    int live = 0;
    Task<std::string> task = coroutine(where, &live);
    Recorder done;
    task.Start(done);
    while (!Echo::parked().empty()) {
      for (Echo* echo : std::exchange(Echo::parked(), {})) echo->Finish();
    }
    ASSERT_EQ(done.ended, 1);
    EXPECT_EQ(task.Take(),
              "a text that is long enough for the heap 1" + std::string(30, 'x') + "20");
    EXPECT_EQ(live, 0);
  }
}

TEST(CallScopeTest, IsSetForAWhile) {
  EXPECT_EQ(CurrentCallScope(), nullptr);
  const CallScope outer, inner;
  {
    const ScopedCallScope first(&outer);
    EXPECT_EQ(CurrentCallScope(), &outer);
    {
      const ScopedCallScope second(&inner);
      EXPECT_EQ(CurrentCallScope(), &inner);
    }
    EXPECT_EQ(CurrentCallScope(), &outer);
  }
  EXPECT_EQ(CurrentCallScope(), nullptr);
}

// Notes the scope at each of its steps.
Task<void> Child(Pending* pending, std::vector<const CallScope*>* seen) {
  seen->push_back(CurrentCallScope());
  co_await pending->Step();
  seen->push_back(CurrentCallScope());
}
Task<void> Parent(Pending* pending, std::vector<const CallScope*>* seen) {
  seen->push_back(CurrentCallScope());
  co_await Child(pending, seen);
  seen->push_back(CurrentCallScope());
  co_await ReadyStep();
  seen->push_back(CurrentCallScope());
  co_await pending->Step();
  seen->push_back(CurrentCallScope());
}

TEST(CallScopeTest, FollowsACoroutineAndLeavesTheThreadsOwnAlone) {
  const CallScope scope, starter, resumer;
  Pending pending;
  std::vector<const CallScope*> seen;
  Task<void> task = Parent(&pending, &seen);
  task.set_scope(&scope);
  Recorder done;
  {
    const ScopedCallScope here(&starter);
    task.Start(done);
    EXPECT_EQ(CurrentCallScope(), &starter);
  }
  std::thread([&pending, &resumer] {
    pending.CompleteAll(true);
    EXPECT_EQ(CurrentCallScope(), nullptr);
    const ScopedCallScope here(&resumer);
    pending.CompleteAll(true);
    EXPECT_EQ(CurrentCallScope(), &resumer);
  }).join();
  EXPECT_EQ(done.ended, 1);
  EXPECT_EQ(CurrentCallScope(), nullptr);
  EXPECT_EQ(seen, std::vector<const CallScope*>(6, &scope));
}

TEST(CallScopeTest, TwoCoroutinesOnOneThreadKeepTheirOwn) {
  const CallScope first_scope, second_scope;
  Pending pending;
  std::vector<const CallScope*> first_seen, second_seen;
  Task<void> first = Parent(&pending, &first_seen);
  Task<void> second = Parent(&pending, &second_seen);
  first.set_scope(&first_scope);
  second.set_scope(&second_scope);
  Recorder done;
  first.Start(done);
  second.Start(done);
  while (pending.size() != 0) pending.CompleteAll(true);
  EXPECT_EQ(done.ended, 2);
  EXPECT_EQ(first_seen, std::vector<const CallScope*>(6, &first_scope));
  EXPECT_EQ(second_seen, std::vector<const CallScope*>(6, &second_scope));
  EXPECT_EQ(CurrentCallScope(), nullptr);
}

TEST(CallScopeTest, ASpawnedTaskIsOutsideOfIt) {
  const CallScope scope;
  const ScopedCallScope here(&scope);
  const CallScope* seen = &scope;
  Spawn([](const CallScope** seen) -> Task<void> {
    *seen = CurrentCallScope();
    co_return;
  }(&seen));
  EXPECT_EQ(seen, nullptr);
  EXPECT_EQ(CurrentCallScope(), &scope);
}

TEST(CallScopeTest, AWaitedTaskIsInIt) {
  const CallScope scope;
  const ScopedCallScope here(&scope);
  auto coroutine = []() -> Task<const CallScope*> {
    co_await ThreadStep();
    co_return CurrentCallScope();
  };
  EXPECT_EQ(Wait(coroutine()), &scope);
  EXPECT_EQ(CurrentCallScope(), &scope);
}

// Awaitables of other libraries need not know of scopes.
struct Foreign {
  std::coroutine_handle<>* resume_me;
  bool await_ready() const { return resume_me == nullptr; }
  void await_suspend(std::coroutine_handle<> handle) { *resume_me = handle; }
  void await_resume() const {}
};

TEST(CallScopeTest, SurvivesAwaitablesOfOtherLibraries) {
  const CallScope scope;
  std::coroutine_handle<> resume_me;
  bool ended = false;
  auto coroutine = [](std::coroutine_handle<>* resume_me, const CallScope* scope,
                      bool* ended) -> Task<void> {
    co_await Foreign{nullptr};
    EXPECT_EQ(CurrentCallScope(), scope);
    co_await Foreign{resume_me};
    EXPECT_EQ(CurrentCallScope(), scope);
    *ended = true;
  };
  Task<void> task = coroutine(&resume_me, &scope, &ended);
  task.set_scope(&scope);
  Recorder done;
  task.Start(done);
  EXPECT_EQ(CurrentCallScope(), nullptr);
  resume_me.resume();
  EXPECT_TRUE(ended);
  EXPECT_EQ(CurrentCallScope(), nullptr);
}

}  // namespace
}  // namespace anywire
