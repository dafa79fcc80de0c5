#include "transports/stream/io_block.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace anywire {
namespace {

TEST(IoBlockTest, LittleIsBorrowedInSmallBlocks) {
  const std::vector<std::pair<size_t, size_t>> sizes = {{1, 1024},
                                                        {1023, 1024},
                                                        {1024, 1024},
                                                        {1025, IoBlock::kSize},
                                                        {IoBlock::kSize, IoBlock::kSize}};
  for (const auto& [size, capacity] : sizes) {
    const BorrowedBytes bytes(size);
    EXPECT_EQ(capacity, bytes.capacity());
    bytes.data()[0] = bytes.data()[capacity - 1] = 1;
  }
}

// A thread of its own, which has kept nothing yet, borrows `count` blocks of `size` bytes at once.
void Borrow(int count, size_t size, int small, int large) {
  std::thread([&] {
    std::vector<BorrowedBytes> blocks;
    for (int i = 0; i < count; ++i) blocks.emplace_back(size);
    EXPECT_EQ(0, IdleSmallBlocks());
    EXPECT_EQ(0, IdleIoBlocks());
    blocks.clear();
    EXPECT_EQ(small, IdleSmallBlocks()) << count;
    EXPECT_EQ(large, IdleIoBlocks()) << count;
  }).join();
}

TEST(IoBlockTest, AThreadKeepsNoMoreThanItsPlaces) {
  Borrow(kSmallBlocksPerThread - 1, 1, kSmallBlocksPerThread - 1, 0);
  Borrow(kSmallBlocksPerThread, 1, kSmallBlocksPerThread, 0);
  Borrow(kSmallBlocksPerThread + 1, 1, kSmallBlocksPerThread, 0);
  Borrow(kBlocksPerThread - 1, IoBlock::kSize, 0, kBlocksPerThread - 1);
  Borrow(kBlocksPerThread, IoBlock::kSize, 0, kBlocksPerThread);
  Borrow(kBlocksPerThread + 1, IoBlock::kSize, 0, kBlocksPerThread);
}

TEST(IoBlockTest, AThreadKeepsNoMoreInputBlocksThanItsPlaces) {
  for (const int count :
       {kInputBlocksPerThread - 1, kInputBlocksPerThread, kInputBlocksPerThread + 1}) {
    std::thread([count] {
      std::vector<InputBlockPtr> blocks;
      for (int i = 0; i < count; ++i) blocks.push_back(BorrowInputBlock());
      EXPECT_EQ(0, IdleInputBlocks());
      blocks.clear();
      EXPECT_EQ(std::min(count, kInputBlocksPerThread), IdleInputBlocks());
    }).join();
  }
}

TEST(IoBlockTest, WhatAThreadKeepsIsBorrowedFirst) {
  const uint8_t* place = nullptr;
  {
    const BorrowedBytes bytes(1);
    place = bytes.data();
  }
  const int idle = IdleSmallBlocks();
  const BorrowedBytes again(1);
  EXPECT_EQ(place, again.data());
  EXPECT_EQ(idle - 1, IdleSmallBlocks());
}

}  // namespace
}  // namespace anywire
