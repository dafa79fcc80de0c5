#include "transports/inproc/frame_batch.h"

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace anywire {
namespace {

using Frames = std::vector<std::pair<uint64_t, std::string>>;

void Append(FrameBatch& batch, uint64_t stream, size_t size, Frames& expected) {
  const std::string text(size, static_cast<char>('a' + expected.size() % 26));
  const absl::Span<uint8_t> bytes = batch.Append(stream, size);
  ASSERT_EQ(size, bytes.size());
  std::copy(text.begin(), text.end(), bytes.begin());
  expected.push_back({stream, text});
}

void ExpectHas(const FrameBatch& batch, const Frames& expected) {
  ASSERT_EQ(expected.size(), batch.frames().size());
  size_t bytes = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const ReceivedFrame& frame = batch.frames()[i];
    EXPECT_EQ(expected[i].first, frame.stream);
    EXPECT_EQ(expected[i].second, std::string(frame.bytes.begin(), frame.bytes.end()));
    bytes += frame.bytes.size();
  }
  EXPECT_EQ(bytes, batch.bytes());
}

// See FrameBatch::held.
void ExpectHoldsLittle(const FrameBatch& batch) {
  EXPECT_LE(batch.held(), 2 * batch.bytes() + batch.bytes() / 16 + 2 * IoBlock::kSize);
}

// As a sender does that sends each frame by itself, to a receiver that does not look.
TEST(FrameBatchTest, FramesTakenOneByOneShareMemory) {
  for (const size_t size : {1, 64, 1023, 1024, 1025, 4096, 33 << 10, 64 << 10, 100 << 10}) {
    SCOPED_TRACE(size);
    FrameBatch waiting;
    Frames expected;
    while (waiting.bytes() + size <= 256 << 10) {
      FrameBatch filling, published;
      Append(filling, expected.size(), size, expected);
      published.Take(filling);
      EXPECT_TRUE(filling.empty());
      EXPECT_EQ(0u, filling.held());
      waiting.Take(published);
    }
    ExpectHas(waiting, expected);
    ExpectHoldsLittle(waiting);
    waiting.Clear();
    EXPECT_EQ(0u, waiting.held());
  }
}

TEST(FrameBatchTest, WhatFitsIsCopiedAndWhatDoesNotIsMoved) {
  for (const size_t size : {IoBlock::kSize - 2000 - 1, IoBlock::kSize - 2000}) {
    Frames expected;
    FrameBatch waiting, filling;
    Append(waiting, 1, 2000, expected);
    Append(filling, 2, size, expected);
    const uint8_t* const place = filling.frames()[0].bytes.data();
    waiting.Take(filling);
    EXPECT_EQ(IoBlock::kSize, waiting.held());
    EXPECT_NE(place, waiting.frames()[1].bytes.data());
    ExpectHas(waiting, expected);
  }
  Frames expected;
  FrameBatch waiting, filling;
  Append(waiting, 1, 2000, expected);
  Append(filling, 2, IoBlock::kSize - 2000 + 1, expected);
  const uint8_t* const place = filling.frames()[0].bytes.data();
  waiting.Take(filling);
  EXPECT_EQ(2 * IoBlock::kSize, waiting.held());
  EXPECT_EQ(place, waiting.frames()[1].bytes.data());
  // And our last block is theirs now.
  Append(waiting, 3, 1999, expected);
  EXPECT_EQ(2 * IoBlock::kSize, waiting.held());
  Append(waiting, 3, 2, expected);
  EXPECT_EQ(3 * IoBlock::kSize, waiting.held());
  ExpectHas(waiting, expected);
}

TEST(FrameBatchTest, AFrameLargerThanABlockIsMoved) {
  for (const size_t size : {IoBlock::kSize, IoBlock::kSize + 1}) {
    Frames expected;
    FrameBatch waiting, filling;
    Append(waiting, 1, 10, expected);
    Append(filling, 2, size, expected);
    Append(filling, 3, 10, expected);
    const uint8_t* const place = filling.frames()[0].bytes.data();
    waiting.Take(filling);
    EXPECT_EQ(place, waiting.frames()[1].bytes.data());
    ExpectHas(waiting, expected);
    ExpectHoldsLittle(waiting);
  }
}

TEST(FrameBatchTest, MemoryThatIsGivenIsMoved) {
  Frames expected;
  FrameBatch waiting, filling;
  Append(waiting, 1, 10, expected);
  Append(filling, 2, 10, expected);
  MessageMemory memory = NewMessageMemory(100'000);
  std::fill_n(memory.get(), 100'000, uint8_t{'m'});
  const uint8_t* const place = memory.get() + 64;
  filling.Append(3, std::move(memory), 64, 90'000);
  expected.push_back({3, std::string(90'000, 'm')});
  Append(filling, 2, 10, expected);
  EXPECT_EQ(place, filling.frames()[1].bytes.data());
  waiting.Take(filling);
  EXPECT_EQ(place, waiting.frames()[2].bytes.data());
  ExpectHas(waiting, expected);
  ExpectHoldsLittle(waiting);
}

TEST(FrameBatchTest, NothingIsTakenOfNothing) {
  Frames expected;
  FrameBatch waiting, nothing;
  waiting.Take(nothing);
  EXPECT_TRUE(waiting.empty());
  Append(waiting, 1, 1024, expected);
  waiting.Take(nothing);
  ExpectHas(waiting, expected);
  EXPECT_EQ(SmallBlock::kSize, waiting.held());
}

TEST(FrameBatchTest, BatchesOfAnySizesComeWhole) {
  std::mt19937_64 random(test::TestSeed(20'260'102));
  for (int round = 0; round < 200; ++round) {
    FrameBatch waiting;
    Frames expected;
    while (waiting.bytes() < 512 << 10) {
      FrameBatch filling;
      const size_t frames = 1 + random() % 3;
      for (size_t i = 0; i < frames; ++i) {
        const size_t most = size_t{1} << (random() % 19);
        Append(filling, random() % 8, 1 + random() % most, expected);
      }
      waiting.Take(filling);
    }
    ExpectHas(waiting, expected);
    ExpectHoldsLittle(waiting);
  }
}

}  // namespace
}  // namespace anywire
