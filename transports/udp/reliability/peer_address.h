// Where a packet came from, as bytes that only the transport understands (family, address, port,
// scope): equal bytes are the same place.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PEER_ADDRESS_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PEER_ADDRESS_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace anywire::udp {

struct PeerAddress {
  static constexpr size_t kSize = 24;
  std::array<uint8_t, kSize> bytes{};

  friend bool operator==(const PeerAddress&, const PeerAddress&) = default;
  template <typename H>
  friend H AbslHashValue(H hash, const PeerAddress& address) {
    return H::combine(std::move(hash), address.bytes);
  }
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PEER_ADDRESS_H_
