#include "transports/stream/frame_output.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "transports/stream/framing.h"

namespace anywire {
namespace {

constexpr size_t kMaxUnsent = 256 << 10;

bool Write(FrameOutput& output, uint64_t stream, size_t size, uint8_t fill) {
  const absl::Span<uint8_t> room = output.NewFrame(stream, size);
  if (room.data() == nullptr) return false;
  std::memset(room.data(), fill, room.size());
  return true;
}

// Takes up to `limit` bytes of what is gathered, as a socket with so much room would.
std::string Send(FrameOutput& output, size_t limit = SIZE_MAX, bool blocked = false,
                 bool* room = nullptr) {
  iovec pieces[FrameOutput::kMaxPieces];
  const size_t count = output.Gather(pieces);
  std::string sent;
  for (size_t i = 0; i < count && sent.size() < limit; ++i) {
    sent.append(static_cast<const char*>(pieces[i].iov_base),
                std::min(pieces[i].iov_len, limit - sent.size()));
  }
  const bool has_room = count != 0 && output.Consume(sent.size(), blocked);
  if (room != nullptr) *room = has_room;
  return sent;
}

std::string SendAll(FrameOutput& output) {
  std::string all;
  for (std::string more = Send(output); !more.empty(); more = Send(output)) all += more;
  return all;
}

TEST(FrameOutputTest, OnlyWhatIsPublishedIsSent) {
  FrameOutput output(kMaxFrameSize, kMaxUnsent);
  EXPECT_FALSE(output.Publish());
  EXPECT_EQ("", Send(output));
  ASSERT_TRUE(Write(output, 1, 2, 'a'));
  EXPECT_EQ("", Send(output));
  EXPECT_TRUE(output.Publish());
  ASSERT_TRUE(Write(output, 2, 1, 'b'));
  EXPECT_EQ(std::string("\x02\x01"
                        "aa"),
            Send(output));
  EXPECT_EQ("", Send(output));
  EXPECT_TRUE(output.Publish());
  EXPECT_EQ(std::string("\x01\x02"
                        "b"),
            Send(output));
  EXPECT_FALSE(output.Publish());
}

TEST(FrameOutputTest, PartsOfFramesAreSentInOrder) {
  FrameOutput output(kMaxFrameSize, kMaxUnsent);
  std::string expected, sent;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(Write(output, 1, 1 + i * 13, static_cast<uint8_t>(i)));
    uint8_t header[kMaxFrameHeaderSize];
    expected.append(reinterpret_cast<char*>(header),
                    WriteFrameHeader(1, 1 + i * 13, header) - header);
    expected.append(1 + i * 13, static_cast<char>(i));
    output.Publish();
    sent += Send(output, 1 + i * 7);
  }
  sent += SendAll(output);
  EXPECT_EQ(expected, sent);
}

TEST(FrameOutputTest, SmallFramesUseTheSameMemoryAgain) {
  FrameOutput output(kMaxFrameSize, kMaxUnsent);
  std::set<const uint8_t*> places;
  for (int i = 0; i < 1000; ++i) {
    const absl::Span<uint8_t> room = output.NewFrame(1, 100);
    ASSERT_NE(nullptr, room.data());
    places.insert(room.data());
    output.Publish();
    Send(output);
  }
  EXPECT_LE(places.size(), 2u);
  EXPECT_EQ(output.held(), 0u);
}

TEST(FrameOutputTest, LargeMemoryIsGivenBackWhenAllIsSent) {
  FrameOutput output(kMaxFrameSize, kMaxUnsent);
  while (Write(output, 1, 10'000, 'x')) {
  }
  EXPECT_GE(output.held(), kMaxUnsent - 20'000);
  output.Publish();
  SendAll(output);
  EXPECT_EQ(output.held(), 0u);
}

SharedMessageMemory SharedBytes(size_t size) {
  MessageMemory memory = NewMessageMemory(size);
  for (size_t i = 0; i < size; ++i) memory[i] = static_cast<uint8_t>(i * 7 + (i >> 8));
  return memory;
}

absl::Span<const uint8_t> Head(absl::string_view text) {
  return absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

// What frames with these bodies are on their way.
std::string Framed(uint64_t stream, const std::string& body) {
  uint8_t header[kMaxFrameHeaderSize];
  return std::string(reinterpret_cast<char*>(header),
                     WriteFrameHeader(stream, body.size(), header) - header) +
         body;
}

TEST(FrameOutputTest, PiecesAreSentFromWhereTheyAre) {
  FrameOutput output(kMaxFrameSize, kMaxUnsent);
  const SharedMessageMemory memory = SharedBytes(50'000);
  const std::string bytes(reinterpret_cast<const char*>(memory.get()), 50'000);
  std::string expected;
  for (size_t offset = 0; offset < 50'000; offset += 10'000) {
    ASSERT_TRUE(output.AddPiece(3, Head("head"), memory, offset, 10'000));
    ASSERT_TRUE(Write(output, 4, 3, 'x'));
    expected += Framed(3, "head" + bytes.substr(offset, 10'000)) + Framed(4, "xxx");
  }
  ASSERT_TRUE(output.Publish());
  iovec pieces[FrameOutput::kMaxPieces];
  ASSERT_GE(output.Gather(pieces), 2u);
  EXPECT_EQ(pieces[1].iov_base, memory.get());
  EXPECT_EQ(pieces[1].iov_len, 10'000u);
  std::string sent;
  for (size_t limit = 1; sent.size() < expected.size(); limit = limit * 3 + 1) {
    const long held = memory.use_count();
    sent += Send(output, limit);
    ASSERT_EQ(expected.substr(0, sent.size()), sent);
    EXPECT_LE(memory.use_count(), held);
  }
  EXPECT_EQ(memory.use_count(), 1);
  EXPECT_EQ(output.held(), 0u);
}

// As it is in most connections: calls go between the pieces of a large message.
TEST(FrameOutputTest, SmallFramesBetweenPiecesTakeLittleMemory) {
  constexpr size_t kUnsent = 256 << 10;
  FrameOutput output(kMaxFrameSize, kUnsent);
  const SharedMessageMemory memory = SharedBytes(16'000);
  while (output.AddPiece(3, Head("head"), memory, 0, 16'000) && Write(output, 4, 100, 'x')) {
  }
  EXPECT_GT(memory.use_count(), 10);
  EXPECT_LE(output.held(), kUnsent);
}

TEST(FrameOutputTest, SmallPiecesAreCopied) {
  FrameOutput output(kMaxFrameSize, kMaxUnsent);
  const SharedMessageMemory memory = SharedBytes(10'000);
  for (const size_t size : {size_t{0}, size_t{1}, FrameOutput::kLeastShared - 1}) {
    ASSERT_TRUE(output.AddPiece(3, Head("h"), memory, 10, size));
    EXPECT_EQ(memory.use_count(), 1) << size;
  }
  ASSERT_TRUE(output.AddPiece(3, Head("h"), memory, 10, FrameOutput::kLeastShared));
  EXPECT_EQ(memory.use_count(), 2);
}

TEST(FrameOutputTest, PiecesCountAndAreDroppedWithTheRest) {
  const SharedMessageMemory memory = SharedBytes(10'000);
  // Each takes 5,004 bytes: a header of three, the head, and its own.
  FrameOutput output(kMaxFrameSize, 4 * 5'004);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(output.AddPiece(1, Head("h"), memory, 0, 5'000)) << i;
    if (i == 1) output.Publish();
  }
  EXPECT_FALSE(output.AddPiece(1, Head("h"), memory, 0, 5'000));
  EXPECT_FALSE(Write(output, 1, 1, 'x'));
  EXPECT_EQ(memory.use_count(), 5);
  output.Fail();
  EXPECT_TRUE(output.AddPiece(1, Head("h"), memory, 0, 5'000)) << "goes nowhere";
  output.Publish();
  EXPECT_EQ(memory.use_count(), 1);
  FrameOutput exact(kMaxFrameSize, 4 * 5'004 - 1);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(exact.AddPiece(1, Head("h"), memory, 0, 5'000)) << i;
  EXPECT_FALSE(exact.AddPiece(1, Head("h"), memory, 0, 5'000));
}

TEST(FrameOutputTest, RefusesAtTheLimitAndNotBefore) {
  // Each frame of 98 bytes takes 100.
  FrameOutput output(kMaxFrameSize, 1000);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Write(output, 1, 98, 'x')) << i;
  EXPECT_FALSE(Write(output, 1, 1, 'x'));
  output.Publish();
  bool room = true;
  Send(output, 499, false, &room);
  EXPECT_FALSE(room) << "501 are left";
  Send(output, 1, false, &room);
  EXPECT_TRUE(room);
  Send(output, 1, false, &room);
  EXPECT_FALSE(room) << "told once";
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Write(output, 1, 98, 'x')) << i;
  EXPECT_FALSE(Write(output, 1, 98, 'x'));
}

TEST(FrameOutputTest, OneFrameAlwaysFits) {
  FrameOutput output(kMaxFrameSize, 1000);
  ASSERT_TRUE(Write(output, UINT64_MAX, kMaxFrameSize, 'x'));
  EXPECT_FALSE(Write(output, 1, 1, 'x'));
  output.Publish();
  EXPECT_EQ(kMaxFrameSize + kMaxFrameHeaderSize, SendAll(output).size());
  EXPECT_TRUE(Write(output, 1, kMaxFrameSize, 'x'));
}

TEST(FrameOutputTest, NothingIsTriedWhileBlocked) {
  FrameOutput output(kMaxFrameSize, kMaxUnsent);
  ASSERT_TRUE(Write(output, 1, 10, 'x'));
  EXPECT_TRUE(output.Publish());
  Send(output, 3, /*blocked=*/true);
  EXPECT_EQ("", Send(output));
  ASSERT_TRUE(Write(output, 1, 10, 'y'));
  EXPECT_FALSE(output.Publish()) << "a system call would be wasted";
  output.Unblock();
  EXPECT_TRUE(output.Publish());
  EXPECT_EQ(21u, Send(output).size());
}

TEST(FrameOutputTest, AfterAFailureFramesGoNowhereAndTakeNoMemory) {
  FrameOutput output(kMaxFrameSize, kMaxUnsent);
  ASSERT_TRUE(Write(output, 1, 10, 'x'));
  output.Publish();
  output.Fail();
  EXPECT_EQ("", Send(output));
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(Write(output, 1, kMaxFrameSize, 'x'));
    EXPECT_TRUE(output.Publish()) << "so that Transmit is called, and tells";
  }
  EXPECT_LE(output.held(), IoBlock::kSize + 4096);
}

// While sending is blocked, small frames take little more memory than their bytes.
TEST(FrameOutputTest, WhatGathersWhileBlockedIsPackedTogether) {
  FrameOutput output(kMaxFrameSize, kMaxUnsent);
  ASSERT_TRUE(Write(output, 1, 10, 'x'));
  output.Publish();
  Send(output, 3, /*blocked=*/true);
  while (Write(output, 1, 10, 'y')) output.Publish();
  EXPECT_LE(output.held(), kMaxUnsent + 2 * IoBlock::kSize);
  output.Unblock();
  EXPECT_TRUE(output.Publish());
  EXPECT_GE(SendAll(output).size(), kMaxUnsent - 20);
}

// One thread fills and hands over, another sends what it gets at a time.
TEST(FrameOutputTest, FillingAndSendingRunBesideEachOther) {
  FrameOutput output(kMaxFrameSize, 20'000);
  constexpr int kFrames = 20'000;
  std::atomic<bool> filled{false};
  std::atomic<bool> sending{false};
  std::thread filler([&output, &filled, &sending] {
    const auto hand_over = [&output, &sending] {
      if (!sending && output.Publish()) sending = true;
    };
    for (int i = 0; i < kFrames; ++i) {
      while (!Write(output, 1, 1 + i % 300, static_cast<uint8_t>(i))) {
        hand_over();
        std::this_thread::yield();
      }
      hand_over();
    }
    while (sending) std::this_thread::yield();
    hand_over();
    filled = true;
  });
  std::string sent;
  for (size_t limit = 1;; limit = limit % 3000 + 7) {
    const bool last = filled;
    if (!sending) {
      if (last) break;
      std::this_thread::yield();
      continue;
    }
    sent += Send(output, limit);
    sending = false;
  }
  filler.join();
  while (output.Publish()) sent += Send(output);
  size_t at = 0;
  for (int i = 0; i < kFrames; ++i) {
    FrameHeader header;
    const char* why;
    const auto* bytes = reinterpret_cast<const uint8_t*>(sent.data());
    ASSERT_EQ(HeaderState::kComplete,
              ParseFrameHeader({bytes + at, sent.size() - at}, kMaxFrameSize, &header, &why));
    ASSERT_EQ(static_cast<size_t>(1 + i % 300), header.body_size);
    ASSERT_EQ(std::string(header.body_size, static_cast<char>(i)),
              sent.substr(at + header.header_size, header.body_size));
    at += header.header_size + header.body_size;
  }
  EXPECT_EQ(sent.size(), at);
}

}  // namespace
}  // namespace anywire
