#include "anywire/event_loop.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/census.h"
#include "tests/support/no_more_threads.h"
#include "transports/event_loop_fixture.h"

namespace anywire::test {
namespace {

using std::chrono::steady_clock;
using ::testing::ElementsAre;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

TEST(EventLoopTest, StartsAndStops) {
  EventLoop loop("idle");
  EXPECT_FALSE(loop.IsCurrent());
  EXPECT_EQ(nullptr, EventLoop::Current());
}

TEST(EventLoopTest, WithoutAThreadItLeavesNothingBehind) {
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  const test::Census census;
  {
    const test::NoMoreThreads none;
    EXPECT_THROW(EventLoop("none"), std::system_error);
  }
  EXPECT_EQ(census.BackToBaseline(absl::ZeroDuration()), absl::OkStatus());
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGCHLD, SIGUSR1}) {
    EXPECT_EQ(sigismember(&after, signal), sigismember(&before, signal)) << signal;
  }
}

TEST(EventLoopTest, PostedFunctionsRunInOrderOnTheLoop) {
  EventLoop loop("post");
  std::vector<int> order;
  bool current = true;
  for (int i = 0; i < 1000; ++i) {
    loop.Post([&loop, &order, &current, i] {
      order.push_back(i);
      current = current && loop.IsCurrent() && EventLoop::Current() == &loop;
    });
  }
  loop.RunAndWait([] {});
  ASSERT_EQ(1000u, order.size());
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(i, order[i]);
  EXPECT_TRUE(current);
}

TEST(EventLoopTest, PostFromManyThreadsLosesNothing) {
  EventLoop loop("posts");
  constexpr int kThreads = 4, kEach = 20'000;
  int count = 0;  // the loop's
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&loop, &count] {
      for (int i = 0; i < kEach; ++i) loop.Post([&count] { ++count; });
    });
  }
  for (std::thread& thread : threads) thread.join();
  loop.RunAndWait([] {});
  EXPECT_EQ(kThreads * kEach, count);
}

TEST(EventLoopTest, PostFromTheLoopItselfRunsLater) {
  EventLoop loop("self");
  absl::Notification done;
  std::vector<int> order;
  loop.Post([&loop, &order, &done] {
    loop.Post([&order, &done] {
      order.push_back(2);
      done.Notify();
    });
    order.push_back(1);
  });
  ASSERT_TRUE(Wait(done));
  EXPECT_THAT(order, ElementsAre(1, 2));
}

struct OnDestruction {
  explicit OnDestruction(std::function<void()> function) : function(std::move(function)) {}
  ~OnDestruction() { function(); }
  std::function<void()> function;
};

// What is posted after the loop was told to stop is destroyed, unrun, on the loop's thread.
TEST(EventLoopTest, UnrunFunctionsAreDestroyedOnTheLoop) {
  bool ran = false, destroyed_on_loop = false;
  auto loop = std::make_unique<EventLoop>("end");
  EventLoop* raw = loop.get();
  auto witness = std::make_shared<OnDestruction>(
      [raw, &destroyed_on_loop] { destroyed_on_loop = raw->IsCurrent(); });
  // A detached promise that never ends posts when it is destroyed with the loop.
  loop->RunAndWait([raw, &ran, &witness] {
    auto poster = kj::heap<OnDestruction>([raw, &ran, witness = std::move(witness)]() mutable {
      raw->Post([&ran, witness = std::move(witness)] { ran = true; });
    });
    raw->Detach(kj::Promise<void>(kj::NEVER_DONE).attach(kj::mv(poster)), "never");
  });
  loop.reset();
  EXPECT_FALSE(ran);
  EXPECT_TRUE(destroyed_on_loop);
}

// Whoever waits for a function that the loop does not come to any more waits until it is destroyed.
TEST(EventLoopTest, RunAndWaitReturnsWhenTheLoopStopsFirst) {
  absl::Notification stopping;
  bool ran = false, result = true, gone_on_return = false;
  auto loop = std::make_unique<EventLoop>("end");
  EventLoop* raw = loop.get();
  EXPECT_TRUE(loop->RunAndWait([] {}));
  loop->RunAndWait([raw, &stopping] {
    auto last = kj::heap<OnDestruction>([&stopping] { stopping.Notify(); });
    raw->Detach(kj::Promise<void>(kj::NEVER_DONE).attach(kj::mv(last)), "never");
  });
  // The alarm holds the loop until the function goes that owns it.
  auto alarm = std::make_unique<FunctionAlarm>(*loop, [](Instant) {});
  std::thread waiter(
      [raw, &stopping, &ran, &result, &gone_on_return, alarm = std::move(alarm)]() mutable {
        ASSERT_TRUE(Wait(stopping));
        bool gone = false;
        auto witness = std::make_unique<OnDestruction>([&gone] { gone = true; });
        result = raw->RunAndWait(
            [&ran, alarm = std::move(alarm), witness = std::move(witness)] { ran = true; });
        gone_on_return = gone;
      });
  loop.reset();
  waiter.join();
  EXPECT_FALSE(ran);
  EXPECT_FALSE(result);
  EXPECT_TRUE(gone_on_return);
}

TEST(EventLoopTest, WatchIsLevelTriggeredUntilTurnedOff) {
  EventLoop loop("level");
  SocketPair pair;
  absl::Notification done;
  int calls = 0;
  FunctionWatch* self = nullptr;
  FunctionWatch watch([&](uint32_t events) {
    EXPECT_EQ(static_cast<uint32_t>(EPOLLIN), events);
    // The byte stays unread, so it comes again.
    if (++calls == 5) {
      loop.ChangeWatch(pair.fds[0], 0, *self);
      done.Notify();
    }
  });
  self = &watch;
  ASSERT_TRUE(loop.AddWatch(pair.fds[0], EPOLLIN, watch).ok());
  pair.Write();
  ASSERT_TRUE(Wait(done));
  for (int i = 0; i < 3; ++i) loop.RunAndWait([] {});
  EXPECT_EQ(5, calls);
  loop.RunAndWait([&] { loop.RemoveWatch(pair.fds[0], watch); });
}

TEST(EventLoopTest, SilentWatchDoesNotHearTheHangUp) {
  EventLoop loop("silent");
  SocketPair pair;
  std::atomic<int> calls{0};
  absl::Notification heard;
  FunctionWatch watch([&](uint32_t) {
    if (++calls == 1) heard.Notify();
  });
  ASSERT_TRUE(loop.AddWatch(pair.fds[0], 0, watch).ok());
  pair.CloseFar();
  for (int i = 0; i < 10; ++i) loop.RunAndWait([] {});
  EXPECT_EQ(0, calls);
  // The level counts, not the edge that has been missed.
  loop.ChangeWatch(pair.fds[0], EPOLLOUT, watch);
  ASSERT_TRUE(Wait(heard));
  loop.RunAndWait([&] { loop.RemoveWatch(pair.fds[0], watch); });
}

// Two descriptors are ready in one fetch; whichever comes first removes the other.
TEST(EventLoopTest, RemovedWatchHearsNothingAlreadyFetched) {
  EventLoop loop("removed");
  for (int round = 0; round < 50; ++round) {
    SocketPair a, b;
    int calls = 0, left = -1;
    FunctionWatch* watches[2];
    const int fds[2] = {a.fds[0], b.fds[0]};
    auto make = [&](int index) {
      return FunctionWatch([&, index](uint32_t) {
        ++calls;
        loop.RemoveWatch(fds[1 - index], *watches[1 - index]);
        loop.ChangeWatch(fds[index], 0, *watches[index]);
        left = index;
      });
    };
    FunctionWatch first = make(0), second = make(1);
    watches[0] = &first;
    watches[1] = &second;
    loop.RunAndWait([&] {
      a.Write();
      b.Write();
      ASSERT_TRUE(loop.AddWatch(fds[0], EPOLLIN, first).ok());
      ASSERT_TRUE(loop.AddWatch(fds[1], EPOLLIN, second).ok());
    });
    for (int i = 0; i < 3; ++i) loop.RunAndWait([] {});
    ASSERT_EQ(1, calls);
    loop.RunAndWait([&] { loop.RemoveWatch(fds[left], *watches[left]); });
  }
}

TEST(EventLoopTest, WatchingABadDescriptorIsAnError) {
  EventLoop loop("bad");
  FunctionWatch watch([](uint32_t) {});
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, loop.AddWatch(-1, EPOLLIN, watch).code());
}

TEST(EventLoopTest, AlarmComesAtItsTimeAndOnce) {
  EventLoop loop("alarm");
  absl::Notification done;
  std::atomic<int> calls{0};
  Instant fired;
  FunctionAlarm* alarm = nullptr;
  loop.RunAndWait([&] {
    alarm = new FunctionAlarm(loop, [&](Instant now) {
      fired = now;
      if (++calls == 1) done.Notify();
    });
  });
  const Instant when = steady_clock::now() + 3ms;
  alarm->Set(when);  // the loop sleeps without limit: it must be woken
  ASSERT_TRUE(Wait(done));
  EXPECT_GE(fired, when);
  loop.RunAndWait([] {});
  EXPECT_EQ(1, calls);
  loop.RunAndWait([alarm] { delete alarm; });
}

class AlarmTest : public ::testing::Test {
 protected:
  // Runs the loop until `time` has passed for its alarms.
  void RunPast(Instant time) {
    absl::Notification done;
    std::unique_ptr<FunctionAlarm> last;
    loop_.RunAndWait([&] {
      last = std::make_unique<FunctionAlarm>(loop_, [&](Instant) { done.Notify(); });
      last->Set(time);
    });
    ASSERT_TRUE(Wait(done));
    loop_.RunAndWait([&] { last.reset(); });
  }
  EventLoop loop_{"alarms"};
};

TEST_F(AlarmTest, MovesBothWaysAndOff) {
  int later = 0, off = 0, earlier = 0, no_later = 0;
  std::vector<std::unique_ptr<FunctionAlarm>> alarms;
  const Instant start = steady_clock::now();
  loop_.RunAndWait([&] {
    for (int* count : {&later, &off, &earlier, &no_later}) {
      alarms.push_back(std::make_unique<FunctionAlarm>(loop_, [count](Instant) { ++*count; }));
    }
    alarms[0]->Set(start + 1ms);
    alarms[0]->Set(start + 1h);
    alarms[1]->Set(start + 1ms);
    alarms[1]->Set(Instant::max());
    alarms[2]->Set(start + 1h);
    alarms[2]->Set(start + 1ms);
    alarms[3]->SetNoLaterThan(start + 1ms);
    alarms[3]->SetNoLaterThan(start + 1h);
  });
  RunPast(start + 2ms);
  EXPECT_EQ(0, later);
  EXPECT_EQ(0, off);
  EXPECT_EQ(1, earlier);
  EXPECT_EQ(1, no_later);
  // One that is off is set anew; one that was moved later comes at the later time.
  alarms[1]->SetNoLaterThan(start + 3ms);
  alarms[0]->Set(start + 3ms);
  RunPast(start + 4ms);
  EXPECT_EQ(1, later);
  EXPECT_EQ(1, off);
  loop_.RunAndWait([&] { alarms.clear(); });
}

TEST_F(AlarmTest, MayBeDestroyedByAnotherThatIsDueToo) {
  std::unique_ptr<FunctionAlarm> a, b;
  int calls = 0;
  loop_.RunAndWait([&] {
    a = std::make_unique<FunctionAlarm>(loop_, [&](Instant) {
      ++calls;
      b.reset();
    });
    b = std::make_unique<FunctionAlarm>(loop_, [&](Instant) {
      ++calls;
      a.reset();
    });
    const Instant now = steady_clock::now();
    a->Set(now);
    b->Set(now);
  });
  RunPast(steady_clock::now() + 1ms);
  EXPECT_EQ(1, calls);
  loop_.RunAndWait([&] {
    a.reset();
    b.reset();
  });
}

// An alarm that is always due must not keep descriptors and posted functions from their turn.
TEST_F(AlarmTest, ThatIsSetAgainAtOnceStarvesNobody) {
  std::unique_ptr<FunctionAlarm> alarm;
  std::atomic<bool> stop{false};
  loop_.RunAndWait([&] {
    alarm = std::make_unique<FunctionAlarm>(loop_, [&](Instant now) {
      if (!stop) alarm->Set(now);
    });
    alarm->Set(steady_clock::now());
  });
  for (int i = 0; i < 10; ++i) loop_.RunAndWait([] {});
  stop = true;
  loop_.RunAndWait([&] { alarm.reset(); });
}

// Each thread moves the alarm about and at last to a time at hand: it must come.
TEST_F(AlarmTest, ThatAreSetAgainToTimesPastTakeTurns) {
  constexpr int kAlarms = 8;
  constexpr int kTurns = 100;
  std::vector<std::unique_ptr<FunctionAlarm>> alarms(kAlarms);
  std::vector<int> turns(kAlarms);
  absl::Notification done;
  loop_.RunAndWait([&] {
    for (int i = 0; i < kAlarms; ++i) {
      alarms[i] = std::make_unique<FunctionAlarm>(loop_, [&, i](Instant) {
        alarms[i]->SetNoLaterThan(Instant());
        if (++turns[i] == kTurns && !done.HasBeenNotified()) done.Notify();
      });
      alarms[i]->SetNoLaterThan(Instant());
    }
  });
  ASSERT_TRUE(Wait(done));
  loop_.RunAndWait([&] {
    for (int turn : turns) EXPECT_GE(turn, kTurns - 1);
    alarms.clear();
  });
}

TEST_F(AlarmTest, SetByManyThreadsIsNeverLost) {
  for (int round = 0; round < 30; ++round) {
    absl::Notification done;
    std::atomic<bool> armed{false};
    std::unique_ptr<FunctionAlarm> alarm;
    loop_.RunAndWait([&] {
      alarm = std::make_unique<FunctionAlarm>(loop_, [&](Instant) {
        if (armed && !done.HasBeenNotified()) done.Notify();
      });
    });
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&alarm, t] {
        for (int i = 0; i < 300; ++i) {
          const Instant now = steady_clock::now();
          if ((i + t) % 3 == 0) alarm->Set(now + 1h);
          if ((i + t) % 3 == 1) alarm->SetNoLaterThan(now + 20us);
          if ((i + t) % 3 == 2) alarm->Set(now + 50us);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    armed = true;
    alarm->SetNoLaterThan(steady_clock::now() + 100us);
    ASSERT_TRUE(Wait(done));
    loop_.RunAndWait([&] { alarm.reset(); });
  }
}

TEST(EventLoopTest, PromisesAndTimersRun) {
  EventLoop loop("kj");
  absl::Notification done;
  loop.Post([&] {
    loop.Detach(loop.timer().afterDelay(1 * kj::MILLISECONDS).then([&done] { done.Notify(); }),
                "timer");
  });
  ASSERT_TRUE(Wait(done));
}

TEST(EventLoopTest, PromisesOfOtherThreadsWakeTheLoop) {
  EventLoop loop("cross");
  kj::Own<kj::CrossThreadPromiseFulfiller<int>> fulfiller;
  absl::Notification done;
  int got = 0;
  loop.RunAndWait([&] {
    auto pair = kj::newPromiseAndCrossThreadFulfiller<int>();
    fulfiller = kj::mv(pair.fulfiller);
    loop.Detach(pair.promise.then([&](int value) {
      got = value;
      done.Notify();
    }),
                "cross");
  });
  fulfiller->fulfill(7);
  ASSERT_TRUE(Wait(done));
  EXPECT_EQ(7, got);
  fulfiller = nullptr;
}

// A chain of promises that never empties the queue does not keep descriptors from being served.
TEST(EventLoopTest, BusyPromisesDoNotStarveDescriptors) {
  SocketPair pair;
  absl::Notification done;
  bool stop = false;
  std::function<kj::Promise<void>()> spin = [&]() -> kj::Promise<void> {
    if (stop) return kj::READY_NOW;
    return kj::evalLater([&] { return spin(); });
  };
  EventLoop loop("busy");  // ends before what runs on it
  FunctionWatch watch([&](uint32_t) {
    stop = true;
    loop.RemoveWatch(pair.fds[0], watch);
    done.Notify();
  });
  ASSERT_TRUE(loop.AddWatch(pair.fds[0], EPOLLIN, watch).ok());
  loop.RunAndWait([&] { loop.Detach(spin(), "spin"); });
  pair.Write();
  ASSERT_TRUE(Wait(done));
}

TEST(EventLoopTest, FailedPromiseIsLoggedWithItsName) {
  ::testing::internal::CaptureStderr();
  {
    EventLoop loop("fails");
    loop.RunAndWait([&] {
      loop.Detach(kj::Promise<void>(kj::Exception(kj::Exception::Type::FAILED, __FILE__, __LINE__,
                                                  kj::heapString("no luck"))),
                  "the thing");
    });
    loop.RunAndWait([] {});
  }
  std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, ::testing::HasSubstr("the thing"));
  EXPECT_THAT(log, ::testing::HasSubstr("no luck"));
}

// What lives on a loop may have its last owner on another thread, which posts the destruction while
// the loop is going already.
TEST(EventLoopTest, WaitsForAnAlarmThatAnotherThreadStillOwns) {
  struct NotifyWhenDestroyed {
    explicit NotifyWhenDestroyed(absl::Notification& going) : going(going) {}
    ~NotifyWhenDestroyed() { going.Notify(); }
    absl::Notification& going;
  };
  absl::Notification going;
  auto loop = std::make_unique<EventLoop>("waits");
  auto alarm = std::make_unique<FunctionAlarm>(*loop, [](Instant) {});
  bool destroyed_on_loop = false;
  loop->RunAndWait([&loop, &going] {
    loop->Detach(kj::Promise<void>(kj::NEVER_DONE).attach(kj::heap<NotifyWhenDestroyed>(going)),
                 "never done");
  });
  std::thread owner([&going, &alarm, &destroyed_on_loop, raw = loop.get()] {
    going.WaitForNotification();
    struct DestroyedWhere {
      EventLoop* loop;
      bool& on_loop;
      ~DestroyedWhere() { on_loop = loop->IsCurrent(); }
    };
    auto where = std::make_unique<DestroyedWhere>(DestroyedWhere{raw, destroyed_on_loop});
    raw->Post([alarm = std::move(alarm), where = std::move(where)] {});
  });
  loop = nullptr;
  EXPECT_TRUE(destroyed_on_loop);
  owner.join();
}

TEST(EventLoopDeathTest, WaitingForOneselfIsFatal) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        EventLoop loop("self");
        loop.RunAndWait([&loop] { loop.RunAndWait([] {}); });
      },
      "cannot wait for itself");
}

}  // namespace
}  // namespace anywire::test
