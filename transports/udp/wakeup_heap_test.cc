#include "transports/udp/wakeup_heap.h"

#include <algorithm>
#include <array>
#include <optional>
#include <random>

#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace anywire::udp {
namespace {

using std::chrono::seconds;

struct Thing {
  Wakeup wakeup;
};
using Heap = WakeupHeap<Thing, &Thing::wakeup>;

Instant At(int second) { return Instant(seconds(second)); }

TEST(WakeupHeapTest, EarliestIsFirst) {
  Heap heap;
  EXPECT_TRUE(heap.empty());
  EXPECT_EQ(kNever, heap.first_at());
  Thing a, b;
  heap.SetNoLaterThan(a, At(5));
  heap.SetNoLaterThan(b, At(3));
  EXPECT_EQ(At(3), heap.first_at());
  EXPECT_EQ(&b, &heap.first());
  heap.SetNoLaterThan(a, At(2));
  EXPECT_EQ(&a, &heap.first());
  heap.SetNoLaterThan(a, At(9));
  EXPECT_EQ(At(2), heap.first_at()) << "no later than that";
  heap.Remove(a);
  EXPECT_FALSE(a.wakeup.is_set());
  heap.Remove(a);
  EXPECT_EQ(&b, &heap.first());
  heap.Remove(b);
  EXPECT_TRUE(heap.empty());
}

TEST(WakeupHeapTest, NeverIsNotSet) {
  Heap heap;
  Thing a;
  heap.SetNoLaterThan(a, kNever);
  EXPECT_FALSE(a.wakeup.is_set());
  EXPECT_TRUE(heap.empty());
}

TEST(WakeupHeapTest, AgreesWithAList) {
  std::mt19937_64 random(test::TestSeed(1));
  Heap heap;
  std::array<Thing, 40> things;
  std::array<std::optional<Instant>, 40> known;
  for (int i = 0; i < 20'000; ++i) {
    const size_t which = random() % things.size();
    if (random() % 3 == 0) {
      heap.Remove(things[which]);
      known[which].reset();
    } else {
      const Instant at = At(static_cast<int>(random() % 1000));
      heap.SetNoLaterThan(things[which], at);
      known[which] = std::min(known[which].value_or(kNever), at);
    }
    Instant first = kNever;
    for (const std::optional<Instant>& at : known) first = std::min(first, at.value_or(kNever));
    ASSERT_EQ(first, heap.first_at()) << i;
    if (first != kNever) {
      ASSERT_EQ(first, known[static_cast<size_t>(&heap.first() - things.data())]) << i;
    }
  }
}

}  // namespace
}  // namespace anywire::udp
