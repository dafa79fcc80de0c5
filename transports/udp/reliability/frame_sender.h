// Frames on their way out: filled by the owner, cut into chunks, kept until all of them is
// acknowledged, and sent again as far as they are lost.
//
// Streams take turns, a chunk each, so that a small frame does not wait behind large ones of other
// streams. What was lost goes first.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_FRAME_SENDER_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_FRAME_SENDER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "transports/udp/reliability/buffer_pool.h"
#include "transports/udp/reliability/chunk.h"
#include "transports/udp/reliability/interval_set.h"
#include "transports/udp/reliability/options.h"
#include "transports/udp/reliability/sent_packet.h"
#include "transports/udp/reliability/sequence_ring.h"

namespace anywire::udp {

class FrameSender {
 public:
  // A part is not made smaller than this but at a frame's end, or at the end of what was lost: the
  // receiver limits the pieces of a frame.
  static constexpr size_t kLeastPart = 128;

  // `pool` outlives it.
  FrameSender(const Options& options, BufferPool& pool);
  ~FrameSender();

  // As FrameSink::NewFrame. The largest frame is the lesser of ours and the peer's.
  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size);
  // Once after NewFrame has refused: whether there is room again.
  bool TakeRoom();

  // What the peer allows in all; a lower value than before changes nothing.
  void OnCredit(uint64_t credit);

  // Writes one chunk, as large as there is room for, of what is to be sent; false when there is
  // nothing, or no room for it. `*piece` is what it carries.
  bool WriteChunk(ChunkWriter& writer, FramePiece* piece);
  // Whether WriteChunk would write one, given room.
  bool HasChunk() const { return HasLost() || HasUnsent(); }

  void OnPieceAcked(const FramePiece& piece);
  // It is sent again, as far as it is not acknowledged meanwhile.
  void OnPieceLost(const FramePiece& piece);
  // Whether a piece has bytes that are not acknowledged.
  bool IsWanted(const FramePiece& piece) const;

  // Whether all frames have been begun and sent once; acknowledged.
  bool all_sent() const { return waiting_ == 0; }
  bool all_acked() const { return waiting_ == 0 && frames_.empty(); }
  uint64_t frames_begun() const { return frames_.end() - 1; }
  // Drops all frames.
  void Clear();

  // Counts of frames that are held.
  size_t held() const { return held_; }

 private:
  struct Stream;
  struct Frame {
    uint64_t id = 0;  // 0: not begun
    Stream* stream = nullptr;
    uint64_t after = 0;
    size_t size = 0;
    size_t sent = 0;  // bytes, for the first time
    BufferPool::Buffer bytes;
    IntervalSet acked;
    uint64_t acked_bytes = 0;
    IntervalSet lost;
    bool in_lost_queue = false;
    std::unique_ptr<Frame> next;  // in its stream's row, or among the idle

    size_t count() const { return size + kFrameCost; }
  };
  // While it has frames.
  struct Stream {
    uint64_t number = 0;
    std::unique_ptr<Frame> first;  // the row of those that have not been begun
    Frame* last = nullptr;
    uint64_t last_id = 0;      // of the frame begun last
    size_t unacked = 0;        // frames begun and not acknowledged
    size_t unacked_count = 0;  // their counts
    bool in_turn = false;      // in turns_
    std::unique_ptr<Stream> next_idle;
  };
  struct Turn {
    Stream* stream = nullptr;
  };

  bool HasLost() const { return lost_bytes_ > 0; }
  bool HasUnsent() const;
  bool MayBegin(const Stream& stream) const;
  bool WriteLost(ChunkWriter& writer, FramePiece* piece);
  bool WriteUnsent(ChunkWriter& writer, FramePiece* piece);
  // Writes as much of [begin, end) as there is room for; 0 when that is too little.
  size_t WritePart(ChunkWriter& writer, const Frame& frame, size_t begin, size_t end);
  void Finish(Frame& frame);
  void TakeTurn(Stream& stream);
  void DropIfIdle(Stream& stream);

  const Options options_;
  BufferPool& pool_;
  uint64_t credit_ = 0;        // counts that may be begun, since the beginning
  uint64_t begun_counts_ = 0;  // and have been
  size_t held_ = 0;
  size_t waiting_ = 0;  // frames not sent in full
  bool refused_ = false;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_FRAME_SENDER_H_
