#include "transports/udp/reliability/frame_sender.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace anywire::udp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Options Small() {
  Options options;
  options.send_buffer = 100'000;
  options.stream_window = 10'000;
  return options;
}

class FrameSenderTest : public ::testing::Test {
 protected:
  FrameSenderTest() { sender_.OnCredit(1 << 20); }

  bool New(uint64_t stream, size_t size, char fill = 'x') {
    const absl::Span<uint8_t> bytes = sender_.NewFrame(stream, size);
    if (bytes.data() == nullptr) return false;
    std::memset(bytes.data(), fill, size);
    return true;
  }

  struct Written {
    FrameChunk chunk;  // without its bytes
    FramePiece piece;
    std::string bytes;
  };
  // The chunks of one packet with so much room.
  std::vector<Written> Packet(size_t room = 1000) {
    std::vector<uint8_t> packet(room);
    ChunkWriter writer(absl::MakeSpan(packet));
    std::vector<Written> result;
    for (FramePiece piece; sender_.WriteChunk(writer, &piece);) result.push_back({{}, piece, ""});
    ChunkReader reader(absl::MakeConstSpan(packet).first(writer.size()));
    for (Written& written : result) {
      EXPECT_TRUE(reader.Next()) << reader.error();
      written.chunk = reader.frame();
      written.bytes.assign(written.chunk.bytes.begin(), written.chunk.bytes.end());
      written.chunk.bytes = {};
      EXPECT_EQ(written.chunk.id, written.piece.frame_id);
      EXPECT_EQ(written.chunk.offset, written.piece.begin);
      EXPECT_EQ(written.bytes.size(), written.piece.end - written.piece.begin);
    }
    EXPECT_FALSE(reader.Next());
    return result;
  }
  void Ack(const std::vector<Written>& packet) {
    for (const Written& written : packet) sender_.OnPieceAcked(written.piece);
  }
  void Lose(const std::vector<Written>& packet) {
    for (const Written& written : packet) sender_.OnPieceLost(written.piece);
  }
  static std::vector<uint64_t> Streams(const std::vector<Written>& packet) {
    std::vector<uint64_t> result;
    for (const Written& written : packet) result.push_back(written.chunk.stream);
    return result;
  }

  BufferPool pool_;
  FrameSender sender_{Small(), pool_};
};

TEST_F(FrameSenderTest, SmallFramesShareAPacket) {
  New(5, 10, 'a');
  New(6, 20, 'b');
  New(5, 30, 'c');
  const auto packet = Packet();
  ASSERT_EQ(3u, packet.size());
  EXPECT_EQ(std::string(10, 'a'), packet[0].bytes);
  EXPECT_EQ(1u, packet[0].chunk.id);
  EXPECT_EQ(std::string(20, 'b'), packet[1].bytes);
  EXPECT_EQ(std::string(30, 'c'), packet[2].bytes);
  EXPECT_EQ(5u, packet[2].chunk.stream);
  EXPECT_EQ(2u, packet[2].chunk.after) << "frame 1";
  EXPECT_TRUE(sender_.all_sent());
  EXPECT_FALSE(sender_.all_acked());
  Ack(packet);
  EXPECT_TRUE(sender_.all_acked());
  EXPECT_EQ(0u, sender_.held());
}

TEST_F(FrameSenderTest, AFrameFollowsNoneWhenAllBeforeAreAcknowledged) {
  New(5, 10);
  const auto first = Packet();
  New(5, 10);
  const auto second = Packet();
  EXPECT_EQ(1u, second[0].chunk.after);
  // The second has come, the first perhaps not: the third must still wait.
  Ack(second);
  New(5, 10);
  const auto third = Packet();
  EXPECT_EQ(1u, third[0].chunk.after);
  Ack(first);
  Ack(third);
  New(5, 10);
  EXPECT_EQ(0u, Packet()[0].chunk.after);
}

TEST_F(FrameSenderTest, LargeFramesAreCut) {
  New(1, 2500);
  size_t next = 0;
  for (const size_t expected : {3u}) {
    size_t packets = 0;
    for (auto packet = Packet(); !packet.empty(); packet = Packet(), ++packets) {
      ASSERT_EQ(1u, packet.size());
      EXPECT_EQ(next, packet[0].piece.begin);
      next = packet[0].piece.end;
    }
    EXPECT_EQ(expected, packets);
  }
  EXPECT_EQ(2500u, next);
}

TEST_F(FrameSenderTest, PartsAreNotTooSmall) {
  New(1, 1000);
  for (size_t room = 0; room < FrameSender::kLeastPart; ++room)
    EXPECT_THAT(Packet(room), IsEmpty());
  const auto first = Packet(FrameSender::kLeastPart + 10);
  ASSERT_EQ(1u, first.size());
  EXPECT_GE(first[0].bytes.size(), FrameSender::kLeastPart);
  New(2, FrameSender::kLeastPart);
  Packet(1100);
  EXPECT_TRUE(sender_.all_sent());
}

TEST_F(FrameSenderTest, StreamsTakeTurns) {
  New(1, 5000);
  New(1, 5000);
  New(2, 10);
  New(3, 3000);
  EXPECT_THAT(Streams(Packet()), ElementsAre(1));
  EXPECT_THAT(Streams(Packet()), ElementsAre(2, 3));
  EXPECT_THAT(Streams(Packet()), ElementsAre(1));
  New(2, 10);
  EXPECT_THAT(Streams(Packet()), ElementsAre(3));
  EXPECT_THAT(Streams(Packet()), ElementsAre(1));
  EXPECT_THAT(Streams(Packet()), ElementsAre(2, 3));
}

TEST_F(FrameSenderTest, LostBytesGoFirstAndOnlyThose) {
  New(1, 2000, 'a');
  const auto first = Packet(), second = Packet(), third = Packet();
  New(2, 10, 'b');
  Lose(first);
  Lose(third);
  Ack(second);
  const auto fourth = Packet(), fifth = Packet();
  EXPECT_EQ(first[0].piece.begin, fourth[0].piece.begin);
  EXPECT_EQ(first[0].piece.end, fourth[0].piece.end);
  ASSERT_EQ(2u, fifth.size());
  EXPECT_EQ(third[0].piece.begin, fifth[0].piece.begin);
  EXPECT_EQ(2u, fifth[1].chunk.stream);
  Ack(fourth);
  Ack(fifth);
  EXPECT_TRUE(sender_.all_acked());
}

TEST_F(FrameSenderTest, LostPartsFitSmallerPackets) {
  New(1, 900, 'a');
  const auto first = Packet();
  ASSERT_EQ(1u, first.size());
  Lose(first);
  size_t next = 0;
  for (auto packet = Packet(400); !packet.empty(); packet = Packet(400)) {
    EXPECT_EQ(next, packet[0].piece.begin);
    next = packet[0].piece.end;
    Ack(packet);
  }
  EXPECT_EQ(900u, next);
  EXPECT_TRUE(sender_.all_acked());
}

TEST_F(FrameSenderTest, WhatIsAcknowledgedLateIsNotSentAgain) {
  New(1, 10);
  const auto packet = Packet();
  Lose(packet);
  Ack(packet);
  EXPECT_THAT(Packet(), IsEmpty());
  EXPECT_TRUE(sender_.all_acked());
  Lose(packet);
  Ack(packet);
  EXPECT_THAT(Packet(), IsEmpty());
}

TEST_F(FrameSenderTest, APartThatIsAcknowledgedLateIsNotSentAgain) {
  New(1, 1500);
  const auto first = Packet(), second = Packet();
  Lose(first);
  Ack(first);
  EXPECT_THAT(Packet(), IsEmpty());
  Ack(second);
  EXPECT_TRUE(sender_.all_acked());
}

TEST_F(FrameSenderTest, CreditIsForWholeFrames) {
  FrameSender sender(Small(), pool_);
  FramePiece piece;
  uint8_t room[2000];
  sender.NewFrame(1, 1000);
  for (const size_t credit : {size_t{0}, 1000 + kFrameCost - 1}) {
    sender.OnCredit(credit);
    ChunkWriter writer(room);
    EXPECT_FALSE(sender.WriteChunk(writer, &piece)) << credit;
  }
  EXPECT_EQ(0u, sender.frames_begun());
  sender.OnCredit(1000 + kFrameCost);
  ChunkWriter writer(room);
  EXPECT_TRUE(sender.WriteChunk(writer, &piece));
  EXPECT_EQ(1u, sender.frames_begun());
}

// Or frames that need little would take all credit, and one that needs much would never get it.
TEST_F(FrameSenderTest, CreditIsGivenInTurn) {
  FrameSender sender(Small(), pool_);
  uint8_t room[20'000];
  const auto next_stream = [&]() -> uint64_t {
    ChunkWriter writer(room);
    FramePiece piece;
    if (!sender.WriteChunk(writer, &piece)) return 0;
    ChunkReader reader(absl::MakeConstSpan(room, writer.size()));
    EXPECT_TRUE(reader.Next());
    return reader.frame().stream;
  };
  sender.NewFrame(1, 5000);
  for (uint64_t stream = 2; stream <= 9; ++stream) sender.NewFrame(stream, 100);
  sender.OnCredit(4000);
  EXPECT_EQ(0u, next_stream());
  sender.NewFrame(20, 1);
  EXPECT_EQ(0u, next_stream());
  sender.OnCredit(5000 + kFrameCost);
  EXPECT_EQ(1u, next_stream());
  EXPECT_EQ(0u, next_stream());
  sender.OnCredit(1 << 20);
  for (uint64_t stream = 2; stream <= 9; ++stream) EXPECT_EQ(stream, next_stream());
  EXPECT_EQ(20u, next_stream());
}

// A frame that has begun has its credit, and must not wait behind one that has none.
TEST_F(FrameSenderTest, AFrameInPartsGoesOnWhileOthersLackCredit) {
  FrameSender sender(Small(), pool_);
  sender.OnCredit(3000 + kFrameCost);
  sender.NewFrame(1, 3000);
  sender.NewFrame(2, 10);
  size_t sent = 0;
  for (int i = 0; i < 4; ++i) {
    uint8_t room[1000];
    ChunkWriter writer(room);
    FramePiece piece;
    while (sender.WriteChunk(writer, &piece)) sent += piece.end - piece.begin;
  }
  EXPECT_EQ(3000u, sent);
}

TEST_F(FrameSenderTest, AStreamHasAWindowOfItsOwn) {
  // 10,000: three frames of 3,000, and not a fourth.
  for (int i = 0; i < 4; ++i) New(1, 3000);
  New(2, 10);
  std::vector<std::vector<Written>> packets;
  for (auto packet = Packet(3500); !packet.empty(); packet = Packet(3500)) {
    packets.push_back(packet);
  }
  EXPECT_EQ(4u, sender_.frames_begun()) << "the others', and that of stream 2";
  Ack(packets[0]);
  const auto next = Packet(3500);
  ASSERT_EQ(1u, next.size());
  EXPECT_EQ(1u, next[0].chunk.stream);
}

TEST_F(FrameSenderTest, AFrameLargerThanTheStreamsWindowGoesAlone) {
  New(1, 15'000);
  New(1, 1);
  const auto first = Packet(20'000);
  ASSERT_EQ(1u, first.size());
  Ack(first);
  EXPECT_EQ(1u, Packet().size());
}

TEST_F(FrameSenderTest, UnfinishedFramesAreLimited) {
  std::vector<std::vector<Written>> packets;
  for (uint64_t i = 0; i < kFrameSpan; ++i) {
    // Held up by no buffer: all but the first are acknowledged.
    ASSERT_TRUE(New(i, 1));
    packets.push_back(Packet());
    ASSERT_EQ(1u, packets.back().size());
    if (i > 0) Ack(packets.back());
  }
  ASSERT_TRUE(New(1, 1));
  EXPECT_THAT(Packet(), IsEmpty());
  Ack(packets[0]);
  EXPECT_EQ(1u, Packet().size());
}

TEST_F(FrameSenderTest, TheBufferIsLimited) {
  // One frame always fits.
  FrameSender sender({.send_buffer = 1000}, pool_);
  EXPECT_NE(nullptr, sender.NewFrame(1, 16'000).data());
  EXPECT_EQ(nullptr, sender.NewFrame(1, 1).data());
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(New(1, 10'000 - kFrameCost)) << i;
  EXPECT_FALSE(New(1, 1)) << "full to the byte";
  EXPECT_FALSE(sender_.TakeRoom());
}

TEST_F(FrameSenderTest, RoomIsToldOnceWhenHalfIsFree) {
  EXPECT_FALSE(sender_.TakeRoom()) << "nobody asked";
  for (uint64_t i = 0; i < 10; ++i) New(i, 10'000 - kFrameCost);
  EXPECT_FALSE(New(1, 10'000));
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(sender_.TakeRoom()) << i;
    Ack(Packet(10'100));
  }
  EXPECT_TRUE(sender_.TakeRoom());
  EXPECT_FALSE(sender_.TakeRoom());
}

TEST_F(FrameSenderTest, PreparedFramesWaitToBePublished) {
  EXPECT_FALSE(sender_.Publish()) << "there are none";
  sender_.PrepareFrame(7, 3).data()[0] = 'a';
  const absl::Span<uint8_t> second = sender_.PrepareFrame(7, 1);
  EXPECT_FALSE(sender_.may_have_chunk());
  EXPECT_THAT(Packet(), IsEmpty());
  EXPECT_TRUE(sender_.all_sent()) << "what is not published is not to be sent";
  second[0] = 'b';  // as late as that
  EXPECT_TRUE(sender_.Publish());
  EXPECT_FALSE(sender_.Publish());
  const std::vector<Written> packet = Packet();
  ASSERT_EQ(2u, packet.size());
  EXPECT_EQ('a', packet[0].bytes[0]);
  EXPECT_EQ("b", packet[1].bytes);
  Ack(packet);
  EXPECT_EQ(0u, sender_.held());
}

// The head of a piece is the sender's own, the rest stays where it is; a packet may begin and end
// in either.
TEST_F(FrameSenderTest, PiecesAreSentFromWhereTheyAreUntilTheyAreAcknowledged) {
  constexpr size_t kSize = 5000;
  MessageMemory memory = NewMessageMemory(kSize);
  for (size_t i = 0; i < kSize; ++i) memory[i] = static_cast<uint8_t>(i * 7 + (i >> 8));
  const SharedMessageMemory shared = std::move(memory);
  const std::string bytes(reinterpret_cast<const char*>(shared.get()), kSize);
  const std::string head(300, 'h');
  const auto* const head_bytes = reinterpret_cast<const uint8_t*>(head.data());
  for (size_t head_size = 1; head_size <= head.size(); ++head_size) {
    ASSERT_TRUE(sender_.PreparePiece(7, absl::MakeConstSpan(head_bytes, head_size), shared,
                                     /*offset=*/10, 1000));
    EXPECT_THAT(Packet(), IsEmpty());
    ASSERT_TRUE(sender_.Publish());
    const std::string expected = head.substr(0, head_size) + bytes.substr(10, 1000);
    std::string received(expected.size(), '\0');
    bool lose = true;
    for (auto packet = Packet(170); !packet.empty(); packet = Packet(170)) {
      if (std::exchange(lose, !lose)) {
        Lose(packet);
        continue;
      }
      for (const Written& part : packet) {
        received.replace(part.chunk.offset, part.bytes.size(), part.bytes);
      }
      EXPECT_EQ(2, shared.use_count());
      Ack(packet);
    }
    ASSERT_EQ(expected, received) << head_size;
    ASSERT_EQ(1, shared.use_count());
  }

  const absl::Span<const uint8_t> one = absl::MakeConstSpan(head_bytes, 1);
  sender_.PreparePiece(7, one, shared, 0, kSize);
  sender_.Publish();
  sender_.PreparePiece(7, one, shared, 0, kSize);
  EXPECT_EQ(2 * (kSize + 1 + kFrameCost), sender_.held());
  EXPECT_EQ(3, shared.use_count());
  sender_.Clear();
  sender_.DropPrepared();
  EXPECT_EQ(1, shared.use_count());
}

// Somebody may be filling them.
TEST_F(FrameSenderTest, PreparedFramesOutliveClear) {
  New(1, 100);
  const absl::Span<uint8_t> bytes = sender_.PrepareFrame(2, 1000);
  sender_.Clear();
  std::memset(bytes.data(), 'x', bytes.size());
  EXPECT_EQ(1000 + kFrameCost, sender_.held());
  sender_.DropPrepared();
  EXPECT_EQ(0u, sender_.held());
  EXPECT_FALSE(sender_.Publish());
}

// Or whoever has a large frame would ask again and again.
TEST_F(FrameSenderTest, RoomIsToldWhenWhatWasRefusedFits) {
  FrameSender sender({.send_buffer = 1000}, pool_);
  sender.OnCredit(1 << 20);
  EXPECT_NE(nullptr, sender.NewFrame(1, 400 - kFrameCost).data());
  EXPECT_EQ(nullptr, sender.NewFrame(1, 601 - kFrameCost).data());
  EXPECT_EQ(nullptr, sender.NewFrame(1, 2000).data());
  EXPECT_FALSE(sender.TakeRoom()) << "less than half is held, and neither fits";
  uint8_t room[1000];
  ChunkWriter writer{absl::MakeSpan(room)};
  FramePiece piece;
  ASSERT_TRUE(sender.WriteChunk(writer, &piece));
  sender.OnPieceAcked(piece);
  EXPECT_TRUE(sender.TakeRoom()) << "one always fits";
  EXPECT_NE(nullptr, sender.NewFrame(1, 2000).data());
}

TEST_F(FrameSenderTest, ClearDropsAll) {
  for (uint64_t i = 0; i < 5; ++i) New(i % 2, 3000);
  const auto packet = Packet();
  Lose(packet);
  sender_.Clear();
  EXPECT_EQ(0u, sender_.held());
  EXPECT_THAT(Packet(), IsEmpty());
  Ack(packet);
  EXPECT_TRUE(sender_.all_acked());
}

}  // namespace
}  // namespace anywire::udp
