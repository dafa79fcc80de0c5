// Frames on their way out: filled into one row of chunks while another is sent, so that a thread
// may fill the next frame while another is in a system call, with no lock between the two.
//
//   filling:   | filled | free |   ── Publish ──>   sending:   | sent | to be sent |
//
// The chunks are borrowed from the thread that fills, and given back by the one that has sent them:
// an idle connection has none.
#ifndef ANYWIRE_TRANSPORTS_STREAM_FRAME_OUTPUT_H_
#define ANYWIRE_TRANSPORTS_STREAM_FRAME_OUTPUT_H_

#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "anywire/message_memory.h"
#include "transports/stream/io_block.h"

namespace anywire {

class FrameOutput {
 public:
  // `max_unsent` bytes may wait, headers included; one frame may always.
  FrameOutput(size_t max_frame_size, size_t max_unsent)
      : max_frame_size_(max_frame_size), max_unsent_(max_unsent) {}

  // ---- filling: one at a time; see FrameSink
  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size);
  // A smaller piece is copied: a system call costs more for each place that it is given.
  static constexpr size_t kLeastShared = 4096;
  bool AddPiece(uint64_t stream, absl::Span<const uint8_t> head, const SharedMessageMemory& memory,
                size_t offset, size_t size);

  // ---- handing over: while nobody fills or sends; see Connection
  // Returns whether there is something to send and sending is not blocked. (While it is, what has
  // been filled stays for the next Publish.)
  bool Publish();

  // ---- sending: one at a time, beside filling
  static constexpr size_t kMaxPieces = 64;
  // What is to be sent, in order; nothing while blocked. The bytes stay until Consume.
  size_t Gather(iovec (&pieces)[kMaxPieces]) const;
  // So many of them, at most, have been sent. `blocked`: do not try again before Unblock. Returns
  // whether NewFrame had no room and would have it now; says so once.
  bool Consume(size_t size, bool blocked);
  // Sending has failed: what waits is dropped, and what comes is accepted and dropped.
  void Fail();

  // ---- any time
  void Unblock() { blocked_.store(false, std::memory_order_release); }

  // Bytes of memory held, but for rows of a few chunks; while nobody fills or sends.
  size_t held() const;

 private:
  struct Chunk {
    explicit Chunk(size_t size) : memory(size) {}
    // The body of a frame, where it is.
    Chunk(SharedMessageMemory shared, size_t offset, size_t size)
        : shared(std::move(shared)), sent(offset), filled(offset + size) {}

    const uint8_t* data() const { return shared != nullptr ? shared.get() : memory.data(); }
    size_t capacity() const { return memory.capacity(); }
    size_t room() const { return shared != nullptr ? 0 : memory.capacity() - filled; }

    BorrowedBytes memory;
    SharedMessageMemory shared;  // or this
    size_t sent = 0;
    size_t filled = 0;
  };

  // Chunks for which an empty row keeps its place. There are two for each piece.
  static constexpr size_t kKeptRow = 4;

  bool HasRoom(size_t size) const {
    const size_t unsent = unpublished_ + unsent_.load();
    return unsent == 0 || size <= max_unsent_ - std::min(unsent, max_unsent_);
  }
  bool MakeRoom(size_t size);
  void DropUnpublished();
  void AppendToSending();
  Chunk& ChunkFor(size_t size);
  void DropSent(size_t size);
  static void Empty(std::vector<Chunk>& row);

  const size_t max_frame_size_;
  const size_t max_unsent_;

  // The filler's. Only the last chunk has free room.
  std::vector<Chunk> filling_;
  size_t unpublished_ = 0;  // bytes in them
  // The sender's.
  std::vector<Chunk> sending_;

  std::atomic<size_t> unsent_{0};  // published bytes; written by one at a time
  std::atomic<bool> refused_{false};
  std::atomic<bool> blocked_{false};
  std::atomic<bool> failed_{false};
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_STREAM_FRAME_OUTPUT_H_
