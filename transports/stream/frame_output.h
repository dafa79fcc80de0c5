// Frames on their way out: written into chunks that never move, so that one thread may fill the
// next frame while another sends what has been published.
//
//   chunk:   | sent | published | filled | free |
//
// Small frames reuse one small chunk; larger amounts borrow blocks and give them back once sent.
#ifndef ANYWIRE_TRANSPORTS_STREAM_FRAME_OUTPUT_H_
#define ANYWIRE_TRANSPORTS_STREAM_FRAME_OUTPUT_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/types/span.h"
#include "anywire/mutex.h"
#include "transports/stream/io_block.h"

namespace anywire {

class FrameOutput {
 public:
  // `max_unsent` bytes may wait, headers included; one frame may always.
  FrameOutput(size_t max_frame_size, size_t max_unsent)
      : max_frame_size_(max_frame_size), max_unsent_(max_unsent) {}

  // ---- filling: one at a time; see FrameSink and Connection

  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) ABSL_LOCKS_EXCLUDED(mutex_);
  // Returns whether there is something to send and sending is not blocked.
  bool Publish() ABSL_LOCKS_EXCLUDED(mutex_);

  // ---- sending: one at a time, beside the above

  static constexpr size_t kMaxPieces = 16;
  // What is to be sent, in order; nothing while blocked. The bytes stay until Consume.
  size_t Gather(iovec (&pieces)[kMaxPieces]) ABSL_LOCKS_EXCLUDED(mutex_);
  // So many of them have been sent. `blocked`: do not try again before Unblock. Returns whether
  // NewFrame had no room and would have it now; says so once.
  bool Consume(size_t size, bool blocked) ABSL_LOCKS_EXCLUDED(mutex_);
  void Unblock() ABSL_LOCKS_EXCLUDED(mutex_);
  // Sending has failed: what waits is dropped, and what comes is accepted and dropped.
  void Fail() ABSL_LOCKS_EXCLUDED(mutex_);

  // Bytes of memory held.
  size_t held() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  static constexpr size_t kSmallChunk = 4096;

  struct Chunk {
    std::unique_ptr<uint8_t[]> small;  // one of the two
    IoBlockPtr block;
    size_t sent = 0;
    size_t published = 0;
    size_t filled = 0;

    uint8_t* data() const { return small != nullptr ? small.get() : block->bytes; }
    size_t capacity() const { return small != nullptr ? kSmallChunk : IoBlock::kSize; }
  };

  Chunk& ChunkFor(size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropSent(size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Drop(Chunk& chunk) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_frame_size_;
  const size_t max_unsent_;
  mutable Mutex mutex_;
  std::vector<Chunk> chunks_ ABSL_GUARDED_BY(mutex_);  // in order; only the last has free room
  std::unique_ptr<uint8_t[]> spare_
      ABSL_GUARDED_BY(mutex_);                 // the small chunk, when not in chunks_
  size_t unsent_ ABSL_GUARDED_BY(mutex_) = 0;  // filled, published or not
  bool refused_ ABSL_GUARDED_BY(mutex_) = false;
  bool blocked_ ABSL_GUARDED_BY(mutex_) = false;
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_STREAM_FRAME_OUTPUT_H_
