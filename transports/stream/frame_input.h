// Turns received bytes into frames, in place. No I/O: the caller reads into the memory that Prepare
// names and says with Commit how much it was.
//
//   Prepare ─> (read) ─> Commit ─> frames() ... Release      or      Prepare ─> (nothing came) ─>
//   Release
//
// Bytes go into a block borrowed from the thread, and frames are views into it. What is left of a
// frame that has not come in full is kept in the spill, which is never larger than twice what has
// been received of it (and 8 KiB), whatever length the frame announces; a long frame is then
// completed there, so that its bytes are copied once or twice and not with every piece that comes.
#ifndef ANYWIRE_TRANSPORTS_STREAM_FRAME_INPUT_H_
#define ANYWIRE_TRANSPORTS_STREAM_FRAME_INPUT_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/attributes.h"
#include "absl/types/span.h"
#include "anywire/frame.h"
#include "transports/stream/io_block.h"

namespace anywire {

class FrameInput {
 public:
  // `max_frame_size` is at most kMaxFrameSize.
  explicit FrameInput(size_t max_frame_size) : max_frame_size_(max_frame_size) {}

  // Gives back earlier frames and returns where to put the next bytes, in this order: one piece or
  // two. Not after error().
  absl::Span<const iovec> Prepare();
  // So many bytes have been put there, at least 1.
  void Commit(size_t size);
  // Those complete since the last Prepare; views until Release or Prepare.
  absl::Span<const ReceivedFrame> frames() const;
  // Null, or what was wrong with the bytes after the frames.
  const char* error() const { return error_; }
  // Keeps what is left of an unfinished frame and gives the block back.
  void Release() {
    if (block_ != nullptr) GiveBlockBack();
  }

  // Whether a frame has begun that is not complete. Valid after Release.
  bool in_frame() const { return spill_size_ != 0; }
  // Bytes of memory that stay with the connection after Release.
  size_t kept() const { return spill_capacity_; }

 private:
  void GiveBlockBack() {
    const bool nothing_left = rest_begin_ == rest_end_ && spill_ == nullptr;
    if (!nothing_left) KeepRest();
    block_.reset();
  }
  ABSL_ATTRIBUTE_NOINLINE void KeepRest();
  void Decode(size_t begin, size_t end);
  void ReserveSpill(size_t capacity);
  void DropSpill();
  bool CompletesInSpill() const;

  const size_t max_frame_size_;
  InputBlockPtr block_;
  iovec pieces_[2];
  size_t rest_begin_ = 0, rest_end_ = 0;  // in block_: behind the last frame
  std::unique_ptr<uint8_t[]> spill_;
  size_t spill_capacity_ = 0;
  size_t spill_size_ = 0;
  size_t spill_goal_ = 0;        // header and body of the frame in the spill; 0: not known yet
  bool spill_is_frame_ = false;  // complete, and one of frames()
  const char* error_ = nullptr;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_STREAM_FRAME_INPUT_H_
