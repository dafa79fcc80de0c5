#include "anywire/message_memory.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace anywire {
namespace {

// What is kept belongs to the process: each test begins with nothing.
class MessageMemoryTest : public testing::Test {
 protected:
  MessageMemoryTest() { FreeKeptMessageMemory(); }
  ~MessageMemoryTest() override { EXPECT_EQ(0u, LentMessageBytes()); }
};

TEST_F(MessageMemoryTest, LargePiecesAreUsedAgain) {
  MessageMemory memory = NewMessageMemory(1 << 20);
  uint8_t* const place = memory.get();
  place[0] = place[(1 << 20) - 1] = 1;
  EXPECT_EQ(nullptr, KeptMessageMemory(1 << 20));
  memory = nullptr;
  EXPECT_EQ(size_t{1} << 20, KeptMessageBytes());
  memory = NewMessageMemory((1 << 20) - 100);
  EXPECT_EQ(place, memory.get());
  EXPECT_EQ(size_t{1} << 20, memory.get_deleter().capacity);
  EXPECT_EQ(0u, KeptMessageBytes());
  EXPECT_EQ(size_t{1} << 20, LentMessageBytes());
}

TEST_F(MessageMemoryTest, WhatFitsIsAtMostTwiceAsLarge) {
  NewMessageMemory(256 << 10) = nullptr;
  EXPECT_EQ(nullptr, KeptMessageMemory((256 << 10) + 1));
  EXPECT_EQ(nullptr, KeptMessageMemory((128 << 10) - 1));
  EXPECT_NE(nullptr, KeptMessageMemory(128 << 10));
}

TEST_F(MessageMemoryTest, SmallAndHugePiecesAreNotKept) {
  NewMessageMemory(kSmallestKept - 1) = nullptr;
  NewMessageMemory(kLargestKept + 1) = nullptr;
  EXPECT_EQ(0u, KeptMessageBytes());
  NewMessageMemory(kSmallestKept) = nullptr;
  EXPECT_EQ(kSmallestKept, KeptMessageBytes());
}

TEST_F(MessageMemoryTest, NoMoreIsKeptThanTheLimit) {
  std::vector<MessageMemory> pieces;
  for (size_t i = 0; i < kMostKept / kLargestKept; ++i) {
    pieces.push_back(NewMessageMemory(kLargestKept));
  }
  pieces.clear();
  EXPECT_EQ(kMostKept, KeptMessageBytes());
  NewMessageMemory(kSmallestKept) = nullptr;
  EXPECT_EQ(kMostKept - kLargestKept + kSmallestKept, KeptMessageBytes());
}

// `count` pieces of the smallest size, all at once.
void KeepSmall(int count) {
  std::vector<MessageMemory> pieces;
  for (int i = 0; i < count; ++i) pieces.push_back(NewMessageMemory(kSmallestKept));
}

TEST_F(MessageMemoryTest, NoMorePiecesAreKeptThanTheLimit) {
  for (const int count : {kMostPiecesKept - 1, kMostPiecesKept, kMostPiecesKept + 1}) {
    SCOPED_TRACE(count);
    FreeKeptMessageMemory();
    KeepSmall(count);
    EXPECT_EQ(kSmallestKept * static_cast<size_t>(std::min(count, kMostPiecesKept)),
              KeptMessageBytes());
  }
}

TEST_F(MessageMemoryTest, TheOldestMakeRoom) {
  // For one more piece, one goes; for many bytes, many do.
  for (const size_t size : {kLargestKept, kSmallestKept * 4, kSmallestKept * 9}) {
    SCOPED_TRACE(size);
    KeepSmall(kMostPiecesKept);
    NewMessageMemory(size) = nullptr;
    EXPECT_EQ((kMostPiecesKept - 1) * kSmallestKept + size, KeptMessageBytes());
    EXPECT_NE(nullptr, KeptMessageMemory(size));
    FreeKeptMessageMemory();
  }
  std::vector<MessageMemory> pieces;
  pieces.push_back(NewMessageMemory(kLargestKept / 4));
  pieces.push_back(NewMessageMemory(kLargestKept / 2));
  pieces.push_back(NewMessageMemory(kLargestKept));
  pieces.push_back(NewMessageMemory(kLargestKept));
  for (MessageMemory& piece : pieces) piece = nullptr;  // from the first to the last
  EXPECT_EQ(nullptr, KeptMessageMemory(kLargestKept / 4));
  EXPECT_EQ(2 * kLargestKept, KeptMessageBytes());
}

TEST_F(MessageMemoryTest, NothingMakesRoomForWhatHasNoneAnyway) {
  KeepSmall(2);
  NewMessageMemory(kLargestKept) = nullptr;
  const MessageMemory small = KeptMessageMemory(kSmallestKept);
  const MessageMemory large = KeptMessageMemory(kLargestKept);
  EXPECT_EQ(kSmallestKept + kLargestKept, LentMessageBytes());
  NewMessageMemory(kLargestKept) = nullptr;
  EXPECT_EQ(kSmallestKept, KeptMessageBytes());
}

// What is lent is refilled no sooner than it comes back.
TEST_F(MessageMemoryTest, KeptAndLentTogetherStayWithinTheLimit) {
  std::vector<MessageMemory> lent;
  for (int i = 0; i < 64; ++i) {
    std::vector<MessageMemory> pieces;
    for (int piece = 0; piece < 3; ++piece) pieces.push_back(NewMessageMemory(kLargestKept));
    pieces.clear();
    if (MessageMemory memory = KeptMessageMemory(kLargestKept)) lent.push_back(std::move(memory));
    EXPECT_LE(KeptMessageBytes() + lent.size() * kLargestKept, kMostKept);
  }
  EXPECT_EQ(kMostKept / kLargestKept, lent.size());
  EXPECT_EQ(kMostKept, LentMessageBytes());
  NewMessageMemory(kSmallestKept) = nullptr;
  EXPECT_EQ(0u, KeptMessageBytes());
  lent.clear();
  EXPECT_EQ(kMostKept, KeptMessageBytes());
}

TEST_F(MessageMemoryTest, ThreadsShareIt) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i) {
        const size_t size = kSmallestKept * static_cast<size_t>(1 + (i + t) % 9);
        MessageMemory memory = NewMessageMemory(size);
        memory[0] = memory[size - 1] = static_cast<uint8_t>(t);
        EXPECT_EQ(memory[0], t);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(0u, LentMessageBytes());
  EXPECT_LE(KeptMessageBytes(), kMostKept);
}

}  // namespace
}  // namespace anywire
