// The check that every packet ends with: CRC32C (RFC 3720, appendix B.4).
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CRC32C_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CRC32C_H_

#include <cstdint>

#include "absl/types/span.h"

namespace anywire::udp {

// In the fastest way that the processor knows.
uint32_t Crc32c(absl::Span<const uint8_t> bytes);

// All ways that it knows, the fastest first; they give the same. The last is by tables and serves
// any processor.
using Crc32cFunction = uint32_t (*)(absl::Span<const uint8_t> bytes);
absl::Span<const Crc32cFunction> Crc32cFunctions();

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CRC32C_H_
