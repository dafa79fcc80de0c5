// Connecting to a Unix socket and listening at one: what the transports have in common whose peers
// meet there.
#ifndef ANYWIRE_TRANSPORTS_UNIX_UNIX_SOCKET_H_
#define ANYWIRE_TRANSPORTS_UNIX_UNIX_SOCKET_H_

#include <kj/async.h>
#include <sys/stat.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "anywire/event_loop.h"
#include "anywire/transport.h"
#include "transports/stream/stream_listener.h"
#include "transports/stream/unique_fd.h"
#include "transports/unix/unix_address.h"

namespace anywire {

// Connects to `address` (checked), again and again while the server's queue is full. UNAVAILABLE
// when nobody listens there. The socket does not block. `uri` is for messages. On `loop`'s thread.
kj::Promise<absl::StatusOr<UniqueFd>> ConnectUnixSocket(EventLoop& loop, UnixNamespace name_space,
                                                        std::string address, std::string uri);

// Listens at `address` (checked); a path's file has `mode`, see SocketFile. Of `config`, the
// address (`uri`), what an accepted peer is known as and the giving back of the address are filled
// in.
absl::StatusOr<std::unique_ptr<Listener>> ListenAtUnixSocket(
    EventLoop& loop, UnixNamespace name_space, absl::string_view address, std::string uri,
    mode_t mode, int backlog, StreamListener::Config config);

// The ends of a connected socket, with what the kernel says of who is at the other.
ConnectionInfo DescribeUnixSocket(int fd, std::string local_uri, std::string remote_uri);

// A path in `scratch_dir`, which is short enough for it, or an abstract name, that nobody uses.
std::string FreshUnixAddress(UnixNamespace name_space, absl::string_view scratch_dir);

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_UNIX_UNIX_SOCKET_H_
