// The limits of a ring: each at it, below and above.
#include <unistd.h>

#include <string>

#include "gtest/gtest.h"
#include "transports/shm/ring_fixture.h"
#include "transports/stream/io_block.h"

namespace anywire {
namespace {

constexpr uint64_t kWord = kRingAlignment;

TEST(RingLimitsTest, RingSize) {
  const uint64_t page = static_cast<uint64_t>(getpagesize());
  for (const uint64_t good :
       {page, 2 * page, uint64_t{1} << 20, uint64_t{kLargestRing / 2}, uint64_t{kLargestRing}}) {
    EXPECT_TRUE(CheckRingSize(good).ok()) << good;
  }
  for (const uint64_t bad :
       {uint64_t{0}, uint64_t{1}, page / 2, page - 1, page + 1, 3 * page,
        uint64_t{kLargestRing - page}, uint64_t{kLargestRing + 1}, uint64_t{2 * kLargestRing},
        uint64_t{1} << 32, uint64_t{1} << 63, UINT64_MAX}) {
    EXPECT_EQ(absl::StatusCode::kInvalidArgument, CheckRingSize(bad).code()) << bad;
  }
}

// What comes of a frame whose header says this: its size, or 0 for an error.
size_t SizeTaken(size_t ring_size, uint32_t said, bool in_place) {
  ByHand ring(ring_size, in_place);
  ring.Header(0, said, ShmFrameHeader::kFrame);
  ring.Tail(ring_size);
  const absl::Span<const ReceivedFrame> frames = ring.input.Take();
  if (!frames.empty()) return frames[0].bytes.size();
  EXPECT_STREQ("a frame's size is out of range", ring.input.error());
  return 0;
}

TEST(RingLimitsTest, FrameSize) {
  for (const auto& [ring_size, largest] : {std::pair<size_t, uint32_t>{4096, 2048 - 16},
                                           {128 << 10, (64 << 10) - 16},
                                           {4 << 20, (2 << 20) - 16}}) {
    ASSERT_EQ(largest, ShmMaxFrameSize(ring_size));
    for (const bool in_place : {false, true}) {
      for (const uint32_t good : {1u, 2u, largest - 1, largest}) {
        EXPECT_EQ(good, SizeTaken(ring_size, good, in_place));
      }
      for (const uint32_t bad : {0u, largest + 1, 2 * largest, UINT32_MAX}) {
        EXPECT_EQ(0u, SizeTaken(ring_size, bad, in_place)) << bad;
      }
    }
  }
}

// A frame finds room when it fits to the last byte.
TEST(RingLimitsTest, RoomForAFrame) {
  Ring ring(4096);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(ring.Send(1, std::string(1000, 'x')));
  constexpr size_t kFits = 4096 - 3 * ShmFrameSize(1000) - kShmFrameHeaderSize;
  EXPECT_FALSE(ring.Send(1, std::string(kFits + 1, 'x')));
  EXPECT_TRUE(ring.Send(1, std::string(kFits, 'x')));
  EXPECT_FALSE(ring.Send(1, "x"));
  EXPECT_EQ(4u, ring.Receive().size());
  EXPECT_TRUE(ring.Send(1, "x"));
}

// A batch ends with the frame that makes it 64 KiB.
TEST(RingLimitsTest, FramesOfABatch) {
  constexpr size_t kBatch = 64 << 10;
  for (const bool in_place : {false, true}) {
    for (const size_t body : {size_t{112}, size_t{1008}, size_t{8176}}) {
      const size_t size = ShmFrameSize(body);
      ASSERT_EQ(0u, kBatch % size);
      const size_t most = kBatch / size;
      for (const size_t sent : {most - 1, most, most + 1}) {
        Ring ring(1 << 20, in_place);
        for (size_t i = 0; i < sent; ++i) ASSERT_TRUE(ring.Send(i, std::string(body, 'x')));
        EXPECT_EQ(std::min(sent, most), ring.Receive().size()) << body;
        EXPECT_EQ(sent - std::min(sent, most), ring.Receive().size()) << body;
      }
    }
  }
}

// What is copied fits in a block; a frame that does not is left for the next batch.
TEST(RingLimitsTest, CopiesOfABatch) {
  constexpr size_t kLargest = 64 << 10;
  constexpr size_t kBefore = IoBlock::kSize - kLargest;
  for (const size_t before : {kBefore - kWord, kBefore, kBefore + kWord}) {
    Ring ring(1 << 20);
    ASSERT_TRUE(ring.Send(1, std::string(before, 'x')));
    ASSERT_TRUE(ring.Send(2, std::string(kLargest, 'y')));
    const Frames first = ring.Receive();
    ASSERT_EQ(before > kBefore ? 1u : 2u, first.size()) << before;
    EXPECT_EQ(std::string(before, 'x'), first[0].second);
    const std::string last = before > kBefore ? ring.Receive().at(0).second : first[1].second;
    EXPECT_EQ(std::string(kLargest, 'y'), last);
  }
}

// One that is larger than a block is alone in its batch, and is a copy all the same.
TEST(RingLimitsTest, CopiesLargerThanABlock) {
  constexpr size_t kMost = ShmMaxFrameSize(1 << 20);
  for (const size_t size : {IoBlock::kSize, IoBlock::kSize + 1, kMost}) {
    Ring ring(1 << 20);
    ASSERT_TRUE(ring.Send(1, "small"));
    ASSERT_TRUE(ring.Send(2, std::string(size, 'x')));
    ASSERT_TRUE(ring.Send(3, "small"));
    EXPECT_EQ(1u, ring.Receive().size());
    const absl::Span<const ReceivedFrame> frames = ring.input.Take();
    ASSERT_EQ(1u, frames.size());
    std::fill_n(ring.made.region->ring(ShmRegion::kToListener), 1 << 20, uint8_t{'y'});
    EXPECT_EQ(std::string(size, 'x'), std::string(frames[0].bytes.begin(), frames[0].bytes.end()));
    ring.input.Release();
  }
}

// What the consumer says it has read: at most what was sent, and at least that for which there is
// room.
TEST(RingLimitsTest, IndexOfWhatWasRead) {
  // All that is sent, from 2 KiB on, is one ring of 4 KiB.
  constexpr uint64_t kFrom = 2048, kTo = kFrom + 4096;
  for (const auto& [head, good] : {std::pair{kFrom, true},
                                   {kFrom + kWord, true},
                                   {kTo - kWord, true},
                                   {kTo, true},
                                   {kFrom - kWord, false},
                                   {kTo + kWord, false},
                                   {kFrom + 1, false},
                                   {kTo - kWord + 4, false},
                                   {uint64_t{0} - kWord, false}}) {
    const ShmRegion::New made = ShmRegion::Create(4096).value();
    ShmRegion::Words& words = made.region->words(ShmRegion::kToListener);
    RingProducer<NativeAtomics> producer(words, 4096);
    ASSERT_TRUE(producer.Fits(kFrom));
    producer.Fill(kFrom);
    words.head.StoreSeqCst(kFrom);
    ASSERT_TRUE(producer.Fits(4096));
    producer.Fill(4096);
    words.head.StoreSeqCst(head);
    EXPECT_EQ(good, producer.Refresh()) << head;
    EXPECT_EQ(good, !producer.broken());
    EXPECT_EQ(good ? kTo - head : 4096, producer.used());
  }
}

// What the producer says it has sent: no less than what was read, and no more than the ring.
TEST(RingLimitsTest, IndexOfWhatWasSent) {
  constexpr uint64_t kRead = 1024;
  for (const auto& [tail, good] : {std::pair{kRead, true},
                                   {kRead + kWord, true},
                                   {kRead + 4096 - kWord, true},
                                   {kRead + 4096, true},
                                   {kRead - kWord, false},
                                   {kRead + 4096 + kWord, false},
                                   {kRead + 1, false},
                                   {kRead + 4092, false},
                                   {UINT64_MAX - 7, false}}) {
    const ShmRegion::New made = ShmRegion::Create(4096).value();
    ShmRegion::Words& words = made.region->words(ShmRegion::kToListener);
    RingConsumer<NativeAtomics> consumer(words, 4096);
    words.tail.StoreSeqCst(kRead);
    ASSERT_EQ(kRead, consumer.Available());
    consumer.Consume(kRead);
    words.tail.StoreSeqCst(tail);
    EXPECT_EQ(good ? tail - kRead : consumer.kBroken, consumer.Available()) << tail;
  }
}

// The consumer gives back an eighth of the ring, or 2 KiB, at a time.
TEST(RingLimitsTest, WhatIsGivenBackAtOnce) {
  for (const auto& [capacity, step] :
       {std::pair<uint64_t, uint64_t>{4096, 512}, {16 << 10, 2048}, {1 << 20, 2048}}) {
    for (const uint64_t read : {step - kWord, step, step + kWord}) {
      const ShmRegion::New made = ShmRegion::Create(capacity).value();
      ShmRegion::Words& words = made.region->words(ShmRegion::kToListener);
      RingConsumer<NativeAtomics> consumer(words, capacity);
      words.tail.StoreSeqCst(read);
      ASSERT_EQ(read, consumer.Available());
      consumer.Consume(read);
      consumer.Release();
      EXPECT_EQ(read < step ? 0 : read, words.head.LoadSeqCst()) << capacity;
    }
  }
}

// And rings when as much as half of the ring, or less, is left to be read.
TEST(RingLimitsTest, RoomThatIsRungFor) {
  constexpr uint64_t kCapacity = 4096;
  for (const uint64_t left : {kCapacity / 2 - kWord, kCapacity / 2, kCapacity / 2 + kWord}) {
    const ShmRegion::New made = ShmRegion::Create(kCapacity).value();
    ShmRegion::Words& words = made.region->words(ShmRegion::kToListener);
    RingConsumer<NativeAtomics> consumer(words, kCapacity);
    words.tail.StoreSeqCst(kCapacity);
    words.room_wanted.StoreSeqCst(1);
    ASSERT_EQ(kCapacity, consumer.Available());
    consumer.Consume(kCapacity - left);
    EXPECT_EQ(left <= kCapacity / 2, consumer.Release()) << left;
  }
}

}  // namespace
}  // namespace anywire
