#include "transports/udp/reliability/chunk.h"

#include <algorithm>
#include <cstring>

namespace anywire::udp {
namespace {

using wire::VarintSize;
using wire::WriteVarint;

constexpr char kCutShort[] = "a chunk is cut short or has a varint that is not in shortest form";
constexpr char kBelowZero[] = "an acknowledgement goes below packet 0";
constexpr uint8_t kFrameFlags = kFrameFollows | kFramePart;

}  // namespace

bool ChunkReader::Next() {
  if (reader_.done()) return false;
  uint8_t first = 0;
  reader_.ReadByte(&first);
  if ((first & ~kFrameFlags) == static_cast<uint8_t>(ChunkKind::kFrame)) {
    return ReadFrame(first & kFrameFlags);
  }
  kind_ = static_cast<ChunkKind>(first);
  switch (kind_) {
    case ChunkKind::kPadding:
      reader_.Rest();
      return true;
    case ChunkKind::kPing:
      return true;
    case ChunkKind::kAck:
      return ReadAck();
    case ChunkKind::kMaxData:
    case ChunkKind::kClose:
      return reader_.ReadVarint(&value_) || Fail(kCutShort);
    case ChunkKind::kAbort:
      return ReadAbort();
    case ChunkKind::kFrame:
      break;  // above
  }
  return Fail("a chunk is of an unknown kind");
}

bool ChunkReader::ReadAck() {
  uint64_t largest, more, first;
  if (!reader_.ReadVarint(&largest) || !reader_.ReadVarint(&ack_.delay_us) ||
      !reader_.ReadVarint(&more) || !reader_.ReadVarint(&first)) {
    return Fail(kCutShort);
  }
  if (more >= kMaxAckRanges) return Fail("an acknowledgement has too many ranges");
  if (first > largest || largest == UINT64_MAX) return Fail(kBelowZero);
  ack_.ranges[0] = {largest - first, largest + 1};
  ack_.count = 1;
  for (; ack_.count <= more; ++ack_.count) {
    uint64_t gap, length;
    if (!reader_.ReadVarint(&gap) || !reader_.ReadVarint(&length)) return Fail(kCutShort);
    // The gap's packets and the range's, each one more than what is written.
    const uint64_t above = ack_.ranges[ack_.count - 1].begin;
    if (gap >= above || length >= above - gap - 1) return Fail(kBelowZero);
    const uint64_t end = above - gap - 1;
    ack_.ranges[ack_.count] = {end - length - 1, end};
  }
  return true;
}

bool ChunkReader::ReadFrame(uint8_t flags) {
  kind_ = ChunkKind::kFrame;
  frame_ = {};
  if (!reader_.ReadVarint(&frame_.id) || !reader_.ReadVarint(&frame_.stream)) {
    return Fail(kCutShort);
  }
  if (frame_.id == 0) return Fail("a frame has number 0");
  if ((flags & kFrameFollows) != 0) {
    if (!reader_.ReadVarint(&frame_.after)) return Fail(kCutShort);
    if (frame_.after == 0 || frame_.after >= frame_.id) {
      return Fail("a frame follows one that cannot be");
    }
  }
  const bool is_part = (flags & kFramePart) != 0;
  if (is_part && (!reader_.ReadVarint(&frame_.offset) || !reader_.ReadVarint(&frame_.frame_size))) {
    return Fail(kCutShort);
  }
  absl::string_view bytes;
  if (!reader_.ReadString(&bytes)) return Fail(kCutShort);
  if (bytes.empty()) return Fail("a frame or a part of one is empty");
  frame_.bytes = {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  if (!is_part) frame_.frame_size = bytes.size();
  if (frame_.offset > frame_.frame_size || bytes.size() > frame_.frame_size - frame_.offset) {
    return Fail("a part of a frame goes beyond its end");
  }
  return true;
}

bool ChunkReader::ReadAbort() {
  if (!reader_.ReadByte(&abort_.code) || !reader_.ReadString(&abort_.text)) {
    return Fail(kCutShort);
  }
  if (abort_.code == 0 || abort_.code > 16) return Fail("an abort has no such code");
  if (abort_.text.size() > kMaxAbortText) return Fail("an abort has too long a text");
  return true;
}

bool ChunkWriter::Ping() {
  if (left() < 1) return false;
  *at_++ = static_cast<uint8_t>(ChunkKind::kPing);
  return true;
}

bool ChunkWriter::Number(ChunkKind kind, uint64_t value) {
  if (left() < 1 + VarintSize(value)) return false;
  *at_++ = static_cast<uint8_t>(kind);
  at_ = WriteVarint(value, at_);
  return true;
}

bool ChunkWriter::Ack(const IntervalSet& packets, size_t max_ranges, uint64_t not_below,
                      uint64_t delay_us) {
  const size_t count = packets.count();
  const uint64_t largest = packets.back().end - 1;
  // First how many fit, since their number comes before them; it takes one byte.
  size_t need =
      1 + VarintSize(largest) + VarintSize(delay_us) + 1 + VarintSize(packets.back().size() - 1);
  if (need > left()) return false;
  size_t more = 0;
  for (size_t i = count - 1; i > 0 && more + 1 < max_ranges; --i, ++more) {
    const Interval& range = packets[i - 1];
    if (range.end <= not_below) break;
    need += VarintSize(packets[i].begin - range.end - 1) + VarintSize(range.size() - 1);
    if (need > left()) break;
  }
  *at_++ = static_cast<uint8_t>(ChunkKind::kAck);
  at_ = WriteVarint(largest, at_);
  at_ = WriteVarint(delay_us, at_);
  at_ = WriteVarint(more, at_);
  at_ = WriteVarint(packets.back().size() - 1, at_);
  for (size_t i = count - 1; more > 0; --i, --more) {
    at_ = WriteVarint(packets[i].begin - packets[i - 1].end - 1, at_);
    at_ = WriteVarint(packets[i - 1].size() - 1, at_);
  }
  return true;
}

bool ChunkWriter::Abort(uint8_t code, absl::string_view text) {
  if (left() < 2 + wire::StringSize(text)) return false;
  *at_++ = static_cast<uint8_t>(ChunkKind::kAbort);
  *at_++ = code;
  at_ = wire::WriteString(text, at_);
  return true;
}

size_t ChunkWriter::FrameOverhead(const FrameChunk& chunk, size_t size) {
  size_t result = 1 + VarintSize(chunk.id) + VarintSize(chunk.stream) + VarintSize(size);
  if (chunk.after != 0) result += VarintSize(chunk.after);
  if (size != chunk.frame_size) result += VarintSize(chunk.offset) + VarintSize(chunk.frame_size);
  return result;
}

bool ChunkWriter::Frame(const FrameChunk& chunk) {
  uint8_t* const to = FrameOf(chunk, chunk.bytes.size());
  if (to == nullptr) return false;
  std::memcpy(to, chunk.bytes.data(), chunk.bytes.size());
  return true;
}

uint8_t* ChunkWriter::FrameOf(const FrameChunk& chunk, size_t size) {
  if (left() < FrameOverhead(chunk, size) + size) return nullptr;
  const bool is_part = size != chunk.frame_size;
  *at_++ = static_cast<uint8_t>(ChunkKind::kFrame) | (chunk.after != 0 ? kFrameFollows : 0) |
           (is_part ? kFramePart : 0);
  at_ = WriteVarint(chunk.id, at_);
  at_ = WriteVarint(chunk.stream, at_);
  if (chunk.after != 0) at_ = WriteVarint(chunk.after, at_);
  if (is_part) at_ = WriteVarint(chunk.frame_size, WriteVarint(chunk.offset, at_));
  uint8_t* const to = WriteVarint(size, at_);
  at_ = to + size;
  return to;
}

void ChunkWriter::Padding() {
  std::fill(at_, end_, static_cast<uint8_t>(ChunkKind::kPadding));
  at_ = end_;
}

}  // namespace anywire::udp
