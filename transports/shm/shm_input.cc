#include "transports/shm/shm_input.h"

#include <algorithm>
#include <cstring>

namespace anywire {
namespace {

// So many bytes of frames are taken at a time, and what is left of the last one: the peer gets room
// while they are dealt with, and keeps no thread for long.
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
  taken_ = true;
  if (available <= kLittle) {
    TakeLittle(available);
  } else if (available != consumer_.kBroken) {
    TakeMuch(available);
  } else {
    Bad("the peer's index is out of range");
  }
  return frames_;
}

uint64_t ShmInput::SizeOf(const ShmFrameHeader& header, uint64_t left) {
  if (header.kind > ShmFrameHeader::kRewind) {
    Bad("a frame of an unknown kind");
    return 0;
  }
  uint64_t size;
  if (header.kind == ShmFrameHeader::kFrame) {
    size = header.size == 0 || header.size > max_frame_size_ ? 0 : ShmFrameSize(header.size);
  } else {
    size = mask_ + 1 - (consumer_.position() & mask_);
    // Otherwise whoever takes frames could be kept busy for ever with none.
    if (rewound_ || size >= left) {
      Bad("a rewind without a frame behind it");
      return 0;
    }
  }
  if (size == 0 || size > left) {
    Bad("a frame's size is out of range");
    return 0;
  }
  return size;
}

void ShmInput::TakeLittle(uint64_t available) {
  std::memcpy(little_, ring_ + (consumer_.position() & mask_), available);
  for (uint64_t taken = 0; taken < available;) {
    if (available - taken < kShmFrameHeaderSize) return Bad("a frame's header is cut off");
    const ShmFrameHeader header = ReadShmFrameHeader(little_ + taken);
    const uint64_t size = SizeOf(header, available - taken);
    if (size == 0) return;
    if (header.kind == ShmFrameHeader::kFrame) {
      frames_.push_back(
          {header.stream, absl::MakeConstSpan(little_ + taken + kShmFrameHeaderSize, header.size)});
    }
    rewound_ = header.kind == ShmFrameHeader::kRewind;
    consumer_.Consume(size);
    taken += size;
  }
}

uint8_t* ShmInput::PlaceOfCopy(size_t size, uint64_t copied) {
  if (size > IoBlock::kSize) {
    if (copied == 0) large_ = NewMessageMemory(size);
    return copied == 0 ? large_.get() : nullptr;
  }
  if (copied + size > IoBlock::kSize) return nullptr;
  if (block_ == nullptr) block_ = BorrowIoBlock();
  return block_->bytes + copied;
}

void ShmInput::TakeMuch(uint64_t available) {
  uint64_t copied = 0, in_batch = 0;
  for (uint64_t taken = 0; taken < available && in_batch < kBatch;) {
    if (available - taken < kShmFrameHeaderSize) return Bad("a frame's header is cut off");
    const uint8_t* const at = ring_ + (consumer_.position() & mask_);
    const ShmFrameHeader header = ReadShmFrameHeader(at);
    const uint64_t size = SizeOf(header, available - taken);
    if (size == 0) return;
    if (header.kind == ShmFrameHeader::kFrame) {
      const uint8_t* body = at + kShmFrameHeaderSize;
      if (!in_place_ || header.size <= kCopiedFrameSize) {
        uint8_t* const copy = PlaceOfCopy(header.size, copied);
        if (copy == nullptr) return;
        std::memcpy(copy, body, header.size);
        copied += size - kShmFrameHeaderSize;
        body = copy;
      }
      frames_.push_back({header.stream, absl::MakeConstSpan(body, header.size)});
      in_batch += size;
    }
    rewound_ = header.kind == ShmFrameHeader::kRewind;
    consumer_.Consume(size);
    taken += size;
  }
}

}  // namespace anywire
