// The one place that decides, from its first bytes, which protocol an accepted stream speaks.
#ifndef ANYWIRE_TRANSPORTS_STREAM_PREFACE_H_
#define ANYWIRE_TRANSPORTS_STREAM_PREFACE_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace anywire {

// What the connecting side sends first: a byte that begins neither text nor a TLS record, the name,
// and the version of the framing.
inline constexpr uint8_t kPreface[] = {0xAE, 'a', 'n', 'y', 'w', 'i', 'r', 0x01};
inline constexpr size_t kPrefaceSize = sizeof(kPreface);
// The same of a peer that wants shared memory; shm/PROTOCOL.md has what follows.
inline constexpr uint8_t kShmPreface[] = {0xAE, 'a', 'w', '-', 's', 'h', 'm', 0x01};
static_assert(sizeof(kShmPreface) == kPrefaceSize);

enum class StreamProtocol {
  kUndecided,  // more bytes are needed; never so with kPrefaceSize of them
  kAnywire,
  kShm,
  kUnknown,
};
StreamProtocol DecideProtocol(absl::Span<const uint8_t> first_bytes);

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_STREAM_PREFACE_H_
