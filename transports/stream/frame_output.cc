#include "transports/stream/frame_output.h"

#include <algorithm>
#include <utility>

#include "absl/base/macros.h"
#include "transports/stream/framing.h"

namespace anywire {

absl::Span<uint8_t> FrameOutput::NewFrame(uint64_t stream, size_t size) {
  ABSL_HARDENING_ASSERT(size >= 1 && size <= max_frame_size_);
  const size_t need = FrameHeaderSize(stream, size) + size;
  MutexLock lock(&mutex_);
  if (failed_ && unsent_ != 0) {
    // Nobody looks at these any more.
    for (Chunk& chunk : chunks_) Drop(chunk);
    chunks_.clear();
    unsent_ = 0;
  }
  if (unsent_ != 0 && need > max_unsent_ - std::min(unsent_, max_unsent_)) {
    refused_ = true;
    return {};
  }
  Chunk& chunk = ChunkFor(need);
  uint8_t* const body = WriteFrameHeader(stream, size, chunk.data() + chunk.filled);
  chunk.filled += need;
  unsent_ += need;
  return absl::MakeSpan(body, size);
}

bool FrameOutput::Publish() {
  MutexLock lock(&mutex_);
  for (auto chunk = chunks_.rbegin(); chunk != chunks_.rend(); ++chunk) {
    if (chunk->published == chunk->filled) break;
    chunk->published = chunk->filled;
  }
  return unsent_ != 0 && !blocked_;
}

size_t FrameOutput::Gather(iovec (&pieces)[kMaxPieces]) {
  MutexLock lock(&mutex_);
  if (blocked_ || failed_) return 0;
  size_t count = 0;
  for (const Chunk& chunk : chunks_) {
    if (count == kMaxPieces) break;
    if (chunk.sent == chunk.published) continue;
    pieces[count++] = {chunk.data() + chunk.sent, chunk.published - chunk.sent};
  }
  return count;
}

bool FrameOutput::Consume(size_t size, bool blocked) {
  MutexLock lock(&mutex_);
  if (failed_) return false;
  blocked_ = blocked;
  unsent_ -= size;
  Chunk& last = chunks_.back();
  if (unsent_ == 0 && chunks_.size() == 1 && last.small != nullptr) {
    // The usual case: all is sent, and the same bytes are used again.
    last.sent = last.published = last.filled = 0;
  } else {
    DropSent(size);
  }
  return unsent_ <= max_unsent_ / 2 && std::exchange(refused_, false);
}

void FrameOutput::DropSent(size_t size) {
  auto chunk = chunks_.begin();
  for (; chunk != chunks_.end(); ++chunk) {
    const size_t here = std::min(size, chunk->published - chunk->sent);
    chunk->sent += here;
    size -= here;
    if (chunk->sent != chunk->filled) break;
    Drop(*chunk);
  }
  chunks_.erase(chunks_.begin(), chunk);
}

void FrameOutput::Unblock() {
  MutexLock lock(&mutex_);
  blocked_ = false;
}

void FrameOutput::Fail() {
  MutexLock lock(&mutex_);
  failed_ = true;
  blocked_ = false;
}

size_t FrameOutput::held() const {
  MutexLock lock(&mutex_);
  size_t result = spare_ != nullptr ? kSmallChunk : 0;
  for (const Chunk& chunk : chunks_) result += chunk.capacity();
  return result;
}

FrameOutput::Chunk& FrameOutput::ChunkFor(size_t size) {
  if (!chunks_.empty() && chunks_.back().capacity() - chunks_.back().filled >= size) {
    return chunks_.back();
  }
  Chunk chunk;
  if (chunks_.empty() && size <= kSmallChunk) {
    chunk.small = spare_ != nullptr ? std::move(spare_)
                                    : std::make_unique_for_overwrite<uint8_t[]>(kSmallChunk);
  } else {
    chunk.block = BorrowIoBlock();
  }
  chunks_.push_back(std::move(chunk));
  return chunks_.back();
}

void FrameOutput::Drop(Chunk& chunk) {
  if (chunk.small != nullptr) spare_ = std::move(chunk.small);
  chunk.block.reset();
}

}  // namespace anywire
