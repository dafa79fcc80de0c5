// Memory for bytes on their way in or out, borrowed while it is needed and kept by threads, not by
// connections: an idle connection owns none, and a busy thread goes on using the block that is warm
// in its cache. Small blocks are for the frames of small calls on their way out.
#ifndef ANYWIRE_TRANSPORTS_STREAM_IO_BLOCK_H_
#define ANYWIRE_TRANSPORTS_STREAM_IO_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/attributes.h"
#include "anywire/frame.h"

namespace anywire {

// For input. Larger than a frame: each read of a bulk transfer costs a system call, and often an
// acknowledgement that its sender has to deal with.
struct InputBlock {
  static constexpr size_t kSize = 132 << 10;
  std::vector<ReceivedFrame> frames;  // those that lie in `bytes`
  uint8_t bytes[kSize];
};

// Gives the block back to the thread that lets go of it, which keeps at most kInputBlocksPerThread.
struct ReturnInputBlock {
  void operator()(InputBlock* block) const;
};
using InputBlockPtr = std::unique_ptr<InputBlock, ReturnInputBlock>;

struct IoBlock {
  static constexpr size_t kSize = 68 << 10;  // the largest frame, its header, and whole pages
  uint8_t bytes[kSize];
};
// The same, of kBlocksPerThread.
struct ReturnIoBlock {
  void operator()(IoBlock* block) const;
};
using IoBlockPtr = std::unique_ptr<IoBlock, ReturnIoBlock>;

struct SmallBlock {
  static constexpr size_t kSize = 1024;
  uint8_t bytes[kSize];
};
// The same, of kSmallBlocksPerThread.
struct ReturnSmallBlock {
  void operator()(SmallBlock* block) const;
};
using SmallBlockPtr = std::unique_ptr<SmallBlock, ReturnSmallBlock>;

inline constexpr int kInputBlocksPerThread = 4;
inline constexpr int kBlocksPerThread = 8;
inline constexpr int kSmallBlocksPerThread = 32;

// The bytes are uninitialised.
InputBlockPtr BorrowInputBlock();
IoBlockPtr BorrowIoBlock();
SmallBlockPtr BorrowSmallBlock();

// Of either kind.
class BorrowedBytes {
 public:
  // None.
  BorrowedBytes() = default;
  // At least `size` bytes, at most IoBlock::kSize.
  explicit BorrowedBytes(size_t size) {
    if (size <= SmallBlock::kSize) {
      small_ = BorrowSmallBlock();
    } else {
      large_ = BorrowIoBlock();
    }
  }
  ~BorrowedBytes() {
    if (large_ != nullptr) GiveLargeBack();
  }
  BorrowedBytes(BorrowedBytes&&) = default;
  BorrowedBytes& operator=(BorrowedBytes&&) = default;
  uint8_t* data() const { return small_ != nullptr ? small_->bytes : large_->bytes; }
  size_t capacity() const {
    return small_ != nullptr ? SmallBlock::kSize : large_ != nullptr ? IoBlock::kSize : 0;
  }

 private:
  // Out of line: frames of small calls are sent by the thousand.
  ABSL_ATTRIBUTE_NOINLINE void GiveLargeBack() { large_.reset(); }

  SmallBlockPtr small_;
  IoBlockPtr large_;
};

// How many blocks of each kind the calling thread keeps.
int IdleInputBlocks();
int IdleIoBlocks();
int IdleSmallBlocks();

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_STREAM_IO_BLOCK_H_
