// packet:, frames as packets of Unix sockets. See README.md.
#ifndef ANYWIRE_EXAMPLES_OWN_TRANSPORT_PACKET_TRANSPORT_H_
#define ANYWIRE_EXAMPLES_OWN_TRANSPORT_PACKET_TRANSPORT_H_

#include "absl/status/status.h"
#include "anywire/registry.h"

namespace own_transport {

// Adds the scheme "packet". ALREADY_EXISTS if there is one.
absl::Status RegisterPacketTransport(anywire::TransportRegistry& registry);

}  // namespace own_transport

#endif  // ANYWIRE_EXAMPLES_OWN_TRANSPORT_PACKET_TRANSPORT_H_
