#include "transports/stream/frame_output.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/macros.h"
#include "absl/base/optimization.h"
#include "transports/stream/framing.h"

namespace anywire {

absl::Span<uint8_t> FrameOutput::NewFrame(uint64_t stream, size_t size) {
  ABSL_HARDENING_ASSERT(size >= 1 && size <= max_frame_size_);
  const size_t need = FrameHeaderSize(stream, size) + size;
  if (!HasRoom(need) && !MakeRoom(need)) return {};
  Chunk& chunk = ChunkFor(need);
  uint8_t* const body = WriteFrameHeader(stream, size, chunk.memory.data() + chunk.filled);
  chunk.filled += need;
  unpublished_ += need;
  return absl::MakeSpan(body, size);
}

bool FrameOutput::AddPiece(uint64_t stream, absl::Span<const uint8_t> head,
                           const SharedMessageMemory& memory, size_t offset, size_t size) {
  if (size < kLeastShared) {
    return WriteFrame(*this, stream, head, absl::MakeConstSpan(memory.get() + offset, size));
  }
  const size_t frame_size = head.size() + size;
  ABSL_HARDENING_ASSERT(frame_size <= max_frame_size_);
  const size_t before = FrameHeaderSize(stream, frame_size) + head.size();
  if (!HasRoom(before + size) && !MakeRoom(before + size)) return false;
  Chunk& chunk = !filling_.empty() && filling_.back().room() >= before
                     ? filling_.back()
                     : filling_.emplace_back(before);
  uint8_t* const to = WriteFrameHeader(stream, frame_size, chunk.memory.data() + chunk.filled);
  std::memcpy(to, head.data(), head.size());
  chunk.filled += before;
  filling_.emplace_back(memory, offset, size);
  unpublished_ += before + size;
  return true;
}

bool FrameOutput::MakeRoom(size_t size) {
  if (failed_.load(std::memory_order_acquire)) {
    DropUnpublished();
    return true;
  }
  // The sender looks at refused_ after it has taken away what it sent, and this looks again after
  // it has set it: one of the two sees what the other has done.
  refused_.store(true);
  if (!HasRoom(size)) return false;
  refused_.store(false);
  return true;
}

bool FrameOutput::Publish() {
  if (failed_.load(std::memory_order_acquire)) {
    DropUnpublished();
    return true;  // so that Transmit is called, and tells
  }
  // While sending is blocked, what comes gathers in as few chunks as will hold it.
  if (blocked_.load(std::memory_order_acquire)) return false;
  const size_t before = unsent_.load(std::memory_order_relaxed);
  if (unpublished_ == 0) return before != 0;
  if (before == 0) {
    filling_.swap(sending_);
  } else {
    AppendToSending();
  }
  unsent_.store(before + std::exchange(unpublished_, 0), std::memory_order_relaxed);
  return true;
}

ABSL_ATTRIBUTE_NOINLINE void FrameOutput::AppendToSending() {
  std::move(filling_.begin(), filling_.end(), std::back_inserter(sending_));
  Empty(filling_);
}

ABSL_ATTRIBUTE_NOINLINE void FrameOutput::DropUnpublished() {
  Empty(filling_);
  unpublished_ = 0;
}

size_t FrameOutput::Gather(iovec (&pieces)[kMaxPieces]) const {
  if (unsent_.load(std::memory_order_relaxed) == 0 || blocked_.load(std::memory_order_acquire) ||
      failed_.load(std::memory_order_relaxed)) {
    return 0;
  }
  size_t count = 0;
  for (const Chunk& chunk : sending_) {
    if (count == kMaxPieces) break;
    pieces[count++] = {const_cast<uint8_t*>(chunk.data()) + chunk.sent, chunk.filled - chunk.sent};
  }
  return count;
}

bool FrameOutput::Consume(size_t size, bool blocked) {
  if (blocked) blocked_.store(true, std::memory_order_release);
  const size_t left = unsent_.load(std::memory_order_relaxed) - size;
  if (left == 0) {
    Empty(sending_);
  } else {
    DropSent(size);
  }
  unsent_.store(left);
  return left <= max_unsent_ / 2 && refused_.load() && refused_.exchange(false);
}

ABSL_ATTRIBUTE_NOINLINE void FrameOutput::DropSent(size_t size) {
  auto chunk = sending_.begin();
  for (; chunk != sending_.end(); ++chunk) {
    const size_t here = std::min(size, chunk->filled - chunk->sent);
    chunk->sent += here;
    size -= here;
    if (chunk->sent != chunk->filled) break;
  }
  sending_.erase(sending_.begin(), chunk);
}

void FrameOutput::Fail() {
  Empty(sending_);
  failed_.store(true, std::memory_order_release);
  Unblock();
}

size_t FrameOutput::held() const {
  size_t result = 0;
  for (const std::vector<Chunk>* row : {&filling_, &sending_}) {
    for (const Chunk& chunk : *row) result += chunk.capacity();
    if (row->capacity() > kKeptRow) result += row->capacity() * sizeof(Chunk);
  }
  return result;
}

void FrameOutput::Empty(std::vector<Chunk>& row) {
  row.clear();
  if (ABSL_PREDICT_FALSE(row.capacity() > kKeptRow)) std::vector<Chunk>().swap(row);
}

FrameOutput::Chunk& FrameOutput::ChunkFor(size_t size) {
  if (!filling_.empty() && filling_.back().room() >= size) {
    return filling_.back();
  }
  // Small frames in a row have room for many; the first, and one between pieces, have their own.
  const bool alone = filling_.empty() || filling_.back().shared != nullptr;
  return filling_.emplace_back(alone ? size : IoBlock::kSize);
}

}  // namespace anywire
