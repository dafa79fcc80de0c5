#include "transports/stream/frame_input.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"
#include "transports/stream/framing.h"

namespace anywire {
namespace {

using ::testing::HasSubstr;
using Bytes = std::vector<uint8_t>;

struct Frame {
  uint64_t stream;
  Bytes body;
  friend bool operator==(const Frame&, const Frame&) = default;
};

void Encode(const Frame& frame, Bytes& to) {
  uint8_t header[kMaxFrameHeaderSize];
  to.insert(to.end(), header, WriteFrameHeader(frame.stream, frame.body.size(), header));
  to.insert(to.end(), frame.body.begin(), frame.body.end());
}

// What the format says of a whole stream of bytes, without regard to how it comes in.
struct Meaning {
  std::vector<Frame> frames;
  bool bad = false;
  bool in_frame = false;
  friend bool operator==(const Meaning&, const Meaning&) = default;
};
Meaning Understand(const Bytes& bytes, size_t max_frame_size) {
  Meaning result;
  for (size_t at = 0; at < bytes.size();) {
    FrameHeader header;
    const char* why;
    const absl::Span<const uint8_t> left = absl::MakeConstSpan(bytes).subspan(at);
    const HeaderState state = ParseFrameHeader(left, max_frame_size, &header, &why);
    result.bad = state == HeaderState::kBad;
    result.in_frame =
        state == HeaderState::kIncomplete ||
        (state == HeaderState::kComplete && header.body_size > left.size() - header.header_size);
    if (result.bad || result.in_frame) return result;
    const absl::Span<const uint8_t> body = left.subspan(header.header_size, header.body_size);
    result.frames.push_back({header.stream, Bytes(body.begin(), body.end())});
    at += header.header_size + header.body_size;
  }
  return result;
}

// Feeds the bytes in pieces of sizes that `next_piece` gives, as a socket would.
template <typename NextPiece>
Meaning Feed(const Bytes& bytes, size_t max_frame_size, NextPiece next_piece) {
  FrameInput input(max_frame_size);
  Meaning result;
  for (size_t at = 0; at < bytes.size();) {
    const absl::Span<const iovec> room = input.Prepare();
    size_t total = 0;
    for (const iovec& piece : room) total += piece.iov_len;
    EXPECT_GE(total, 1u);
    const size_t size = std::min({next_piece(), bytes.size() - at, total});
    if (size == 0) {  // nothing came
      input.Release();
      continue;
    }
    size_t copied = 0;
    for (const iovec& piece : room) {
      const size_t here = std::min(piece.iov_len, size - copied);
      std::memcpy(piece.iov_base, bytes.data() + at + copied, here);
      copied += here;
    }
    at += size;
    input.Commit(size);
    for (const ReceivedFrame& frame : input.frames()) {
      result.frames.push_back({frame.stream, Bytes(frame.bytes.begin(), frame.bytes.end())});
    }
    if (input.error() != nullptr) {
      result.bad = true;
      return result;
    }
    input.Release();
    // Never much more than what has come of an unfinished frame.
    EXPECT_LE(input.kept(), std::max<size_t>(8192, 2 * at));
    EXPECT_LE(input.kept(), std::max<size_t>(8192, max_frame_size + kMaxFrameHeaderSize));
  }
  result.in_frame = input.in_frame();
  return result;
}

TEST(FrameInputTest, FramesInOnePieceAreViewsIntoIt) {
  Bytes bytes;
  for (uint64_t i = 1; i <= 5; ++i) Encode({i, Bytes(i * 10, static_cast<uint8_t>(i))}, bytes);
  FrameInput input(kMaxFrameSize);
  const absl::Span<const iovec> room = input.Prepare();
  ASSERT_EQ(1u, room.size());
  const auto* begin = static_cast<const uint8_t*>(room[0].iov_base);
  std::copy(bytes.begin(), bytes.end(), static_cast<uint8_t*>(room[0].iov_base));
  input.Commit(bytes.size());
  ASSERT_EQ(5u, input.frames().size());
  for (const ReceivedFrame& frame : input.frames()) {
    EXPECT_GE(frame.bytes.data(), begin);
    EXPECT_LE(frame.bytes.end(), begin + bytes.size());
  }
  input.Release();
  EXPECT_EQ(0u, input.kept());
  EXPECT_FALSE(input.in_frame());
}

TEST(FrameInputTest, EverySplitOfTwoFrames) {
  Bytes bytes;
  Encode({300, Bytes(200, 1)}, bytes);
  Encode({UINT64_MAX, Bytes(3, 2)}, bytes);
  const Meaning expected = Understand(bytes, kMaxFrameSize);
  for (size_t split = 0; split <= bytes.size(); ++split) {
    bool first = true;
    EXPECT_EQ(expected, Feed(bytes, kMaxFrameSize,
                             [&first, split, &bytes] {
                               return std::exchange(first, false) ? split : bytes.size();
                             }))
        << split;
  }
}

// Around the sizes at which an unfinished frame changes its way through memory.
TEST(FrameInputTest, LongFramesInPiecesOfEverySize) {
  for (size_t size : {2000u, 2048u, 2100u, 8192u, 16384u, 65535u, 65536u}) {
    Bytes bytes;
    for (uint8_t i = 0; i < 4; ++i) Encode({i, Bytes(size, i)}, bytes);
    const Meaning expected = Understand(bytes, kMaxFrameSize);
    for (size_t piece : {size_t{1}, size_t{1460}, size_t{2047}, size_t{2048}, size_t{4096},
                         size_t{20'000}, InputBlock::kSize, InputBlock::kSize + 5000}) {
      if (piece == 1 && size > 9000) continue;
      EXPECT_EQ(expected, Feed(bytes, kMaxFrameSize, [piece] { return piece; }))
          << size << " in " << piece;
    }
  }
}

// A length is believed only as far as bytes follow it.
TEST(FrameInputTest, AnnouncedBytesCostNoMemory) {
  Bytes bytes;
  Encode({1, Bytes(kMaxFrameSize, 7)}, bytes);
  FrameInput input(kMaxFrameSize);
  for (size_t at = 0; at < 100; ++at) {
    *static_cast<uint8_t*>(input.Prepare()[0].iov_base) = bytes[at];
    input.Commit(1);
    input.Release();
    EXPECT_LE(input.kept(), 256u);
  }
}

TEST(FrameInputTest, ConnectionWithoutUnfinishedFrameKeepsNothing) {
  Bytes bytes;
  Encode({1, Bytes(50'000, 7)}, bytes);
  FrameInput input(kMaxFrameSize);
  for (size_t at = 0; at < bytes.size();) {
    const absl::Span<const iovec> room = input.Prepare();
    const size_t size = std::min({size_t{10'000}, bytes.size() - at, room[0].iov_len});
    std::memcpy(room[0].iov_base, bytes.data() + at, size);
    at += size;
    input.Commit(size);
    input.Release();
  }
  EXPECT_LE(input.kept(), 256u);
  EXPECT_FALSE(input.in_frame());
}

TEST(FrameInputTest, FramesBeforeAnErrorCount) {
  Bytes bytes;
  Encode({1, {1, 2, 3}}, bytes);
  bytes.push_back(0);
  FrameInput input(kMaxFrameSize);
  std::copy(bytes.begin(), bytes.end(), static_cast<uint8_t*>(input.Prepare()[0].iov_base));
  input.Commit(bytes.size());
  EXPECT_EQ(1u, input.frames().size());
  EXPECT_THAT(input.error(), HasSubstr("empty"));
}

TEST(FrameInputTest, SecondBorrowerGetsAnotherBlock) {
  Bytes bytes;
  Encode({1, {1, 2, 3}}, bytes);
  std::vector<std::unique_ptr<FrameInput>> inputs;
  for (int i = 0; i < 2 * kInputBlocksPerThread; ++i) {
    inputs.push_back(std::make_unique<FrameInput>(kMaxFrameSize));
    std::copy(bytes.begin(), bytes.end(),
              static_cast<uint8_t*>(inputs.back()->Prepare()[0].iov_base));
    inputs.back()->Commit(bytes.size());
  }
  for (const auto& input : inputs) {
    ASSERT_EQ(1u, input->frames().size());
    EXPECT_EQ(3u, input->frames()[0].bytes.size());
    input->Release();
  }
  EXPECT_EQ(kInputBlocksPerThread, IdleInputBlocks());
}

// ---- a million hostile inputs

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  size_t Below(size_t limit) { return random_() % limit; }

  // A short stream of frames with something wrong in it, mostly.
  Bytes Input() {
    Bytes bytes;
    if (Below(8) == 0) {
      bytes.resize(Below(60));
      for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random_());
      return bytes;
    }
    for (size_t i = Below(4); i > 0; --i) {
      Encode({random_() >> Below(64), Bytes(1 + Below(Below(50) == 0 ? 5000 : 40), 0x55)}, bytes);
    }
    for (size_t i = Below(4); i > 0 && !bytes.empty(); --i) {
      const size_t at = Below(bytes.size());
      switch (Below(5)) {
        case 0:
          bytes[at] = static_cast<uint8_t>(random_());
          break;
        case 1:
          bytes[at] ^= 1 << Below(8);
          break;
        case 2:
          bytes.erase(bytes.begin() + at);
          break;
        case 3:
          bytes.insert(bytes.begin() + at, Below(2) == 0 ? 0x80 : 0xFF);
          break;
        case 4:
          bytes.resize(at);
          break;
      }
    }
    return bytes;
  }

 private:
  std::mt19937_64 random_;
};

// The decoder fed in random pieces says what the format says, whatever the bytes.
TEST(FrameInputTest, AMillionMutatedInputsMeanWhatTheFormatSays) {
  Mutator mutator(test::TestSeed(20'260'101));
  int bad = 0, unfinished = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const Bytes bytes = mutator.Input();
    const size_t max = i % 3 == 0 ? 1024 : kMaxFrameSize;
    const size_t largest_piece = 1 + mutator.Below(100);
    const Meaning expected = Understand(bytes, max);
    Meaning actual = Feed(bytes, max, [&mutator, largest_piece] {
      return mutator.Below(largest_piece) + mutator.Below(2);
    });
    ASSERT_EQ(expected.frames, actual.frames) << i;
    ASSERT_EQ(expected.bad, actual.bad) << i;
    ASSERT_TRUE(expected.bad || expected.in_frame == actual.in_frame) << i;
    bad += expected.bad;
    unfinished += expected.in_frame;
  }
  // The mutations reach both ends.
  EXPECT_GT(bad, 50'000);
  EXPECT_GT(unfinished, 50'000);
}

}  // namespace
}  // namespace anywire
