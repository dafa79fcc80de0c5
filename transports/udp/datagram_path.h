// Between which two addresses datagrams travel.
#ifndef ANYWIRE_TRANSPORTS_UDP_DATAGRAM_PATH_H_
#define ANYWIRE_TRANSPORTS_UDP_DATAGRAM_PATH_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include "transports/tcp/socket_address.h"
#include "transports/udp/reliability/peer_address.h"

namespace anywire::udp {

struct DatagramPath {
  // The peer's: a sockaddr_in6, or a sockaddr_in, by its family. (A SocketAddress has room for any
  // family, and there is one of these for each connection.)
  sockaddr_in6 peer = {};
  socklen_t peer_size = 0;  // 0: of a socket that is connected, and knows
  // Ours, where the socket is bound to all of them: answers leave from the address that was asked,
  // or nobody would know them for such. An IPv4 address is mapped. Unspecified: the socket's.
  in6_addr local = {};
  uint32_t interface = 0;  // of a link-local address

  bool has_local() const { return !IN6_IS_ADDR_UNSPECIFIED(&local); }
  // Of a path with a peer.
  SocketAddress peer_address() const;
  PeerAddress peer_key() const;
  // Of a path with a local address, at a port of ours.
  SocketAddress local_address(uint16_t port) const;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_DATAGRAM_PATH_H_
