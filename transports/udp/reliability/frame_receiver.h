// Frames from chunks: puts parts together, keeps the order of each stream, and holds the peer to
// its credit.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_FRAME_RECEIVER_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_FRAME_RECEIVER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "anywire/frame.h"
#include "transports/udp/reliability/buffer_pool.h"
#include "transports/udp/reliability/chunk.h"
#include "transports/udp/reliability/interval_set.h"
#include "transports/udp/reliability/options.h"
#include "transports/udp/reliability/sequence_ring.h"

namespace anywire::udp {

// Memory for a frame is taken whole when its first part comes. It is within the credit that the
// peer was given, which counts whole frames, so a window is what a peer can make us hold: about
// three times that at most, as buffers are rounded up, and what has come of a frame is remembered.
class FrameReceiver {
 public:
  // What has come of a frame is in at most so many separate pieces; more are a breach. A sender
  // that cuts no smaller parts than kLeastPart (frame_sender.h) stays below.
  static size_t MaxPieces(size_t frame_size) { return 8 + frame_size / 128; }

  static constexpr size_t kMostGiven = 64;

  // `pool` outlives it.
  FrameReceiver(const Options& options, BufferPool& pool);

  // Null, or how the peer is in breach.
  const char* OnFrame(const FrameChunk& chunk);
  // The peer begins no frames beyond this many.
  const char* OnClose(uint64_t frames);

  // Whether Receive has frames to give.
  bool has_frames() const { return !ready_.empty(); }
  // Whether the peer has said that no more frames come, and all are ready or have been given.
  bool is_complete() const { return closed_ && lowest_open() == last_frame_ + 1; }

  // Gives back the frames of the last Receive, and up to kMostGiven of those that are ready: in
  // order within each stream. Views until the next Receive or Release.
  absl::Span<const ReceivedFrame> Receive();
  void Release();
  // Drops all frames but those that Receive has given.
  void Clear();

  // The sum of the counts of frames that the peer may have begun since the beginning. Grows with
  // Release.
  uint64_t credit() const { return released_ + window_; }
  // Whether the peer should be told of it: it is a good part more than it knows of, or what the
  // peer has left may be too little for its next frame.
  bool credit_due() const {
    if (credit() - told_credit_ >= window_ / 4) return true;
    return credit() > told_credit_ && told_credit_ < begun_ + max_frame_size_ + kFrameCost;
  }
  void OnCreditSent() { told_credit_ = allowed_ = credit(); }
  // What was told may have been lost.
  void OnCreditLost() { told_credit_ = 0; }

  // Counts of frames that are held, whole or not.
  size_t held() const { return static_cast<size_t>(begun_ - released_); }

 private:
  struct Frame {
    uint64_t id = 0;
    uint64_t stream = 0;
    uint64_t after = 0;
    size_t size = 0;
    BufferPool::Buffer bytes;
    IntervalSet received;
    uint64_t received_bytes = 0;

    uint64_t predecessor() const { return after == 0 ? 0 : id - after; }
    bool is_complete() const { return received_bytes == size; }
  };

  // The lowest frame id that has not been delivered.
  uint64_t lowest_open() const { return delivered_.front().end; }
  const char* Begin(const FrameChunk& chunk, BufferPool::Object<Frame>* frame);
  static const char* Put(Frame& frame, const FrameChunk& chunk);
  // Makes it ready, and those that waited for it.
  void Deliver(BufferPool::Object<Frame> frame);

  const size_t max_frame_size_;
  const uint64_t window_;
  BufferPool& pool_;

  // Frames that have begun and not been delivered.
  absl::flat_hash_map<uint64_t, BufferPool::Object<Frame>> open_;
  // Of frames that have not been delivered, and that one which has begun follows: which.
  absl::flat_hash_map<uint64_t, uint64_t> followers_;
  // Frame ids; 0, which is no frame's, is one from the beginning.
  IntervalSet delivered_;
  uint64_t highest_ = 0;  // id that has begun

  SequenceRing<BufferPool::Object<Frame>> ready_;
  std::vector<BufferPool::Object<Frame>> given_;
  std::vector<ReceivedFrame> views_;

  uint64_t begun_ = 0;     // counts of all frames begun since the beginning
  uint64_t released_ = 0;  // and released
  uint64_t allowed_;       // the most that the peer has been told
  uint64_t told_credit_;
  bool closed_ = false;
  uint64_t last_frame_ = 0;  // when closed_
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_FRAME_RECEIVER_H_
