#include "runtime/server/termination_signals.h"

#include <signal.h>
#include <unistd.h>

#include <memory>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace anywire {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

void Raise(int signal) { ASSERT_EQ(raise(signal), 0); }

void (*HandlerOf(int signal))(int) {
  struct sigaction action = {};
  sigaction(signal, nullptr, &action);
  return action.sa_handler;
}

TEST(TerminationSignalsTest, CountsBothSignals) {
  TerminationSignals signals;
  EXPECT_EQ(signals.count(), 0);
  Raise(SIGTERM);
  EXPECT_EQ(signals.count(), 1);
  Raise(SIGINT);
  EXPECT_EQ(signals.count(), 2);
}

TEST(TerminationSignalsTest, ASignalEndsAWait) {
  TerminationSignals signals;
  std::thread raiser([] { kill(getpid(), SIGTERM); });
  while (signals.count() == 0) signals.Wait(kPatience);
  EXPECT_EQ(signals.count(), 1);
  raiser.join();
}

TEST(TerminationSignalsTest, ASignalBeforeTheWaitIsNotMissed) {
  TerminationSignals signals;
  Raise(SIGTERM);
  const absl::Time begin = absl::Now();
  signals.Wait(kPatience);
  EXPECT_LT(absl::Now() - begin, kPatience);
}

TEST(TerminationSignalsTest, WakeEndsAWait) {
  TerminationSignals signals;
  std::thread waker([&signals] { signals.Wake(); });
  const absl::Time begin = absl::Now();
  signals.Wait(kPatience);
  EXPECT_LT(absl::Now() - begin, kPatience);
  EXPECT_EQ(signals.count(), 0);
  waker.join();
}

TEST(TerminationSignalsTest, AWaitHasAnEnd) {
  TerminationSignals signals;
  signals.Wait(absl::Milliseconds(1));
  EXPECT_EQ(signals.count(), 0);
}

void Ours(int) {}

TEST(TerminationSignalsTest, PutsBackWhatTheProgramHadSet) {
  const auto before = signal(SIGTERM, Ours);
  {
    TerminationSignals outer;
    EXPECT_NE(HandlerOf(SIGTERM), Ours);
    {
      TerminationSignals inner;
      EXPECT_NE(HandlerOf(SIGTERM), Ours);
    }
    EXPECT_NE(HandlerOf(SIGTERM), Ours);
  }
  EXPECT_EQ(HandlerOf(SIGTERM), Ours);
  EXPECT_EQ(HandlerOf(SIGINT), SIG_DFL);
  signal(SIGTERM, before);
}

TEST(TerminationSignalsTest, WhatIsIgnoredStaysIgnored) {
  const auto before = signal(SIGINT, SIG_IGN);
  {
    TerminationSignals signals;
    Raise(SIGINT);
    EXPECT_EQ(signals.count(), 0);
    Raise(SIGTERM);
    EXPECT_EQ(signals.count(), 1);
  }
  EXPECT_EQ(HandlerOf(SIGINT), SIG_IGN);
  signal(SIGINT, before);
}

TEST(TerminationSignalsTest, EveryoneSeesTheSignalsOfTheirTime) {
  TerminationSignals first;
  Raise(SIGTERM);
  std::vector<std::unique_ptr<TerminationSignals>> many;
  for (int i = 0; i < 10; ++i) many.push_back(std::make_unique<TerminationSignals>());
  Raise(SIGTERM);
  EXPECT_EQ(first.count(), 2);
  for (const auto& signals : many) {
    signals->Wait(kPatience);
    EXPECT_EQ(signals->count(), 1);
  }
}

}  // namespace
}  // namespace anywire
