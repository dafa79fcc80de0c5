// Transports without encryption say so where it matters.
#ifndef ANYWIRE_TRANSPORTS_TCP_EXPOSURE_H_
#define ANYWIRE_TRANSPORTS_TCP_EXPOSURE_H_

#include <string>

#include "transports/tcp/socket_address.h"

namespace anywire {

// One line on stderr if who listens at `bound`, known as `uri`, is reached from other hosts.
void WarnIfExposed(const SocketAddress& bound, const std::string& uri);

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_TCP_EXPOSURE_H_
