// Correct programs on the locks of Abseil and kj: under --config=tsan they must be silent (see
// tsan_system_locks.cc).

#include <gtest/gtest.h>
#include <kj/async-io.h>
#include <kj/async.h>
#include <kj/mutex.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"

namespace {

constexpr int kRounds = 2000;

TEST(AbslMutex, GuardsPlainData) {
  absl::Mutex mutex;
  int value = 0;
  auto add = [&mutex, &value] {
    for (int i = 0; i < kRounds; ++i) {
      if (i % 3 == 0) {
        while (!mutex.TryLock()) std::this_thread::yield();
        ++value;
        mutex.Unlock();
      } else {
        absl::MutexLock lock(&mutex);
        ++value;
      }
    }
  };
  std::thread thread(add);
  add();
  thread.join();
  EXPECT_EQ(value, 2 * kRounds);
}

TEST(AbslMutex, ReadersShare) {
  absl::Mutex mutex;
  int value = 0;
  std::thread writer([&mutex, &value] {
    for (int i = 0; i < kRounds; ++i) {
      absl::MutexLock lock(&mutex);
      ++value;
    }
  });
  int last = 0;
  while (last < kRounds) {
    absl::ReaderMutexLock lock(&mutex);
    EXPECT_GE(value, last);
    last = value;
  }
  writer.join();
}

TEST(AbslMutex, Conditions) {
  absl::Mutex mutex;
  int turn = 0;
  int data = 0;
  auto play = [&mutex, &turn, &data](int me) {
    auto mine = [&turn, me] { return turn == me; };
    for (int i = 0; i < kRounds / 4; ++i) {
      mutex.LockWhen(absl::Condition(&mine));
      ++data;
      turn = 1 - me;
      mutex.Await(absl::Condition(&mine));
      ++data;
      turn = 1 - me;
      mutex.Unlock();
      absl::MutexLock lock(&mutex);
      EXPECT_TRUE(mutex.AwaitWithTimeout(absl::Condition(&mine), absl::InfiniteDuration()));
      turn = 1 - me;
    }
    absl::MutexLock lock(&mutex);
    turn = 1 - me;
  };
  std::thread thread(play, 1);
  play(0);
  thread.join();
  EXPECT_EQ(data, kRounds);
}

TEST(AbslMutex, ConditionVariable) {
  absl::Mutex mutex;
  absl::CondVar changed;
  int turn = 0;
  auto play = [&mutex, &changed, &turn](int me) {
    for (int i = 0; i < kRounds / 4; ++i) {
      absl::MutexLock lock(&mutex);
      while (turn != me) changed.WaitWithTimeout(&mutex, absl::Seconds(60));
      turn = 1 - me;
      changed.SignalAll();
    }
  };
  std::thread thread(play, 1);
  play(0);
  thread.join();
}

TEST(AbslNotification, OrdersWhatCameBefore) {
  for (int i = 0; i < 50; ++i) {
    absl::Notification polled;
    absl::Notification waited;
    int data = 0;
    std::thread thread([&polled, &waited, &data] {
      data = 1;
      waited.Notify();
      waited.WaitForNotification();
      data = 2;
      polled.Notify();
    });
    waited.WaitForNotification();
    while (!polled.HasBeenNotified()) std::this_thread::yield();
    EXPECT_EQ(data, 2);
    thread.join();
  }
}

TEST(AbslBlockingCounter, OrdersWhatCameBefore) {
  absl::BlockingCounter counter(2);
  int data[2] = {0, 0};
  std::thread first([&counter, &data] { data[0] = 1, counter.DecrementCount(); });
  std::thread second([&counter, &data] { data[1] = 1, counter.DecrementCount(); });
  counter.Wait();
  EXPECT_EQ(data[0] + data[1], 2);
  first.join();
  second.join();
}

TEST(AbslShared, StatusAndCordAreCountedReferences) {
  for (int i = 0; i < 50; ++i) {
    std::optional<absl::Status> status =
        absl::InternalError("a message that is too long to be stored in place");
    std::optional<absl::Cord> cord = absl::Cord(std::string(5000, 'x'));
    std::thread thread([mine = *status, text = *cord] {
      EXPECT_EQ(mine.message().size(), 48u);
      EXPECT_EQ(text.size(), 5000u);
      EXPECT_EQ(std::string(text)[0], 'x');
    });
    EXPECT_FALSE(status->ok());
    EXPECT_EQ(cord->size(), 5000u);
    status.reset();
    cord.reset();
    thread.join();
  }
}

TEST(KjMutex, GuardsPlainData) {
  kj::MutexGuarded<int> value(0);
  auto add = [&value] {
    for (int i = 0; i < kRounds; ++i) ++*value.lockExclusive();
  };
  std::thread thread(add);
  add();
  thread.join();
  EXPECT_EQ(*value.lockShared(), 2 * kRounds);
}

TEST(KjMutex, Waits) {
  kj::MutexGuarded<int> turn(0);
  auto play = [&turn](int me) {
    for (int i = 0; i < kRounds / 4; ++i) {
      turn.when([me](const int& now) { return now == me; }, [me](int& now) { now = 1 - me; });
    }
  };
  std::thread thread(play, 1);
  play(0);
  thread.join();
}

TEST(KjExecutor, CarriesWorkBetweenLoops) {
  kj::MutexGuarded<kj::Maybe<const kj::Executor&>> shared;
  auto stop = kj::heap<kj::Own<kj::CrossThreadPromiseFulfiller<void>>>();
  absl::Notification ready;
  std::thread thread([&shared, &stop, &ready] {
    auto io = kj::setupAsyncIo();
    auto paf = kj::newPromiseAndCrossThreadFulfiller<void>();
    *stop = kj::mv(paf.fulfiller);
    *shared.lockExclusive() = kj::getCurrentThreadExecutor();
    ready.Notify();
    paf.promise.wait(io.waitScope);
    *shared.lockExclusive() = nullptr;
  });
  ready.WaitForNotification();
  auto io = kj::setupAsyncIo();
  const kj::Executor& executor = KJ_ASSERT_NONNULL(*shared.lockShared());
  int data = 1;
  EXPECT_EQ(executor.executeSync([&data] { return ++data; }), 2);
  EXPECT_EQ(executor.executeAsync([&data] { return ++data; }).wait(io.waitScope), 3);
  (*stop)->fulfill();
  thread.join();
  EXPECT_EQ(data, 3);
}

}  // namespace
