// FrameSender and FrameReceiver together, over packets that come in any order, twice, or not.
#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/seed.h"
#include "transports/udp/reliability/frame_receiver.h"
#include "transports/udp/reliability/frame_sender.h"

namespace anywire::udp {
namespace {

class Pair {
 public:
  explicit Pair(uint64_t seed) : random_(seed) {
    options_.max_frame_size = 1024 << (random_() % 4);
    options_.send_buffer = 5000 << (random_() % 5);
    options_.stream_window = 1000 << (random_() % 6);
    options_.receive_window =
        options_.max_frame_size + kFrameCost + (random_() % 3) * (random_() % 40'000);
    sender_ = std::make_unique<FrameSender>(options_, pool_);
    receiver_ = std::make_unique<FrameReceiver>(options_, pool_);
    sender_->OnCredit(receiver_->credit());
  }

  void Run(int frames) {
    for (int steps = 0; frames > 0 || !sender_->all_acked(); ++steps) {
      ASSERT_LT(steps, 2'000'000) << "it does not end";
      switch (random_() % 6) {
        case 0:
          if (frames > 0 && Fill()) --frames;
          break;
        case 1:
        case 2:
          Send();
          break;
        case 3:
        case 4:
          ASSERT_NO_FATAL_FAILURE(Arrive());
          break;
        case 5:
          ASSERT_NO_FATAL_FAILURE(Read());
      }
      ASSERT_LE(receiver_->held(), options_.receive_window);
    }
    while (receiver_->has_frames()) ASSERT_NO_FATAL_FAILURE(Read());
    for (const auto& [stream, sent] : sent_) ASSERT_TRUE(sent == received_[stream]) << stream;
    receiver_->Release();
    EXPECT_EQ(0u, sender_->held());
    EXPECT_EQ(0u, receiver_->held());
  }

 private:
  struct Packet {
    std::vector<uint8_t> chunks;
    std::vector<FramePiece> pieces;
  };

  bool Fill() {
    const uint64_t stream = random_() % 8;
    const size_t size = 1 + random_() % (random_() % 3 == 0 ? options_.max_frame_size : 60);
    const absl::Span<uint8_t> bytes = sender_->NewFrame(stream, size);
    if (bytes.data() == nullptr) return false;
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random_());
    sent_[stream].append(bytes.begin(), bytes.end());
    return true;
  }

  void Send() {
    Packet packet;
    packet.chunks.resize(FrameSender::kLeastPart + 30 + random_() % 1400);
    ChunkWriter writer(absl::MakeSpan(packet.chunks));
    for (FramePiece piece; sender_->WriteChunk(writer, &piece);) packet.pieces.push_back(piece);
    packet.chunks.resize(writer.size());
    if (!packet.pieces.empty()) on_their_way_.push_back(packet);
  }

  void Arrive() {
    if (on_their_way_.empty()) return;
    const size_t which = random_() % std::min<size_t>(on_their_way_.size(), 10);
    const Packet packet = on_their_way_[which];
    if (random_() % 4 != 0) on_their_way_.erase(on_their_way_.begin() + static_cast<long>(which));
    if (random_() % 3 == 0) {
      for (const FramePiece& piece : packet.pieces) sender_->OnPieceLost(piece);
      return;
    }
    ChunkReader reader(packet.chunks);
    while (reader.Next()) ASSERT_EQ(nullptr, receiver_->OnFrame(reader.frame()));
    ASSERT_EQ(nullptr, reader.error());
    const bool taken_for_lost = random_() % 3 == 0;
    for (const FramePiece& piece : packet.pieces) {
      taken_for_lost ? sender_->OnPieceLost(piece) : sender_->OnPieceAcked(piece);
    }
  }

  void Read() {
    for (const ReceivedFrame& frame : receiver_->Receive()) {
      received_[frame.stream].append(frame.bytes.begin(), frame.bytes.end());
    }
    if (random_() % 2 == 0) receiver_->Release();
    if (receiver_->credit_due()) {
      sender_->OnCredit(receiver_->credit());
      receiver_->OnCreditSent();
    }
    if (on_their_way_.size() > 30) {
      for (const FramePiece& piece : on_their_way_.front().pieces) sender_->OnPieceLost(piece);
      on_their_way_.pop_front();
    }
  }

  std::mt19937_64 random_;
  Options options_;
  BufferPool pool_;
  std::unique_ptr<FrameSender> sender_;
  std::unique_ptr<FrameReceiver> receiver_;
  std::deque<Packet> on_their_way_;
  std::map<uint64_t, std::string> sent_, received_;
};

TEST(FramesTest, AllArrivesInOrderWithinItsStream) {
  const uint64_t seed = test::TestSeed(10);
  for (uint64_t round = 0; round < 100; ++round) {
    Pair pair(seed + round);
    ASSERT_NO_FATAL_FAILURE(pair.Run(200)) << seed + round;
  }
}

}  // namespace
}  // namespace anywire::udp
