// A drain keeps to the steady clock: somebody who sets the wall clock meanwhile changes nothing.
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "anywire/builtin.h"
#include "anywire/registry.h"
#include "anywire/runtime.h"
#include "anywire/server.h"
#include "gtest/gtest.h"
#include "runtime/process/runtime_core.h"
#include "runtime/server/raw_client.h"
#include "runtime/server/test_service.h"

namespace {

constexpr int64_t kHour = 3600;
std::atomic<int64_t> wall_clock_ahead = 0;  // seconds
// How often the draining thread has looked at a clock, of either kind.
std::atomic<int> drainer_looks = 0;

bool OnDrainer() {
  thread_local const bool drainer = [] {
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof(name));
    return std::strcmp(name, "anywire-drain") == 0;
  }();
  return drainer;
}

}  // namespace

// In place of the C library's, for this whole program.
extern "C" int clock_gettime(clockid_t clock, struct timespec* time) noexcept {
  const int result = static_cast<int>(syscall(SYS_clock_gettime, clock, time));
  if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += wall_clock_ahead.load();
  if (OnDrainer()) drainer_looks.fetch_add(1);
  return result;
}

namespace anywire {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

TEST(DrainClockTest, TheWallClockMayBeSetForwardWhileCallsFinish) {
  TransportRegistry registry;
  RegisterBuiltinTransports(registry);
  Runtime runtime(std::move(registry));
  absl::Notification running, release;
  TestService service;
  service.blocking_echo = [&running, &release](ServerContext&, const Text&, Text*) {
    running.Notify();
    release.WaitForNotificationWithTimeout(kPatience);
    return absl::OkStatus();
  };
  Server server(runtime);
  server.AddService(&service);
  server.Listen("inproc:clock");
  ASSERT_TRUE(server.Start().ok());
  {
    RawClient client(runtime.core().registry(), "inproc:clock");
    const auto call = client.Call(kBlockingEcho, Wire(""));
    ASSERT_TRUE(running.WaitForNotificationWithTimeout(kPatience));
    server.Shutdown(absl::Minutes(10));
    wall_clock_ahead = kHour;
    // Once it has looked a few times, it has done what it would do about that.
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    const int looks = drainer_looks;
    while (drainer_looks < looks + 10 && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::yield();
    }
    release.Notify();
    EXPECT_TRUE(call->WaitForEnd().ok());
  }
  server.Wait();
}

}  // namespace
}  // namespace anywire
