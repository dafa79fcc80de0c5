#include "transports/stream/frame_output.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/macros.h"
#include "transports/stream/framing.h"

namespace anywire {

absl::Span<uint8_t> FrameOutput::NewFrame(uint64_t stream, size_t size) {
  ABSL_HARDENING_ASSERT(size >= 1 && size <= max_frame_size_);
  const size_t need = FrameHeaderSize(stream, size) + size;
  if (!HasRoom(need) && !MakeRoom(need)) return {};
  Chunk& chunk = ChunkFor(need);
  uint8_t* const body = WriteFrameHeader(stream, size, chunk.data() + chunk.filled);
  chunk.filled += need;
  unpublished_ += need;
  return absl::MakeSpan(body, size);
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
  filling_.clear();
}

ABSL_ATTRIBUTE_NOINLINE void FrameOutput::DropUnpublished() {
  filling_.clear();
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
    pieces[count++] = {chunk.data() + chunk.sent, chunk.filled - chunk.sent};
  }
  return count;
}

bool FrameOutput::Consume(size_t size, bool blocked) {
  if (blocked) blocked_.store(true, std::memory_order_release);
  const size_t left = unsent_.load(std::memory_order_relaxed) - size;
  if (left == 0) {
    sending_.clear();
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
  sending_.clear();
  failed_.store(true, std::memory_order_release);
  Unblock();
}

size_t FrameOutput::held() const {
  size_t result = 0;
  for (const Chunk& chunk : filling_) result += chunk.capacity();
  for (const Chunk& chunk : sending_) result += chunk.capacity();
  return result;
}

FrameOutput::Chunk& FrameOutput::ChunkFor(size_t size) {
  if (!filling_.empty() && filling_.back().capacity() - filling_.back().filled >= size) {
    return filling_.back();
  }
  // Small frames in a row, or the first of many.
  return filling_.emplace_back(filling_.empty() ? size : IoBlock::kSize);
}

}  // namespace anywire
