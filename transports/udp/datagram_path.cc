#include "transports/udp/datagram_path.h"

#include <cstring>

namespace anywire::udp {
namespace {

const sockaddr_in& V4(const sockaddr_in6& address) {
  return reinterpret_cast<const sockaddr_in&>(address);
}

}  // namespace

SocketAddress DatagramPath::peer_address() const {
  SocketAddress address;
  std::memcpy(&address.storage, &peer, peer_size);
  address.size = peer_size;
  return address;
}

PeerAddress DatagramPath::peer_key() const {
  PeerAddress key;
  uint8_t* const to = key.bytes.data();
  to[0] = static_cast<uint8_t>(peer.sin6_family);
  if (peer.sin6_family == AF_INET) {
    std::memcpy(to + 2, &V4(peer).sin_addr, sizeof(in_addr));
  } else {
    std::memcpy(to + 2, &peer.sin6_addr, sizeof(in6_addr));
    std::memcpy(to + 18, &peer.sin6_scope_id, sizeof(peer.sin6_scope_id));
  }
  static_assert(PeerAddress::kHostSize == 22);
  std::memcpy(to + PeerAddress::kHostSize, &peer.sin6_port, sizeof(peer.sin6_port));
  return key;
}

SocketAddress DatagramPath::local_address(uint16_t port) const {
  SocketAddress address;
  if (peer.sin6_family == AF_INET) {
    sockaddr_in v4 = {};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, &local.s6_addr[12], sizeof(in_addr));
    std::memcpy(&address.storage, &v4, sizeof(v4));
    address.size = sizeof(v4);
  } else {
    sockaddr_in6 v6 = {};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    v6.sin6_addr = local;
    v6.sin6_scope_id = interface;
    std::memcpy(&address.storage, &v6, sizeof(v6));
    address.size = sizeof(v6);
  }
  return address;
}

}  // namespace anywire::udp
