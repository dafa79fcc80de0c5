// Frames one behind the other in one piece of memory, which is used again after Clear.
#ifndef ANYWIRE_TRANSPORTS_INPROC_FRAME_BATCH_H_
#define ANYWIRE_TRANSPORTS_INPROC_FRAME_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "anywire/frame.h"

namespace anywire {

class FrameBatch {
 public:
  bool empty() const { return entries_.empty(); }
  size_t bytes() const { return size_; }

  // Uninitialised bytes of a new last frame, until the next call.
  absl::Span<uint8_t> Append(uint64_t stream, size_t size);
  // Moves the frames of `from` behind ours, in time that does not depend on their size where we
  // have none.
  void Take(FrameBatch& from);
  // Views of all frames, until the batch changes.
  void View(std::vector<ReceivedFrame>& views) const;
  // Forgets the frames; keeps the memory unless it is large.
  void Clear();

 private:
  struct Entry {
    uint64_t stream;
    size_t offset;
    size_t size;
  };
  uint8_t* Extend(size_t size);

  std::unique_ptr<uint8_t[]> memory_;
  size_t capacity_ = 0;
  size_t size_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_INPROC_FRAME_BATCH_H_
