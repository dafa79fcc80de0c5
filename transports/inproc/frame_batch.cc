#include "transports/inproc/frame_batch.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace anywire {
namespace {

// A sender of tiny frames makes the list of them long; that is not kept.
constexpr size_t kFramesToKeep = 64;

}  // namespace

absl::Span<uint8_t> FrameBatch::Append(uint64_t stream, size_t size) {
  if (size > IoBlock::kSize) {
    MessageMemory memory = NewMessageMemory(size);
    uint8_t* const bytes = memory.get();
    Append(stream, std::move(memory), 0, size);
    return absl::MakeSpan(bytes, size);
  }
  if (Room() < size) {
    // A few small frames, or the first of many.
    chunks_.emplace_back(chunks_.empty() ? size : IoBlock::kSize);
    used_ = 0;
  }
  uint8_t* const bytes = chunks_.back().data() + used_;
  used_ += size;
  bytes_ += size;
  frames_.push_back({stream, absl::MakeConstSpan(bytes, size)});
  return absl::MakeSpan(bytes, size);
}

void FrameBatch::Append(uint64_t stream, MessageMemory memory, size_t offset, size_t size) {
  if (large_ == nullptr) large_ = std::make_unique<std::vector<MessageMemory>>();
  bytes_ += size;
  frames_.push_back({stream, absl::MakeConstSpan(memory.get() + offset, size)});
  large_->push_back(std::move(memory));
}

void FrameBatch::Take(FrameBatch& from) {
  if (empty()) {
    chunks_.swap(from.chunks_);
    large_.swap(from.large_);
    frames_.swap(from.frames_);
    std::swap(used_, from.used_);
    std::swap(bytes_, from.bytes_);
  } else {
    if (from.bytes_ <= Room()) {
      for (const ReceivedFrame& frame : from.frames_) {
        const absl::Span<uint8_t> bytes = Append(frame.stream, frame.bytes.size());
        std::copy(frame.bytes.begin(), frame.bytes.end(), bytes.begin());
      }
    } else {
      if (!from.chunks_.empty()) {
        std::move(from.chunks_.begin(), from.chunks_.end(), std::back_inserter(chunks_));
        used_ = from.used_;
      }
      if (large_ == nullptr) {
        large_ = std::move(from.large_);
      } else if (from.large_ != nullptr) {
        std::move(from.large_->begin(), from.large_->end(), std::back_inserter(*large_));
      }
      bytes_ += from.bytes_;
      frames_.insert(frames_.end(), from.frames_.begin(), from.frames_.end());
    }
  }
  from.Clear();
}

size_t FrameBatch::held() const {
  size_t result = 0;
  for (const BorrowedBytes& chunk : chunks_) result += chunk.capacity();
  if (large_ != nullptr) {
    for (const MessageMemory& memory : *large_) result += memory.get_deleter().capacity;
  }
  return result;
}

void FrameBatch::Clear() {
  frames_.clear();
  if (frames_.capacity() > kFramesToKeep) std::vector<ReceivedFrame>().swap(frames_);
  chunks_.clear();
  large_ = nullptr;
  used_ = bytes_ = 0;
}

}  // namespace anywire
