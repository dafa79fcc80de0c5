#include "runtime/protocol/timing_wheel.h"

#include <cstdlib>
#include <memory>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace anywire::protocol {
namespace {

using std::chrono::nanoseconds;
using Instant = TimingWheel::Instant;

constexpr nanoseconds kTick{1 << 20};
const Instant kStart = Instant(std::chrono::seconds(77));

TEST(TimingWheelTest, FiresInTimeAndNeverEarly) {
  // Distances about every place where a timer changes wheels, and beyond the last.
  for (const uint64_t ticks :
       {uint64_t{0},        uint64_t{1},        uint64_t{2},        uint64_t{7},
        uint64_t{8},        uint64_t{9},        uint64_t{15},       uint64_t{16},
        uint64_t{63},       uint64_t{64},       uint64_t{65},       uint64_t{127},
        uint64_t{511},      uint64_t{512},      uint64_t{513},      uint64_t{4095},
        uint64_t{4096},     uint64_t{4097},     uint64_t{32767},    uint64_t{32768},
        uint64_t{32769},    uint64_t{262143},   uint64_t{262144},   uint64_t{262145},
        uint64_t{2097151},  uint64_t{2097152},  uint64_t{2097153},  uint64_t{16777215},
        uint64_t{16777216}, uint64_t{16777217}, uint64_t{100000000}}) {
    for (const nanoseconds offset : {nanoseconds(0), nanoseconds(1), kTick - nanoseconds(1)}) {
      TimingWheel wheel(kStart + offset);
      TimingWheel::Timer timer;
      const Instant due = kStart + offset + ticks * kTick;
      wheel.Set(timer, due);
      EXPECT_TRUE(timer.is_set());
      int wakes = 0;
      TimingWheel::Timer* fired = nullptr;
      Instant now;
      while (fired == nullptr && wakes < 100) {
        now = wheel.NextDue();
        ASSERT_NE(now, Instant::max());
        fired = wheel.PopDue(now);
        ++wakes;
      }
      EXPECT_EQ(fired, &timer) << ticks;
      EXPECT_GE(now, due);
      EXPECT_LE(now, due + kTick);
      EXPECT_EQ(wheel.PopDue(now), nullptr);
      EXPECT_EQ(wheel.NextDue(), Instant::max());
      EXPECT_EQ(wheel.size(), 0u);
      if (ticks < 262144) {
        EXPECT_EQ(wakes, 1) << ticks;
      }
    }
  }
}

TEST(TimingWheelTest, NeverAndTwiceCleared) {
  TimingWheel wheel(kStart);
  TimingWheel::Timer timer;
  wheel.Set(timer, Instant::max());
  EXPECT_FALSE(timer.is_set());
  wheel.Clear(timer);
  wheel.Set(timer, kStart + kTick);
  wheel.Clear(timer);
  wheel.Clear(timer);
  EXPECT_EQ(wheel.NextDue(), Instant::max());
  EXPECT_EQ(wheel.PopDue(kStart + 10 * kTick), nullptr);
}

TEST(TimingWheelTest, ATimePastIsDueAtOnce) {
  TimingWheel wheel(kStart);
  TimingWheel::Timer timer;
  wheel.Set(timer, kStart - std::chrono::hours(1));
  EXPECT_LE(wheel.NextDue(), kStart);
  EXPECT_EQ(wheel.PopDue(kStart), &timer);
}

// Against a plain ordered set: random timers set and cleared, time going on by random steps.
TEST(TimingWheelTest, AgreesWithASet) {
  const char* const given = std::getenv("ANYWIRE_TEST_SEED");
  const unsigned first = given != nullptr ? static_cast<unsigned>(std::atoi(given)) : 1;
  for (unsigned seed = first; seed < first + (given != nullptr ? 1 : 200); ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    uint64_t state = seed * 2654435761u;
    const auto below = [&state](uint64_t bound) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      return (state >> 33) % bound;
    };
    TimingWheel wheel(kStart);
    Instant now = kStart;
    std::vector<std::unique_ptr<TimingWheel::Timer>> timers;
    std::vector<Instant> due(50);
    for (size_t i = 0; i < due.size(); ++i)
      timers.push_back(std::make_unique<TimingWheel::Timer>());
    std::set<size_t> set;
    for (int step = 0; step < 400; ++step) {
      const size_t i = below(timers.size());
      const uint64_t scale = uint64_t{1} << below(36);
      if (timers[i]->is_set()) {
        wheel.Clear(*timers[i]);
        set.erase(i);
      } else {
        due[i] = now + nanoseconds(below(scale) * 100);
        wheel.Set(*timers[i], due[i]);
        set.insert(i);
      }
      now += nanoseconds(below(scale) * 30);
      // Never later than a timer that is due.
      for (const size_t j : set) ASSERT_LE(wheel.NextDue(), due[j] + 2 * kTick);
      while (TimingWheel::Timer* const timer = wheel.PopDue(now)) {
        size_t j = 0;
        while (timers[j].get() != timer) ++j;
        ASSERT_EQ(set.erase(j), 1u);
        ASSERT_LE(due[j], now);
      }
      for (const size_t j : set) ASSERT_GT(due[j] + kTick, now) << "late";
      ASSERT_EQ(wheel.size(), set.size());
      ASSERT_EQ(wheel.NextDue() == Instant::max(), set.empty());
    }
  }
}

}  // namespace
}  // namespace anywire::protocol
