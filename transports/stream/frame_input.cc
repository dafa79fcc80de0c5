#include "transports/stream/frame_input.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "transports/stream/framing.h"

namespace anywire {
namespace {

// A shorter beginning of a frame is copied in front of what comes next; a longer one is completed
// where it is.
constexpr size_t kCopyBelow = 2048;
constexpr size_t kSmallestLongSpill = 8192;
// So much spill may stay with a connection that has no unfinished frame.
constexpr size_t kKeepSpill = 256;

static_assert(kMaxFrameSize + kMaxFrameHeaderSize <= InputBlock::kSize);

}  // namespace

bool FrameInput::CompletesInSpill() const { return spill_size_ >= kCopyBelow; }

absl::Span<const iovec> FrameInput::Prepare() {
  Release();
  block_ = BorrowInputBlock();
  if (!CompletesInSpill()) {
    if (spill_size_ != 0) std::memcpy(block_->bytes, spill_.get(), spill_size_);
    pieces_[0] = {block_->bytes + spill_size_, InputBlock::kSize - spill_size_};
    return absl::MakeConstSpan(pieces_, 1);
  }
  ReserveSpill(std::min(spill_goal_, std::max(2 * spill_size_, kSmallestLongSpill)));
  pieces_[0] = {spill_.get() + spill_size_, std::min(spill_capacity_, spill_goal_) - spill_size_};
  pieces_[1] = {block_->bytes, InputBlock::kSize};
  return absl::MakeConstSpan(pieces_, 2);
}

void FrameInput::Commit(size_t size) {
  if (!CompletesInSpill()) {
    Decode(0, std::exchange(spill_size_, 0) + size);
    return;
  }
  const size_t in_spill = std::min(size, pieces_[0].iov_len);
  spill_size_ += in_spill;
  const size_t in_block = size - in_spill;
  // The room beside the spill was not enough, and the frame went on in the block.
  const size_t more = std::min(in_block, spill_goal_ - spill_size_);
  if (more != 0) {
    ReserveSpill(spill_size_ + more);
    std::memcpy(spill_.get() + spill_size_, block_->bytes, more);
    spill_size_ += more;
  }
  if (spill_size_ < spill_goal_) return;
  FrameHeader header;
  const char* why;
  ParseFrameHeader({spill_.get(), spill_size_}, max_frame_size_, &header, &why);
  block_->frames.push_back(
      {header.stream, absl::MakeConstSpan(spill_.get() + header.header_size, header.body_size)});
  spill_is_frame_ = true;
  Decode(more, in_block);
}

void FrameInput::Decode(size_t begin, size_t end) {
  const uint8_t* const bytes = block_->bytes;
  while (begin != end) {
    FrameHeader header;
    const absl::Span<const uint8_t> left = absl::MakeConstSpan(bytes + begin, end - begin);
    switch (ParseFrameHeader(left, max_frame_size_, &header, &error_)) {
      case HeaderState::kBad:
        return;
      case HeaderState::kIncomplete:
        rest_begin_ = begin;
        rest_end_ = end;
        return;
      case HeaderState::kComplete:
        break;
    }
    if (header.body_size > left.size() - header.header_size) {
      rest_begin_ = begin;
      rest_end_ = end;
      return;
    }
    block_->frames.push_back({header.stream, left.subspan(header.header_size, header.body_size)});
    begin += header.header_size + header.body_size;
  }
}

absl::Span<const ReceivedFrame> FrameInput::frames() const {
  if (block_ == nullptr) return {};
  return block_->frames;
}

void FrameInput::KeepRest() {
  if (spill_is_frame_) {
    spill_is_frame_ = false;
    spill_size_ = 0;
  }
  const size_t rest = rest_end_ - rest_begin_;
  if (rest != 0) {
    const uint8_t* const begin = block_->bytes + rest_begin_;
    if (spill_capacity_ > std::max(2 * rest, kKeepSpill)) DropSpill();
    ReserveSpill(std::max<size_t>(rest, 64));
    std::memcpy(spill_.get(), begin, rest);
    spill_size_ = rest;
    FrameHeader header;
    const char* why;
    const bool known = ParseFrameHeader({spill_.get(), rest}, max_frame_size_, &header, &why) ==
                       HeaderState::kComplete;
    spill_goal_ = known ? header.header_size + header.body_size : 0;
    rest_begin_ = rest_end_ = 0;
  } else if (spill_size_ == 0 && spill_capacity_ > kKeepSpill) {
    DropSpill();
  }
}

void FrameInput::DropSpill() {
  spill_.reset();
  spill_capacity_ = 0;
}

void FrameInput::ReserveSpill(size_t capacity) {
  if (capacity <= spill_capacity_) return;
  auto larger = std::make_unique_for_overwrite<uint8_t[]>(capacity);
  if (spill_size_ != 0) std::memcpy(larger.get(), spill_.get(), spill_size_);
  spill_ = std::move(larger);
  spill_capacity_ = capacity;
}

}  // namespace anywire
