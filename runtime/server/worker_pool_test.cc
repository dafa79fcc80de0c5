#include "runtime/server/worker_pool.h"

#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/support/no_more_threads.h"

namespace anywire {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

// Runs until it is released.
class Held final : public WorkItem {
 public:
  void Work() override {
    started.Notify();
    released.WaitForNotificationWithTimeout(kPatience);
    ended = true;
  }
  absl::Notification started, released;
  std::atomic<bool> ended = false;
};

class Noted final : public WorkItem {
 public:
  explicit Noted(absl::BlockingCounter* done) : done_(done) {}
  void Work() override {
    thread = std::this_thread::get_id();
    done_->DecrementCount();
  }
  std::thread::id thread;

 private:
  absl::BlockingCounter* const done_;
};

TEST(WorkerPoolTest, RunsWorkOnAnotherThread) {
  absl::BlockingCounter done(1);
  Noted item(&done);
  WorkerPool pool(1, 0);
  ASSERT_TRUE(pool.TrySubmit(item));
  done.Wait();
  EXPECT_NE(item.thread, std::this_thread::get_id());
}

TEST(WorkerPoolTest, RunsAsManyAtOnceAsItHasThreads) {
  std::vector<Held> held(3);
  WorkerPool pool(3, 0);
  for (Held& item : held) ASSERT_TRUE(pool.TrySubmit(item));
  for (Held& item : held) {
    EXPECT_TRUE(item.started.WaitForNotificationWithTimeout(kPatience));
  }
  for (Held& item : held) item.released.Notify();
}

TEST(WorkerPoolTest, QueuesUpToItsLimitAndRefusesMore) {
  constexpr uint32_t kQueue = 2;
  std::vector<Held> held(1 + kQueue + 1);
  WorkerPool pool(1, kQueue);
  ASSERT_TRUE(pool.TrySubmit(held[0]));
  ASSERT_TRUE(held[0].started.WaitForNotificationWithTimeout(kPatience));
  EXPECT_TRUE(pool.TrySubmit(held[1]));
  EXPECT_TRUE(pool.TrySubmit(held[2]));
  EXPECT_FALSE(pool.TrySubmit(held[3]));
  held[0].released.Notify();
  ASSERT_TRUE(held[1].started.WaitForNotificationWithTimeout(kPatience));
  EXPECT_TRUE(pool.TrySubmit(held[3]));
  for (Held& item : held) {
    if (!item.released.HasBeenNotified()) item.released.Notify();
  }
}

TEST(WorkerPoolTest, WithoutAQueueTakesWhatThreadsCanDo) {
  std::vector<Held> held(2);
  WorkerPool pool(1, 0);
  EXPECT_TRUE(pool.TrySubmit(held[0]));
  EXPECT_FALSE(pool.TrySubmit(held[1]));
  held[0].released.Notify();
}

TEST(WorkerPoolTest, AThreadThatCouldNotBeStartedIsTriedAgain) {
  std::vector<Held> held(4);
  WorkerPool pool(2, 8);
  {
    const test::NoMoreThreads none;
    EXPECT_FALSE(pool.TrySubmit(held[0]));  // nobody would ever do it
  }
  ASSERT_TRUE(pool.TrySubmit(held[0]));
  ASSERT_TRUE(held[0].started.WaitForNotificationWithTimeout(kPatience));
  {
    const test::NoMoreThreads none;
    EXPECT_TRUE(pool.TrySubmit(held[1]));  // the one thread will
  }
  EXPECT_TRUE(pool.TrySubmit(held[2]));
  EXPECT_TRUE(held[1].started.WaitForNotificationWithTimeout(kPatience));
  EXPECT_FALSE(held[0].ended);  // so it is another thread
  EXPECT_TRUE(pool.TrySubmit(held[3]));
  for (Held& item : held) item.released.Notify();
}

TEST(WorkerPoolTest, ReusesIdleThreads) {
  std::set<std::thread::id> threads;
  WorkerPool pool(8, 0);
  for (int i = 0; i < 100; ++i) {
    absl::BlockingCounter done(1);
    Noted item(&done);
    while (!pool.TrySubmit(item)) std::this_thread::yield();
    done.Wait();
    threads.insert(item.thread);
  }
  EXPECT_LE(threads.size(), 8u);
}

TEST(WorkerPoolTest, WorksOffItsQueueBeforeItEnds) {
  constexpr int kItems = 100;
  absl::BlockingCounter done(kItems);
  std::vector<std::unique_ptr<Noted>> items;
  {
    WorkerPool pool(2, kItems);
    for (int i = 0; i < kItems; ++i) {
      items.push_back(std::make_unique<Noted>(&done));
      ASSERT_TRUE(pool.TrySubmit(*items.back()));
    }
  }
  for (const auto& item : items) EXPECT_NE(item->thread, std::thread::id());
}

TEST(WorkerPoolTest, ManyThreadsMaySubmit) {
  constexpr int kThreads = 4;
  constexpr int kItems = 500;
  absl::BlockingCounter done(kThreads * kItems);
  std::vector<std::unique_ptr<Noted>> items;
  for (int i = 0; i < kThreads * kItems; ++i) items.push_back(std::make_unique<Noted>(&done));
  WorkerPool pool(3, 16);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([t, &items, &pool] {
      for (int i = 0; i < kItems; ++i) {
        while (!pool.TrySubmit(*items[static_cast<size_t>(t * kItems + i)]))
          std::this_thread::yield();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  done.Wait();
}

}  // namespace
}  // namespace anywire
