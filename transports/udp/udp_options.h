// What can be set of the udp transport.
#ifndef ANYWIRE_TRANSPORTS_UDP_UDP_OPTIONS_H_
#define ANYWIRE_TRANSPORTS_UDP_UDP_OPTIONS_H_

#include <cstddef>

#include "transports/udp/reliability/endpoint_machine.h"

namespace anywire::udp {

struct UdpOptions {
  // Of both sides' connections. A path within the host is given datagrams of
  // loopback_datagram_size instead of Options::max_datagram_size.
  EndpointOptions endpoint;
  // Bytes, as Options::max_datagram_size. Four of these are as much as one pass through the
  // system's stack may carry; larger ones cost no less, and smaller ones more.
  size_t loopback_datagram_size = 16'376;
  // Of a connection to this host, or to another.
  size_t DatagramSize(bool within_host) const {
    return within_host ? loopback_datagram_size : endpoint.connection.max_datagram_size;
  }

  // Connections that are open and wait for Accept; further ones are given up.
  size_t backlog = 1024;
  bool warn_beyond_loopback = true;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_UDP_OPTIONS_H_
