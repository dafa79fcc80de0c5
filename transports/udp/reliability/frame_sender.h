// Frames on their way out: filled by the owner, cut into chunks, kept until all of them is
// acknowledged, and sent again as far as they are lost.
//
// Streams take turns, a chunk each, so that a small frame does not wait behind large ones of other
// streams. What was lost goes first.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_FRAME_SENDER_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_FRAME_SENDER_H_

#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "anywire/message_memory.h"
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

  // As FrameSink::NewFrame, but the frame is not sent before Publish: another thread may fill it
  // meanwhile. `size` is at most the peer's largest frame.
  absl::Span<uint8_t> PrepareFrame(uint64_t stream, size_t size);
  // As FrameSink::AddPiece, and not sent before Publish either. The memory is held until all of the
  // frame is acknowledged.
  bool PreparePiece(uint64_t stream, absl::Span<const uint8_t> head,
                    const SharedMessageMemory& memory, size_t offset, size_t size);
  // What has been prepared may be sent from now on. Returns whether there was any.
  bool Publish();
  // Both.
  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size);
  // Once after there was no room for a frame: whether there is again, for that one and beyond.
  bool TakeRoom();
  // Whether it is still to be.
  bool lacks_room() const { return refused_ != 0; }

  // What the peer allows in all; a lower value than before changes nothing.
  void OnCredit(uint64_t credit);

  // Writes one chunk, as large as there is room for, of what is to be sent; false when there is
  // nothing, or no room for it. `*piece` is what it carries.
  bool WriteChunk(ChunkWriter& writer, FramePiece* piece);

  // False: WriteChunk would write none. It may find that so also when this is true.
  bool may_have_chunk() const { return !lost_.empty() || !turns_.empty(); }

  void OnPieceAcked(const FramePiece& piece);
  // It is sent again, as far as it is not acknowledged meanwhile.
  void OnPieceLost(const FramePiece& piece);

  // Whether all frames have been sent once; and acknowledged.
  bool all_sent() const { return waiting_ == 0; }
  bool all_acked() const { return waiting_ == 0 && frames_.empty(); }
  uint64_t frames_begun() const { return frames_.end() - 1; }
  // Drops all frames, but for those that are being filled.
  void Clear();
  // And those.
  void DropPrepared();

  // Counts of frames that are held.
  size_t held() const { return held_; }

 private:
  struct Stream;
  struct Frame {
    uint64_t stream_number = 0;
    uint64_t id = 0;
    Stream* stream = nullptr;  // once published
    uint64_t after = 0;
    size_t size = 0;
    // The first own_size bytes, and the rest.
    BufferPool::Buffer bytes;
    size_t own_size = 0;
    SharedMessageMemory shared;
    size_t shared_offset = 0;
    IntervalSet acked;
    uint64_t acked_bytes = 0;
    IntervalSet lost;
    bool in_lost_queue = false;
    BufferPool::Object<Frame> next;  // in its stream's row, or of those prepared

    size_t count() const { return size + kFrameCost; }
    // Copies `count` bytes from the one at `begin`.
    void Copy(size_t begin, size_t count, uint8_t* to) const;
  };

  class StreamQueue {
   public:
    bool empty() const { return first_ == nullptr; }
    Stream* front() const { return first_; }
    void Push(Stream& stream);
    void Pop();

   private:
    Stream* first_ = nullptr;
    Stream* last_ = nullptr;
  };

  // As long as it has frames.
  struct Stream {
    uint64_t number = 0;
    Frame* current = nullptr;  // begun, and not sent in full
    size_t current_sent = 0;
    BufferPool::Object<Frame> row;  // those that have not begun
    Frame* row_end = nullptr;
    uint64_t last_id = 0;      // of the frame begun last
    size_t unacked = 0;        // frames begun and not acknowledged
    size_t unacked_count = 0;  // their counts
    bool queued = false;
    Stream* next = nullptr;  // in its queue
  };

  // A frame of `size` bytes, of which it has memory for so many itself; null: there is no room.
  Frame* Prepare(uint64_t stream, size_t size, size_t own_size);
  bool WriteLost(ChunkWriter& writer, FramePiece* piece);
  bool WriteUnsent(ChunkWriter& writer, FramePiece* piece);
  // Writes what there is room for of the bytes from `begin` to before `end`, and returns how many.
  static size_t WritePart(ChunkWriter& writer, const Frame& frame, size_t begin, size_t end);
  bool IsOverWindow(const Stream& stream) const;
  bool MayBegin(const Frame& frame);
  void Begin(Stream& stream);
  Frame* Find(uint64_t id);
  void Finish(Frame& frame);
  // Puts it into turns_, if it has anything to send and is not over its window.
  void Queue(Stream& stream);
  void QueueStarved();
  Stream& StreamOf(uint64_t number);
  void DropIfIdle(const Stream& stream);

  const size_t send_buffer_;
  const size_t stream_window_;
  BufferPool& pool_;

  BufferPool::Object<Frame> prepared_;
  Frame* prepared_end_ = nullptr;
  size_t prepared_held_ = 0;  // their part of held_

  absl::flat_hash_map<uint64_t, BufferPool::Object<Stream>> streams_;
  // Streams with something to send, in turn; and those whose next frame may not begin for lack of
  // credit, or because too old ones are unfinished. While any of those wait no others begin one, so
  // that a large frame gets its credit, too.
  StreamQueue turns_;
  StreamQueue starved_;
  bool starved_by_span_ = false;

  SequenceRing<BufferPool::Object<Frame>> frames_{1};  // begun; null when finished
  SequenceRing<uint64_t> lost_;                        // ids of frames that have lost bytes

  uint64_t credit_ = 0;        // counts that may have begun, since the beginning
  uint64_t begun_counts_ = 0;  // and have
  size_t held_ = 0;
  size_t waiting_ = 0;  // frames not sent in full
  size_t refused_ = 0;  // the largest count that has been refused since TakeRoom; 0: none
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_FRAME_SENDER_H_
