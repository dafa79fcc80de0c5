#include "transports/stream/preface.h"

#include <algorithm>

namespace anywire {

StreamProtocol DecideProtocol(absl::Span<const uint8_t> first_bytes) {
  const size_t known = std::min(first_bytes.size(), kPrefaceSize);
  const auto begins = [first_bytes, known](const uint8_t(&preface)[kPrefaceSize]) {
    return std::equal(preface, preface + known, first_bytes.begin());
  };
  const bool anywire = begins(kPreface), shm = begins(kShmPreface);
  if (!anywire && !shm) return StreamProtocol::kUnknown;
  if (known < kPrefaceSize) return StreamProtocol::kUndecided;
  return anywire ? StreamProtocol::kAnywire : StreamProtocol::kShm;
}

}  // namespace anywire
