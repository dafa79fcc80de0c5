// Messages that are announced and do not come: whatever sizes a peer names and however it goes
// about it, they cost at most the memory that the process keeps anyway.
#include <algorithm>
#include <string>
#include <vector>

#include "anywire/message_memory.h"
#include "gtest/gtest.h"
#include "runtime/protocol/testing.h"
#include "runtime/wire/frame_kinds.h"

namespace anywire::protocol {
namespace {

using testing::Bytes;
using testing::FirstPiece;
using testing::MachinePair;
using testing::SentFrame;

constexpr uint64_t kStreams = 512;

// As after whole messages on other connections have been read: all that can be kept is.
void Refill(size_t size) {
  std::vector<MessageMemory> pieces;
  for (size_t bytes = 0; bytes <= kMostKept; bytes += size)
    pieces.push_back(NewMessageMemory(size));
}

// Begins a message of `size` bytes on each stream, sends a byte of it, and has what it was given
// replaced. Returns how many bytes were given.
size_t Announce(MachinePair& pair, size_t size) {
  size_t given = 0;
  const size_t cost = size + wire::kMessageOverhead;
  const size_t excess = cost - std::min(cost, Limits().call_window / 2);
  for (uint64_t stream = 1; stream <= kStreams; ++stream) {
    if (pair.server.account().peer_may_exceed < excess) break;  // more would be a breach
    Refill(size);
    const size_t before = KeptMessageBytes();
    const std::vector<SentFrame> frames = {{stream, Bytes({0xa0, 0, 6}) + "test.M"},
                                           {stream, FirstPiece(size) + "x"}};
    EXPECT_TRUE(pair.server.OnFrames(testing::ViewsOf(frames), pair.now, pair.server_events).ok());
    given += before - KeptMessageBytes();
  }
  return given;
}

// The first go without excess, by default; the last have almost all of it.
class AnnouncedTest : public ::testing::TestWithParam<size_t> {};
TEST_P(AnnouncedTest, ManyMessagesHaveNoMoreThanIsKept) {
  FreeKeptMessageMemory();
  {
    MachinePair pair;
    ASSERT_TRUE(pair.Settle().ok());
    const size_t given = Announce(pair, GetParam());
    EXPECT_GT(given, 0u);
    EXPECT_LE(given, kMostKept);
    EXPECT_EQ(given, LentMessageBytes());
    // A second connection has nothing more, nor others' refills anything to refill.
    MachinePair other;
    ASSERT_TRUE(other.Settle().ok());
    EXPECT_LE(given + Announce(other, GetParam()), kMostKept);
    EXPECT_LE(KeptMessageBytes() + LentMessageBytes(), kMostKept);
  }
  // When the connections end it is all there again.
  EXPECT_EQ(LentMessageBytes(), 0u);
  FreeKeptMessageMemory();
  Refill(GetParam());
  EXPECT_GT(KeptMessageBytes(), 0u);
}
INSTANTIATE_TEST_SUITE_P(Sizes, AnnouncedTest,
                         ::testing::Values(64 << 10, 100 << 10, 128 << 10, 4 << 20));

}  // namespace
}  // namespace anywire::protocol
