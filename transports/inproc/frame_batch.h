// Frames one behind the other, on their way from a sender to a receiver. Their memory is borrowed
// from the sender's thread and given back by the receiver's; in between it changes hands. What
// comes behind frames that wait is copied to them if it fits into their memory, so that little
// frames do not hold a block each; else nothing is copied. A frame that is larger than a block has
// memory of its own.
#ifndef ANYWIRE_TRANSPORTS_INPROC_FRAME_BATCH_H_
#define ANYWIRE_TRANSPORTS_INPROC_FRAME_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "anywire/frame.h"
#include "anywire/message_memory.h"
#include "transports/stream/io_block.h"

namespace anywire {

class FrameBatch {
 public:
  bool empty() const { return frames_.empty(); }
  size_t bytes() const { return bytes_; }
  // Bytes of memory: at most about twice those of the frames, and two blocks.
  size_t held() const;

  // Uninitialised bytes of a new last frame.
  absl::Span<uint8_t> Append(uint64_t stream, size_t size);
  // The `size` bytes at `offset` of `memory`, which is kept, as a new last frame.
  void Append(uint64_t stream, MessageMemory memory, size_t offset, size_t size);
  // Moves the frames of `from` behind ours, and leaves it empty.
  void Take(FrameBatch& from);
  // All frames, until the batch changes.
  absl::Span<const ReceivedFrame> frames() const { return frames_; }
  // Forgets the frames and gives their memory back.
  void Clear();

 private:
  // Of the last chunk.
  size_t Room() const { return chunks_.empty() ? 0 : chunks_.back().capacity() - used_; }

  std::vector<BorrowedBytes> chunks_;
  size_t used_ = 0;                                    // of the last chunk
  std::unique_ptr<std::vector<MessageMemory>> large_;  // null: none, as usual
  size_t bytes_ = 0;                                   // of all frames
  std::vector<ReceivedFrame> frames_;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_INPROC_FRAME_BATCH_H_
