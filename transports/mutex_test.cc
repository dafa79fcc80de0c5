#include "anywire/mutex.h"

#include <condition_variable>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace anywire {
namespace {

TEST(MutexTest, ExcludesManyThreads) {
  Mutex mutex;
  int64_t count = 0;
  constexpr int kThreads = 4, kEach = 100'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&mutex, &count] {
      for (int i = 0; i < kEach; ++i) {
        MutexLock lock(&mutex);
        ++count;
        if (i % 1000 == 0) std::this_thread::yield();  // so that others come to wait
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(kThreads * kEach, count);
}

TEST(MutexTest, GoesToEachThreadThatWaits) {
  Mutex mutex;
  std::condition_variable_any changed;
  int turn = 0;  // guarded by mutex
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&mutex, &changed, &turn, t] {
      for (int i = 0; i < 1000; ++i) {
        mutex.Lock();
        while (turn % 3 != t) changed.wait(mutex);
        ++turn;
        changed.notify_all();
        mutex.Unlock();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(3000, turn);
}

}  // namespace
}  // namespace anywire
