// Headers of frames in a byte stream; PROTOCOL.md has the format. Pure functions.
#ifndef ANYWIRE_TRANSPORTS_STREAM_FRAMING_H_
#define ANYWIRE_TRANSPORTS_STREAM_FRAMING_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/types/span.h"

namespace anywire {

// The largest body that the format allows. A connection may be stricter.
inline constexpr size_t kMaxFrameSize = 64 << 10;
// 3 bytes of length and 10 of stream.
inline constexpr size_t kMaxFrameHeaderSize = 13;

struct FrameHeader {
  uint64_t stream = 0;
  size_t body_size = 0;
  size_t header_size = 0;
};

size_t FrameHeaderSize(uint64_t stream, size_t body_size);
// Writes FrameHeaderSize bytes at `to` and returns the end of them.
uint8_t* WriteFrameHeader(uint64_t stream, size_t body_size, uint8_t* to);

enum class HeaderState {
  kComplete,
  kIncomplete,  // all is well so far
  kBad,         // no frame begins like this
};
ABSL_ATTRIBUTE_NOINLINE HeaderState ParseLongFrameHeader(absl::Span<const uint8_t> bytes,
                                                         size_t max_frame_size, FrameHeader* header,
                                                         const char** why);

// Reads the header at the beginning of `bytes`. For kBad, `*why` says what is wrong.
inline HeaderState ParseFrameHeader(absl::Span<const uint8_t> bytes, size_t max_frame_size,
                                    FrameHeader* header, const char** why) {
  // A small call's: a byte for the length and one for the stream.
  constexpr size_t kLongest = 0x7f;
  if (bytes.size() >= 2 && bytes[0] != 0 && bytes[0] <= std::min(max_frame_size, kLongest) &&
      bytes[1] <= kLongest) {
    *header = {.stream = bytes[1], .body_size = bytes[0], .header_size = 2};
    return HeaderState::kComplete;
  }
  return ParseLongFrameHeader(bytes, max_frame_size, header, why);
}

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_STREAM_FRAMING_H_
