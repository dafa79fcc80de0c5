#include "transports/inproc/frame_batch.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace anywire {
namespace {

constexpr size_t kSmallest = 1024;
constexpr size_t kKeep = 64 << 10;

}  // namespace

absl::Span<uint8_t> FrameBatch::Append(uint64_t stream, size_t size) {
  uint8_t* const bytes = Extend(size);
  entries_.push_back({stream, static_cast<size_t>(bytes - memory_.get()), size});
  return absl::MakeSpan(bytes, size);
}

void FrameBatch::Take(FrameBatch& from) {
  if (empty()) {
    std::swap(*this, from);
  } else {
    const size_t offset = size_;
    std::memcpy(Extend(from.size_), from.memory_.get(), from.size_);
    for (const Entry& entry : from.entries_) {
      entries_.push_back({entry.stream, offset + entry.offset, entry.size});
    }
  }
  from.Clear();
}

void FrameBatch::View(std::vector<ReceivedFrame>& views) const {
  views.clear();
  for (const Entry& entry : entries_) {
    views.push_back({entry.stream, absl::MakeConstSpan(memory_.get() + entry.offset, entry.size)});
  }
}

void FrameBatch::Clear() {
  entries_.clear();
  size_ = 0;
  if (capacity_ > kKeep) {
    memory_.reset();
    capacity_ = 0;
    entries_.shrink_to_fit();
  }
}

uint8_t* FrameBatch::Extend(size_t size) {
  if (capacity_ - size_ < size) {
    const size_t larger = std::max({kSmallest, 2 * capacity_, size_ + size});
    auto memory = std::make_unique_for_overwrite<uint8_t[]>(larger);
    if (size_ != 0) std::memcpy(memory.get(), memory_.get(), size_);
    memory_ = std::move(memory);
    capacity_ = larger;
  }
  uint8_t* const result = memory_.get() + size_;
  size_ += size;
  return result;
}

}  // namespace anywire
