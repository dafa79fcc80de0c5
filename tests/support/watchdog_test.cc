#include "tests/support/watchdog.h"

#include <unistd.h>

#include "gtest/gtest.h"

namespace anywire::test {
namespace {

TEST(WatchdogDeathTest, NamesWhatHangs) {
  EXPECT_DEATH(
      {
        Watchdog watchdog("the test of the dog", absl::Milliseconds(1));
        for (;;) pause();
      },
      "the test of the dog hangs");
}

TEST(WatchdogTest, LetsThePunctualLive) {
  { Watchdog watchdog("this", absl::Hours(1)); }
  Watchdog again("that", absl::Hours(1));
}

}  // namespace
}  // namespace anywire::test
