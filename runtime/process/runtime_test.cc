// How a runtime deals out its loops.
#include "anywire/runtime.h"

#include <signal.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "anywire/event_loop.h"
#include "anywire/registry.h"
#include "gtest/gtest.h"
#include "runtime/config/config.h"
#include "runtime/process/runtime_core.h"
#include "tests/support/no_more_threads.h"

namespace anywire {
namespace {

std::unique_ptr<Runtime> NewRuntime(absl::string_view configuration) {
  return std::make_unique<Runtime>(
      TransportRegistry(), *config::ParseConfig(configuration, config::Format::kText, "test"));
}

TEST(RuntimeTest, LoopsTakeTurns) {
  const auto runtime = NewRuntime("runtime { io_threads: 3 }");
  EventLoop* const loops[] = {&runtime->core().NextLoop(), &runtime->core().NextLoop(),
                              &runtime->core().NextLoop()};
  EXPECT_NE(loops[0], loops[1]);
  EXPECT_NE(loops[0], loops[2]);
  EXPECT_NE(loops[1], loops[2]);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(&runtime->core().NextLoop(), loops[i % 3]) << i;
}

TEST(RuntimeTest, WithoutMoreThreadsTheLoopsThatThereAreDoIt) {
  const auto runtime = NewRuntime("runtime { io_threads: 3 }");
  EventLoop* const first = &runtime->core().NextLoop();
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  {
    const test::NoMoreThreads none;
    for (int i = 0; i < 5; ++i) EXPECT_EQ(&runtime->core().NextLoop(), first);
  }
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  EXPECT_EQ(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
  // The others start once that is possible.
  EventLoop* const second = &runtime->core().NextLoop();
  EventLoop* const third = &runtime->core().NextLoop();
  EXPECT_NE(first, second);
  EXPECT_NE(first, third);
  EXPECT_NE(second, third);
}

TEST(RuntimeTest, WithoutAnyThreadThereIsNoLoop) {
  const auto runtime = NewRuntime("");
  {
    const test::NoMoreThreads none;
    EXPECT_EQ(runtime->core().TryNextLoop().status(),
              absl::ResourceExhaustedError("cannot start the thread of an event loop"));
  }
  EXPECT_TRUE(runtime->core().TryNextLoop().ok());
}

TEST(RuntimeDeathTest, WhoCannotDoWithoutALoopSaysSo) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        const auto runtime = NewRuntime("");
        const test::NoMoreThreads none;
        runtime->core().NextLoop();
      },
      "anywire: cannot start the thread of an event loop");
}

TEST(RuntimeTest, UnreadMessagesOfAllServersHaveOneLimit) {
  const auto runtime = NewRuntime("runtime { process_buffer: \"1MiB\" }");
  Runtime::Core& core = runtime->core();
  EXPECT_TRUE(core.ReserveBuffer((1 << 20) - 1));
  EXPECT_FALSE(core.ReserveBuffer(2));
  EXPECT_TRUE(core.ReserveBuffer(1));
  EXPECT_FALSE(core.ReserveBuffer(1));
  core.ReleaseBuffer(1);
  EXPECT_TRUE(core.ReserveBuffer(1));
}

}  // namespace
}  // namespace anywire
