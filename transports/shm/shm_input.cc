#include "transports/shm/shm_input.h"

#include <algorithm>
#include <cstring>

#include "transports/shm/shm_options.h"

namespace anywire {
namespace {

// Bytes of the ring that are taken at a time, so that the peer gets room while they are dealt with,
// and no peer keeps a thread for long. A multiple of nothing: the last frame may go beyond it.
constexpr uint64_t kBatch = 64 << 10;

static_assert(kBatch <= IoBlock::kSize);

}  // namespace

void ShmInput::Close() {
  if (closed_) return;
  const uint64_t available = consumer_.Available();
  closed_ = true;
  end_ = consumer_.position() + (available == consumer_.kBroken ? 0 : available);
}

absl::Span<const ReceivedFrame> ShmInput::TakeFrom(uint64_t available) {
  if (error_ != nullptr) return {};
  block_ = BorrowIoBlock();
  if (available == consumer_.kBroken) return Bad("the peer's index is out of range");
  uint64_t copied = 0;
  for (uint64_t taken = 0; taken < std::min(available, kBatch);) {
    const uint64_t left = available - taken;
    const uint64_t offset = consumer_.position() & mask_;
    if (left < kShmFrameHeaderSize) return Bad("a frame's header is cut off");
    const ShmFrameHeader header = ReadShmFrameHeader(ring_ + offset);
    uint64_t size;
    switch (header.kind) {
      case ShmFrameHeader::kFrame: {
        size = ShmFrameSize(header.size);
        if (header.size == 0 || header.size > max_frame_size_ || size > left) {
          return Bad("a frame's size is out of range");
        }
        const uint8_t* body = ring_ + offset + kShmFrameHeaderSize;
        if (!in_place_ || header.size <= kCopiedFrameSize) {
          if (copied + header.size > IoBlock::kSize) return block_->frames;
          uint8_t* const copy = block_->bytes + copied;
          std::memcpy(copy, body, header.size);
          copied += size - kShmFrameHeaderSize;
          body = copy;
        }
        block_->frames.push_back({header.stream, absl::MakeConstSpan(body, header.size)});
        break;
      }
      case ShmFrameHeader::kRewind:
        size = mask_ + 1 - offset;
        if (size > left) return Bad("a frame's size is out of range");
        break;
      default:
        return Bad("a frame of an unknown kind");
    }
    consumer_.Consume(size);
    taken += size;
  }
  return block_->frames;
}

}  // namespace anywire
