// Where a packet came from, as bytes that only the transport understands: equal bytes are the same
// place. The first kHostSize of them are the host (family, address, scope), the others the port.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PEER_ADDRESS_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PEER_ADDRESS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace anywire::udp {

struct PeerAddress {
  static constexpr size_t kSize = 24;
  static constexpr size_t kHostSize = 22;
  using Host = std::array<uint8_t, kHostSize>;

  std::array<uint8_t, kSize> bytes{};

  Host host() const {
    Host result;
    std::copy_n(bytes.begin(), kHostSize, result.begin());
    return result;
  }

  friend bool operator==(const PeerAddress&, const PeerAddress&) = default;
  template <typename H>
  friend H AbslHashValue(H hash, const PeerAddress& address) {
    return H::combine(std::move(hash), address.bytes);
  }
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PEER_ADDRESS_H_
