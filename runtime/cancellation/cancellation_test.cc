#include "anywire/cancellation.h"

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace anywire {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

TEST(CancellationTest, ADefaultTokenIsNeverCancelled) {
  const CancellationToken token;
  EXPECT_FALSE(token.cancelled());
  EXPECT_FALSE(static_cast<bool>(token));
  int runs = 0;
  {
    const CancellationCallback callback(token, [&runs] { ++runs; });
  }
  EXPECT_EQ(runs, 0);
}

TEST(CancellationTest, CancelReachesEveryCopyOfTheToken) {
  CancellationSource source;
  const CancellationToken copy = source.token();
  EXPECT_TRUE(static_cast<bool>(copy));
  EXPECT_FALSE(copy.cancelled());
  source.Cancel();
  EXPECT_TRUE(copy.cancelled());
  EXPECT_TRUE(source.token().cancelled());
}

TEST(CancellationTest, EveryCallbackRunsOnce) {
  CancellationSource source;
  std::vector<int> runs(3);
  const CancellationCallback first(source.token(), [&runs] { ++runs[0]; });
  const CancellationCallback second(source.token(), [&runs] { ++runs[1]; });
  const CancellationCallback third(source.token(), [&runs] { ++runs[2]; });
  source.Cancel();
  source.Cancel();
  EXPECT_EQ(runs, (std::vector<int>{1, 1, 1}));
}

TEST(CancellationTest, ACallbackAfterTheFactRunsAtOnce) {
  CancellationSource source;
  source.Cancel();
  int runs = 0;
  const CancellationCallback callback(source.token(), [&runs] { ++runs; });
  EXPECT_EQ(runs, 1);
}

TEST(CancellationTest, ADestroyedCallbackDoesNotRun) {
  CancellationSource source;
  std::vector<int> runs(3);
  std::optional<CancellationCallback> first, second, third;
  first.emplace(source.token(), [&runs] { ++runs[0]; });
  second.emplace(source.token(), [&runs] { ++runs[1]; });
  third.emplace(source.token(), [&runs] { ++runs[2]; });
  second.reset();  // from the middle
  third.reset();   // the newest
  source.Cancel();
  EXPECT_EQ(runs, (std::vector<int>{1, 0, 0}));
}

TEST(CancellationTest, ACallbackMayDestroyItself) {
  CancellationSource source;
  std::optional<CancellationCallback> callback;
  auto alive = std::make_shared<int>(0);
  callback.emplace(source.token(), [&callback, alive] {
    callback.reset();
    ++*alive;  // what the function has captured is still there
  });
  int others = 0;
  const CancellationCallback other(source.token(), [&others] { ++others; });
  source.Cancel();
  EXPECT_EQ(*alive, 1);
  EXPECT_EQ(alive.use_count(), 1);
  EXPECT_EQ(others, 1);
}

TEST(CancellationTest, ACallbackMayDestroyAnother) {
  CancellationSource source;
  std::optional<CancellationCallback> first, second;
  int runs = 0;
  first.emplace(source.token(), [&second, &runs] {
    ++runs;
    second.reset();
  });
  second.emplace(source.token(), [&first, &runs] {
    ++runs;
    first.reset();
  });
  source.Cancel();
  EXPECT_EQ(runs, 1);
}

TEST(CancellationTest, ACallbackMayDestroyTheSource) {
  auto source = std::make_unique<CancellationSource>();
  int runs = 0;
  const CancellationCallback callback(source->token(), [&source, &runs] {
    source.reset();
    ++runs;
  });
  source->Cancel();
  EXPECT_EQ(runs, 1);
}

TEST(CancellationTest, ACallbackMayAddAnother) {
  CancellationSource source;
  std::optional<CancellationCallback> late;
  int runs = 0;
  const CancellationCallback callback(source.token(), [&source, &late, &runs] {
    late.emplace(source.token(), [&runs] { ++runs; });
  });
  source.Cancel();
  EXPECT_EQ(runs, 1);
}

TEST(CancellationTest, TheDestructorWaitsForARunOnAnotherThread) {
  CancellationSource source;
  absl::Notification running, go_on;
  std::atomic<bool> ended = false;
  std::optional<CancellationCallback> callback;
  callback.emplace(source.token(), [&running, &go_on, &ended] {
    running.Notify();
    go_on.WaitForNotificationWithTimeout(kPatience);
    ended = true;
  });
  std::thread canceller([&source] { source.Cancel(); });
  ASSERT_TRUE(running.WaitForNotificationWithTimeout(kPatience));
  std::thread opener([&go_on] { go_on.Notify(); });
  callback.reset();
  EXPECT_TRUE(ended);
  opener.join();
  canceller.join();
}

TEST(CancellationTest, CallbacksComeAndGoWhileAnotherThreadCancels) {
  for (int round = 0; round < 200; ++round) {
    CancellationSource source;
    std::atomic<int> runs = 0;
    std::atomic<int> made = 0;
    std::thread churner([&source, &runs, &made] {
      while (!source.token().cancelled()) {
        const CancellationCallback kept(source.token(), [&runs] { ++runs; });
        ++made;
        const CancellationCallback other(source.token(), [] {});
      }
    });
    while (made == 0) std::this_thread::yield();
    source.Cancel();
    churner.join();
    EXPECT_LE(runs, 1);
  }
}

TEST(CancellationTest, RenewKeepsAnUnusedStateAndForgetsAUsedOne) {
  CancellationSource source;
  source.Renew();
  const CancellationToken before = source.token();
  source.Renew();
  source.Cancel();
  EXPECT_TRUE(source.token().cancelled());
  EXPECT_FALSE(before.cancelled());
  source.Renew();
  EXPECT_FALSE(source.token().cancelled());
}

}  // namespace
}  // namespace anywire
