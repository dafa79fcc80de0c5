// Runs the tests, each for so long at most as ANYWIRE_TEST_CPU_SECONDS says; one that hangs is
// killed by SIGPROF.
#include <sys/time.h>

#include <cstdlib>

#include "gtest/gtest.h"

namespace {

class TestClock final : public testing::EmptyTestEventListener {
 public:
  explicit TestClock(int seconds) : seconds_(seconds) {}
  void OnTestStart(const testing::TestInfo&) override {
    const itimerval limit = {.it_interval = {}, .it_value = {.tv_sec = seconds_, .tv_usec = 0}};
    setitimer(ITIMER_PROF, &limit, nullptr);
  }

 private:
  const int seconds_;
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (const char* const seconds = std::getenv("ANYWIRE_TEST_CPU_SECONDS")) {
    testing::UnitTest::GetInstance()->listeners().Append(new TestClock(std::atoi(seconds)));
  }
  return RUN_ALL_TESTS();
}
