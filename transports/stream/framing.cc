#include "transports/stream/framing.h"

namespace anywire {
namespace {

size_t VarintSize(uint64_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

uint8_t* WriteVarint(uint64_t value, uint8_t* to) {
  for (; value >= 0x80; value >>= 7) *to++ = static_cast<uint8_t>(value) | 0x80;
  *to++ = static_cast<uint8_t>(value);
  return to;
}

// Reads a varint at `*position` and moves it behind.
HeaderState ParseVarint(absl::Span<const uint8_t> bytes, size_t* position, uint64_t* value) {
  uint64_t result = 0;
  for (int shift = 0;; shift += 7) {
    if (*position == bytes.size()) return HeaderState::kIncomplete;
    const uint8_t byte = bytes[(*position)++];
    if (shift == 63 && byte > 1) return HeaderState::kBad;  // more than 64 bits
    if (shift > 0 && byte == 0) return HeaderState::kBad;   // longer than it need be
    result |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  *value = result;
  return HeaderState::kComplete;
}

}  // namespace

size_t FrameHeaderSize(uint64_t stream, size_t body_size) {
  return VarintSize(body_size) + VarintSize(stream);
}

uint8_t* WriteFrameHeader(uint64_t stream, size_t body_size, uint8_t* to) {
  return WriteVarint(stream, WriteVarint(body_size, to));
}

HeaderState ParseLongFrameHeader(absl::Span<const uint8_t> bytes, size_t max_frame_size,
                                 FrameHeader* header, const char** why) {
  size_t position = 0;
  uint64_t body_size = 0;
  HeaderState state = ParseVarint(bytes, &position, &body_size);
  if (state == HeaderState::kBad) *why = "the length of a frame is no shortest varint of 64 bits";
  if (state != HeaderState::kComplete) return state;
  if (body_size == 0 || body_size > max_frame_size) {
    *why = body_size == 0 ? "a frame is empty" : "a frame is longer than allowed";
    return HeaderState::kBad;
  }
  state = ParseVarint(bytes, &position, &header->stream);
  if (state == HeaderState::kBad) *why = "the stream of a frame is no shortest varint of 64 bits";
  if (state != HeaderState::kComplete) return state;
  header->body_size = static_cast<size_t>(body_size);
  header->header_size = position;
  return HeaderState::kComplete;
}

}  // namespace anywire
