#include "transports/udp/reliability/frame_receiver.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace anywire::udp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FrameReceiverTest : public ::testing::Test {
 protected:
  // A part of a frame; "" when it is fine.
  std::string Put(FrameChunk chunk, absl::string_view bytes) {
    chunk.bytes = {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
    if (chunk.frame_size == 0) chunk.frame_size = bytes.size();
    const char* const why = receiver_->OnFrame(chunk);
    return why == nullptr ? "" : why;
  }
  std::string Whole(uint64_t id, uint64_t stream, uint64_t after, absl::string_view bytes) {
    return Put({.id = id, .stream = stream, .after = after}, bytes);
  }
  std::string Part(uint64_t id, uint64_t offset, uint64_t size, absl::string_view bytes) {
    return Put({.id = id, .stream = 1, .offset = offset, .frame_size = size}, bytes);
  }
  // "stream:bytes" of those that are ready.
  std::vector<std::string> Take() {
    std::vector<std::string> result;
    for (const ReceivedFrame& frame : receiver_->Receive()) {
      result.push_back(std::to_string(frame.stream) + ":" +
                       std::string(frame.bytes.begin(), frame.bytes.end()));
    }
    return result;
  }
  void Restart(const Options& options) {
    receiver_ = std::make_unique<FrameReceiver>(options, pool_);
  }

  BufferPool pool_;
  std::unique_ptr<FrameReceiver> receiver_ = std::make_unique<FrameReceiver>(Options(), pool_);
};

TEST_F(FrameReceiverTest, WholeFramesComeOnce) {
  EXPECT_EQ("", Whole(1, 7, 0, "a"));
  EXPECT_EQ("", Whole(2, 7, 1, "b"));
  EXPECT_EQ("", Whole(1, 7, 0, "a"));
  EXPECT_THAT(Take(), ElementsAre("7:a", "7:b"));
  EXPECT_EQ("", Whole(2, 7, 1, "b"));
  EXPECT_THAT(Take(), IsEmpty());
}

TEST_F(FrameReceiverTest, AStreamKeepsItsOrderAndOthersDoNotWait) {
  EXPECT_EQ("", Whole(4, 1, 2, "second"));
  EXPECT_EQ("", Whole(5, 1, 1, "third"));
  EXPECT_EQ("", Whole(3, 2, 0, "other"));
  EXPECT_THAT(Take(), ElementsAre("2:other"));
  EXPECT_EQ("", Whole(2, 1, 0, "first"));
  EXPECT_THAT(Take(), ElementsAre("1:first", "1:second", "1:third"));
}

TEST_F(FrameReceiverTest, AFrameWaitsAlsoForAnIncompleteOne) {
  EXPECT_EQ("", Part(1, 2, 4, "cd"));
  EXPECT_EQ("", Whole(2, 1, 1, "next"));
  EXPECT_THAT(Take(), IsEmpty());
  EXPECT_EQ("", Part(1, 0, 4, "ab"));
  EXPECT_THAT(Take(), ElementsAre("1:abcd", "1:next"));
}

TEST_F(FrameReceiverTest, AnIncompleteFrameGoesWhenItIsCompleteAfterItsPredecessor) {
  EXPECT_EQ("", Put({.id = 2, .stream = 1, .after = 1, .frame_size = 4}, "ef"));
  EXPECT_EQ("", Whole(1, 1, 0, "first"));
  EXPECT_THAT(Take(), ElementsAre("1:first"));
  EXPECT_EQ("", Put({.id = 2, .stream = 1, .after = 1, .offset = 2, .frame_size = 4}, "gh"));
  EXPECT_THAT(Take(), ElementsAre("1:efgh"));
}

TEST_F(FrameReceiverTest, PartsInAnyOrderAndOverlapping) {
  EXPECT_EQ("", Part(1, 6, 8, "gh"));
  EXPECT_EQ("", Part(1, 1, 8, "bcd"));
  EXPECT_EQ("", Part(1, 3, 8, "defg"));
  EXPECT_THAT(Take(), IsEmpty());
  EXPECT_EQ("", Part(1, 0, 8, "abcdefgh"));
  EXPECT_THAT(Take(), ElementsAre("1:abcdefgh"));
}

TEST_F(FrameReceiverTest, PartsAfterTheWhole) {
  EXPECT_EQ("", Whole(2, 1, 1, "abcd"));
  EXPECT_EQ("", Put({.id = 2, .stream = 1, .after = 1, .offset = 1, .frame_size = 4}, "bc"));
  EXPECT_EQ("", Whole(1, 1, 0, "first"));
  EXPECT_THAT(Take(), ElementsAre("1:first", "1:abcd"));
  EXPECT_EQ("", Whole(4, 1, 1, "efgh"));
  EXPECT_THAT(Put({.id = 4, .stream = 1, .after = 1, .offset = 1, .frame_size = 4}, "fX"),
              HasSubstr("overlap with different bytes"));
}

TEST_F(FrameReceiverTest, OverlapWithOtherBytesIsABreach) {
  EXPECT_EQ("", Part(1, 0, 8, "abcd"));
  EXPECT_THAT(Part(1, 2, 8, "cXef"), HasSubstr("overlap with different bytes"));
}

TEST_F(FrameReceiverTest, PartsMustAgree) {
  EXPECT_EQ("", Put({.id = 5, .stream = 1, .after = 2, .frame_size = 4}, "ab"));
  EXPECT_THAT(Put({.id = 5, .stream = 2, .after = 2, .offset = 2, .frame_size = 4}, "cd"),
              HasSubstr("do not agree"));
  EXPECT_THAT(Put({.id = 5, .stream = 1, .after = 1, .offset = 2, .frame_size = 4}, "cd"),
              HasSubstr("do not agree"));
  EXPECT_THAT(Put({.id = 5, .stream = 1, .after = 2, .offset = 2, .frame_size = 5}, "cd"),
              HasSubstr("do not agree"));
}

TEST_F(FrameReceiverTest, TwoFramesAfterOneAreABreach) {
  EXPECT_EQ("", Whole(5, 1, 4, "a"));
  EXPECT_THAT(Whole(6, 1, 5, "b"), HasSubstr("follow the same"));
}

TEST_F(FrameReceiverTest, IdsAreLimited) {
  EXPECT_EQ("", Whole(kFrameSpan, 1, 0, "far"));
  EXPECT_THAT(Whole(kFrameSpan + 1, 1, 0, "too far"), HasSubstr("too far ahead"));
  EXPECT_EQ("", Whole(1, 2, 0, "lowest"));
  EXPECT_EQ("", Whole(kFrameSpan + 1, 1, 0, "not any more"));
}

TEST_F(FrameReceiverTest, SizesAreLimited) {
  const std::string most(Options().max_frame_size, 'x');
  EXPECT_EQ("", Whole(1, 1, 0, most));
  EXPECT_THAT(Whole(2, 1, 0, most + "x"), HasSubstr("larger than allowed"));
}

TEST_F(FrameReceiverTest, CreditIsKept) {
  Options options;
  options.max_frame_size = 1024;
  options.receive_window = 2 * (1000 + kFrameCost);
  Restart(options);
  const std::string body(1000, 'x');
  EXPECT_EQ("", Whole(1, 1, 0, body));
  // All of a frame counts when it begins.
  EXPECT_EQ("", Part(2, 0, 1000, "x"));
  EXPECT_EQ(options.receive_window, receiver_->held());
  EXPECT_FALSE(receiver_->credit_due());
  EXPECT_THAT(Whole(3, 1, 0, "y"), HasSubstr("receive window"));
}

TEST_F(FrameReceiverTest, ReleasedFramesGiveCreditThatCountsWhenItIsTold) {
  Options options;
  options.max_frame_size = 1024;
  options.receive_window = 2 * (1000 + kFrameCost);
  for (const bool tell : {false, true}) {
    Restart(options);
    const std::string body(1000, 'x');
    EXPECT_EQ("", Whole(1, 1, 0, body));
    EXPECT_EQ("", Whole(2, 1, 0, body));
    EXPECT_EQ(2u, Take().size());
    EXPECT_FALSE(receiver_->credit_due()) << "they are still looked at";
    receiver_->Release();
    EXPECT_TRUE(receiver_->credit_due());
    EXPECT_EQ(2 * options.receive_window, receiver_->credit());
    EXPECT_EQ(0u, receiver_->held());
    if (tell) receiver_->OnCreditSent();
    EXPECT_EQ(!tell, receiver_->credit_due());
    EXPECT_EQ(tell ? "" : "frames exceed the receive window", Whole(3, 1, 0, body));
    receiver_->OnCreditLost();
    EXPECT_TRUE(receiver_->credit_due());
  }
}

TEST_F(FrameReceiverTest, CreditIsToldInGoodParts) {
  // A quarter of a mebibyte.
  for (uint64_t id = 1; id <= 16; ++id) {
    EXPECT_FALSE(receiver_->credit_due()) << id;
    EXPECT_EQ("", Whole(id, 1, id == 1 ? 0 : 1, std::string(Options().max_frame_size, 'x')));
    Take();
    receiver_->Release();
  }
  EXPECT_TRUE(receiver_->credit_due());
}

// Or the peer would wait for what is kept from it.
TEST_F(FrameReceiverTest, CreditIsToldEarlyWhenTheLargestFrameWouldNotFit) {
  Options options;
  options.max_frame_size = 1024;
  options.receive_window = 2 * (1024 + kFrameCost);
  Restart(options);
  EXPECT_EQ("", Whole(1, 1, 0, "x"));
  Take();
  receiver_->Release();
  EXPECT_FALSE(receiver_->credit_due()) << "a largest frame still fits";
  EXPECT_EQ("", Whole(2, 1, 0, std::string(1024, 'x')));
  EXPECT_TRUE(receiver_->credit_due());
}

TEST_F(FrameReceiverTest, PiecesAreLimited) {
  constexpr size_t kSize = 1024;
  const size_t most = FrameReceiver::MaxPieces(kSize);
  EXPECT_EQ(16u, most);
  for (size_t i = 0; i < most; ++i) EXPECT_EQ("", Part(1, 2 * i, kSize, "x")) << i;
  EXPECT_THAT(Part(1, 2 * most, kSize, "x"), HasSubstr("too many pieces"));
}

TEST_F(FrameReceiverTest, AFewAreGivenAtATime) {
  for (uint64_t id = 1; id <= FrameReceiver::kMostGiven + 1; ++id) {
    EXPECT_EQ("", Whole(id, 1, id == 1 ? 0 : 1, "x"));
  }
  EXPECT_EQ(FrameReceiver::kMostGiven, Take().size());
  EXPECT_TRUE(receiver_->has_frames());
  EXPECT_EQ(1u, Take().size());
  EXPECT_FALSE(receiver_->has_frames());
}

TEST_F(FrameReceiverTest, CloseIsCompleteWhenAllHaveCome) {
  EXPECT_EQ("", Whole(2, 1, 1, "b"));
  EXPECT_EQ(nullptr, receiver_->OnClose(2));
  EXPECT_FALSE(receiver_->is_complete());
  EXPECT_THAT(Whole(3, 1, 0, "c"), HasSubstr("after the last"));
  EXPECT_EQ("", Whole(1, 1, 0, "a"));
  EXPECT_TRUE(receiver_->is_complete());
  EXPECT_EQ(nullptr, receiver_->OnClose(2));
  EXPECT_THAT(receiver_->OnClose(3), HasSubstr("has changed"));
}

TEST_F(FrameReceiverTest, CloseMayNotDenyWhatHasCome) {
  EXPECT_EQ("", Whole(2, 1, 0, "b"));
  EXPECT_THAT(receiver_->OnClose(1), HasSubstr("more frames have come"));
}

TEST_F(FrameReceiverTest, CloseOfNothing) {
  EXPECT_EQ(nullptr, receiver_->OnClose(0));
  EXPECT_TRUE(receiver_->is_complete());
}

// Their owner may be looking at them.
TEST_F(FrameReceiverTest, ClearKeepsWhatHasBeenGiven) {
  EXPECT_EQ("", Whole(1, 1, 0, "given"));
  const absl::Span<const ReceivedFrame> given = receiver_->Receive();
  ASSERT_EQ(1u, given.size());
  EXPECT_EQ("", Whole(2, 1, 1, "ready"));
  receiver_->Clear();
  EXPECT_EQ("given", std::string(given[0].bytes.begin(), given[0].bytes.end()));
  EXPECT_FALSE(receiver_->has_frames());
  receiver_->Release();
  EXPECT_EQ(0u, receiver_->held());
}

TEST_F(FrameReceiverTest, ClearGivesAllBack) {
  EXPECT_EQ("", Whole(1, 1, 0, "ready"));
  EXPECT_EQ("", Whole(3, 1, 1, "waits"));
  EXPECT_EQ("", Part(5, 0, 100, "part"));
  receiver_->Clear();
  EXPECT_EQ(0u, receiver_->held());
  EXPECT_FALSE(receiver_->has_frames());
}

}  // namespace
}  // namespace anywire::udp
