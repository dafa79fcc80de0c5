// Connects a stream socket.
#ifndef ANYWIRE_TRANSPORTS_TCP_DIALER_H_
#define ANYWIRE_TRANSPORTS_TCP_DIALER_H_

#include <kj/async.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "anywire/event_loop.h"
#include "transports/stream/unique_fd.h"
#include "transports/tcp/socket_address.h"

namespace anywire {

// To the first of several addresses that answers; see AddressRace, also for errors and `what`. The
// socket is connected and non-blocking. `prepare` sets up each before it connects.
kj::Promise<absl::StatusOr<UniqueFd>> Dial(
    EventLoop& loop, const std::vector<SocketAddress>& addresses, std::string what,
    std::function<void(int fd, const SocketAddress& peer)> prepare);

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_TCP_DIALER_H_
