// The check that every packet ends with: CRC32C (RFC 3720, appendix B.4).
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CRC32C_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CRC32C_H_

#include <cstdint>

#include "absl/types/span.h"

namespace anywire::udp {

// With the processor's instruction where it has one.
uint32_t Crc32c(absl::Span<const uint8_t> bytes);

// By tables, eight bytes a step; the same value on any processor.
uint32_t Crc32cPortable(absl::Span<const uint8_t> bytes);

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CRC32C_H_
