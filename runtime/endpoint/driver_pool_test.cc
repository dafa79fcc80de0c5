#include "runtime/endpoint/driver_pool.h"

#include <memory>
#include <set>
#include <thread>

#include "gtest/gtest.h"
#include "tests/support/gate.h"
#include "tests/support/watchdog.h"

namespace anywire {
namespace {

using test::Gate;

constexpr absl::Duration kLimit = absl::Seconds(20);

TEST(DriverPoolTest, NoMoreThanItsThreads) {
  const test::Watchdog watchdog("NoMoreThanItsThreads", kLimit);
  Gate inside[2], go_on;
  DriverPool pool(2);
  for (Gate& gate : inside) {
    ASSERT_TRUE(pool.TryRun([&gate, &go_on] {
      gate.Open();
      go_on.Wait();
    }));
  }
  for (Gate& gate : inside) gate.Wait();
  EXPECT_FALSE(pool.TryRun([] { FAIL() << "there was no thread for it"; }));
  go_on.Open();
}

TEST(DriverPoolTest, WithoutThreadsNothingRuns) {
  DriverPool pool(0);
  EXPECT_FALSE(pool.TryRun([] {}));
}

TEST(DriverPoolTest, AThreadServesOneAfterTheOther) {
  const test::Watchdog watchdog("AThreadServesOneAfterTheOther", kLimit);
  DriverPool pool(1);
  std::set<std::thread::id> threads;
  for (int i = 0; i < 3; ++i) {
    Gate ran;
    // Until the thread that ran the one before has come back.
    while (!pool.TryRun([&ran, &threads] {
      threads.insert(std::this_thread::get_id());
      ran.Open();
    })) {
      std::this_thread::yield();
    }
    ran.Wait();
  }
  EXPECT_EQ(threads.size(), 1u);
}

TEST(DriverPoolTest, WhatWasTakenRunsBeforeTheEnd) {
  const test::Watchdog watchdog("WhatWasTakenRunsBeforeTheEnd", kLimit);
  auto held = std::make_shared<int>(0);
  {
    DriverPool pool(3);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(pool.TryRun([held] {}));
  }
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace anywire
