#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"
#include "transports/udp/reliability/buffer_pool.h"
#include "transports/udp/reliability/interval_set.h"
#include "transports/udp/reliability/rate_limit.h"
#include "transports/udp/reliability/sequence_ring.h"

namespace anywire::udp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

std::vector<Interval> All(const IntervalSet& set) {
  std::vector<Interval> result;
  for (size_t i = 0; i < set.count(); ++i) result.push_back(set[i]);
  return result;
}

TEST(IntervalSetTest, TouchingIntervalsAreOne) {
  IntervalSet set;
  EXPECT_EQ(2u, set.Add({4, 6}));
  EXPECT_EQ(2u, set.Add({8, 10}));
  EXPECT_EQ(2u, set.Add({6, 8}));
  EXPECT_THAT(All(set), ElementsAre(Interval{4, 10}));
  EXPECT_EQ(0u, set.Add({5, 9}));
  EXPECT_EQ(1u, set.Add({3, 4}));
  EXPECT_EQ(1u, set.Add({12, 13}));
  EXPECT_EQ(0u, set.Add({20, 20}));
  EXPECT_THAT(All(set), ElementsAre(Interval{3, 10}, Interval{12, 13}));
  EXPECT_EQ(2u, set.Subtract({5, 7}));
  EXPECT_THAT(All(set), ElementsAre(Interval{3, 5}, Interval{7, 10}, Interval{12, 13}));
}

// Against a set of single numbers.
TEST(IntervalSetTest, RandomOperations) {
  std::mt19937_64 random(test::TestSeed(2));
  for (int round = 0; round < 200; ++round) {
    IntervalSet set;
    std::set<uint64_t> model;
    for (int i = 0; i < 60; ++i) {
      const uint64_t begin = random() % 100;
      const Interval interval = {begin, begin + random() % 12};
      uint64_t changed = 0;
      const bool add = random() % 3 != 0;
      for (uint64_t v = interval.begin; v < interval.end; ++v) {
        changed += add ? model.insert(v).second : model.erase(v);
      }
      ASSERT_EQ(changed, add ? set.Add(interval) : set.Subtract(interval));
      for (size_t k = 0; k < set.count(); ++k) {
        ASSERT_LT(set[k].begin, set[k].end);
        if (k > 0) {
          ASSERT_GT(set[k].begin, set[k - 1].end) << "sorted, and not touching";
        }
      }
      for (uint64_t v = 0; v < 120; ++v) ASSERT_EQ(model.count(v) != 0, set.Contains(v)) << v;
      const Interval asked = {random() % 100, 100 + random() % 20};
      uint64_t at = asked.begin;
      const auto check = [&](Interval part, bool is_covered) {
        ASSERT_EQ(at, part.begin);
        ASSERT_LT(part.begin, part.end);
        for (; at < part.end; ++at) ASSERT_EQ(is_covered, model.count(at) != 0) << at;
      };
      set.Split(
          asked, [&](Interval part) { check(part, true); },
          [&](Interval part) { check(part, false); });
      ASSERT_EQ(asked.end, at);
    }
  }
}

TEST(SequenceRingTest, MembersKeepTheirNumbersAsItGrows) {
  SequenceRing<std::unique_ptr<uint64_t>> ring(1000);
  std::mt19937_64 random(test::TestSeed(3));
  for (int i = 0; i < 5000; ++i) {
    if (random() % 3 != 0) {
      const uint64_t number = ring.end();
      ring.PushBack(std::make_unique<uint64_t>(number));
    } else if (!ring.empty()) {
      ring.PopFront();
    }
    if (ring.empty()) continue;
    const uint64_t number = ring.begin() + random() % ring.size();
    ASSERT_EQ(number, *ring[number]);
    ASSERT_EQ(ring.begin(), *ring.front());
    ASSERT_TRUE(ring.Contains(number));
    ASSERT_FALSE(ring.Contains(ring.end()));
  }
  ASSERT_GT(ring.capacity(), 32u);
  while (!ring.empty()) ring.PopFront();
  EXPECT_EQ(0u, ring.capacity()) << "an empty ring gives back what it grew to";
  EXPECT_FALSE(ring.Contains(ring.begin()));
}

TEST(SequenceRingTest, MembersThatLeaveAreDestroyed) {
  SequenceRing<std::shared_ptr<int>> ring;
  const auto counted = std::make_shared<int>(1);
  ring.PushBack(counted);
  ring.PushBack();
  EXPECT_EQ(2, counted.use_count());
  ring.PopFront();
  EXPECT_EQ(1, counted.use_count());
}

TEST(SequenceRingTest, SmallOneStays) {
  SequenceRing<int> ring;
  for (int i = 0; i < 32; ++i) ring.PushBack(i);
  while (!ring.empty()) ring.PopFront();
  EXPECT_EQ(32u, ring.capacity());
  ring.PushBack();
  EXPECT_EQ(0, ring.front()) << "what left before is not seen again";
}

TEST(BufferPoolTest, BuffersAreReusedBySize) {
  BufferPool pool;
  const uint8_t* first;
  {
    const BufferPool::Buffer buffer = pool.Take(65);
    first = buffer.get();
    std::memset(buffer.get(), 1, 128);
  }
  EXPECT_EQ(128u, pool.kept());
  const BufferPool::Buffer smaller = pool.Take(64);
  EXPECT_NE(first, smaller.get());
  const BufferPool::Buffer again = pool.Take(128);
  EXPECT_EQ(first, again.get());
  EXPECT_EQ(0u, pool.kept());
}

TEST(BufferPoolTest, ObjectsAreMadeAndDestroyedInBuffers) {
  struct Member {
    std::shared_ptr<int> counted;
    char rest[60];
  };
  BufferPool pool;
  const auto counted = std::make_shared<int>(1);
  {
    const BufferPool::Object<Member> member = pool.Make<Member>();
    EXPECT_EQ(nullptr, member->counted);
    member->counted = counted;
    EXPECT_EQ(2, counted.use_count());
  }
  EXPECT_EQ(1, counted.use_count());
  EXPECT_EQ(128u, pool.kept());
}

TEST(BufferPoolTest, EverySizeHasRoom) {
  BufferPool pool;
  for (size_t size = 1; size <= kLargestMaxFrameSize; size = size < 300 ? size + 1 : size * 2 - 1) {
    const BufferPool::Buffer buffer = pool.Take(size);
    std::memset(buffer.get(), 0x5a, size);
  }
  const BufferPool::Buffer largest = pool.Take(kLargestMaxFrameSize);
  std::memset(largest.get(), 0x5a, kLargestMaxFrameSize);
}

TEST(BufferPoolTest, KeepsNoMoreThanItsLimit) {
  BufferPool pool;
  std::vector<BufferPool::Buffer> buffers;
  for (size_t i = 0; i < BufferPool::kMostKept / (64 << 10) + 3; ++i) {
    buffers.push_back(pool.Take(64 << 10));
  }
  buffers.clear();
  EXPECT_EQ(BufferPool::kMostKept, pool.kept());
  pool.Trim();
  EXPECT_EQ(0u, pool.kept());
  std::memset(pool.Take(100).get(), 0x5a, 100);
  EXPECT_EQ(128u, pool.kept());
}

TEST(RateLimitTest, NoMoreThanItsNumberInASecond) {
  RateLimit limit(10);
  Instant now(seconds(100));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limit.Take(now)) << i;
  EXPECT_FALSE(limit.Take(now));
  EXPECT_FALSE(limit.Take(now + milliseconds(99)));
  EXPECT_TRUE(limit.Take(now + milliseconds(100)));
  EXPECT_FALSE(limit.Take(now + milliseconds(199)));
  now += seconds(50);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limit.Take(now)) << i;
  EXPECT_FALSE(limit.Take(now)) << "what was not used in a second is gone";
}

}  // namespace
}  // namespace anywire::udp
