#include "transports/stream/preface.h"

#include <algorithm>

namespace anywire {

StreamProtocol DecideProtocol(absl::Span<const uint8_t> first_bytes) {
  const size_t known = std::min(first_bytes.size(), kPrefaceSize);
  if (!std::equal(first_bytes.begin(), first_bytes.begin() + known, kPreface)) {
    return StreamProtocol::kUnknown;
  }
  return known == kPrefaceSize ? StreamProtocol::kAnywire : StreamProtocol::kUndecided;
}

}  // namespace anywire
