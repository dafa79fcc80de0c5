// A loop polls before it sleeps.
#include <sys/epoll.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "anywire/spin.h"
#include "gtest/gtest.h"
#include "transports/event_loop_fixture.h"

namespace anywire::test {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

// Loops that poll until they are called: their limit is an hour, and a test takes no part of it.
class PollingLoopTest : public ::testing::Test {
 protected:
  // Whether the loop polls, or comes to it soon.
  bool Polls() {
    return Becomes([this] { return spin_.threads() == 1; });
  }
  // Whether the loop's thread sleeps, or comes to it soon.
  static bool Sleeps(EventLoop& loop) {
    std::string file;
    EXPECT_TRUE(loop.RunAndWait(
        [&file] { file = "/proc/self/task/" + std::to_string(gettid()) + "/stat"; }));
    return Becomes([&file] {
      std::string line;
      std::ifstream stat(file);
      std::getline(stat, line);
      return line.find(") S ") != std::string::npos;  // proc(5): behind the name
    });
  }
  static bool Becomes(const std::function<bool()>& condition) {
    const Instant end = steady_clock::now() + absl::ToChronoNanoseconds(kLong);
    while (!condition()) {
      if (steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }

  SpinLimit spin_{1h, 1};
};

TEST_F(PollingLoopTest, ItHearsOfEverythingMeanwhile) {
  SocketPair pair;
  EventLoop loop("polls", &spin_);
  ASSERT_TRUE(Polls());

  EXPECT_TRUE(loop.RunAndWait([] {}));
  ASSERT_TRUE(Polls());

  absl::Notification ready;
  FunctionWatch watch([&](uint32_t) {
    pair.Read();
    ready.Notify();
  });
  ASSERT_TRUE(loop.AddWatch(pair.fds[0], EPOLLIN, watch).ok());
  ASSERT_TRUE(Polls());
  pair.Write();
  EXPECT_TRUE(Wait(ready));
  ASSERT_TRUE(Polls());

  // A promise of the loop's, fulfilled by another loop.
  kj::Own<kj::CrossThreadPromiseFulfiller<void>> fulfiller;
  absl::Notification fulfilled;
  loop.RunAndWait([&] {
    auto promise = kj::newPromiseAndCrossThreadFulfiller<void>();
    fulfiller = kj::mv(promise.fulfiller);
    loop.Detach(promise.promise.then([&] { fulfilled.Notify(); }), "a test");
  });
  ASSERT_TRUE(Polls());
  fulfiller->fulfill();
  EXPECT_TRUE(Wait(fulfilled));

  EXPECT_TRUE(loop.RunAndWait([&] { loop.RemoveWatch(pair.fds[0], watch); }));
}

TEST_F(PollingLoopTest, AnAlarmEndsIt) {
  EventLoop loop("polls", &spin_);
  absl::Notification fired;
  std::unique_ptr<FunctionAlarm> alarm;
  loop.RunAndWait(
      [&] { alarm = std::make_unique<FunctionAlarm>(loop, [&](Instant) { fired.Notify(); }); });
  ASSERT_TRUE(Polls());
  alarm->Set(steady_clock::now() + 20ms);  // on this thread, while it polls
  EXPECT_TRUE(Wait(fired));
  loop.RunAndWait([&] { alarm = nullptr; });
}

TEST_F(PollingLoopTest, WhereTheCoresAreTakenItSleeps) {
  ASSERT_TRUE(spin_.TryBegin());
  EventLoop loop("sleeps", &spin_);
  EXPECT_TRUE(Sleeps(loop));
  EXPECT_EQ(spin_.threads(), 1);
}

TEST_F(PollingLoopTest, InVainForLongEnoughItSleeps) {
  SpinLimit shortly(1us, 1);
  EventLoop loop("sleeps", &shortly);
  EXPECT_TRUE(Sleeps(loop));
  EXPECT_TRUE(Becomes([&shortly] { return shortly.threads() == 0; }));
}

}  // namespace
}  // namespace anywire::test
