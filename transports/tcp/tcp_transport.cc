#include "transports/tcp/tcp_transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "transports/stream/errno_status.h"
#include "transports/stream/stream_connection.h"
#include "transports/stream/stream_listener.h"
#include "transports/tcp/dialer.h"
#include "transports/tcp/exposure.h"

namespace anywire {
namespace {

// For options whose failure costs speed or comfort, and nothing else.
void SetOption(int fd, int level, int name, int value) {
  (void)setsockopt(fd, level, name, &value, sizeof(value));
}

// A host's default may be made for networks; BBR, for one, paces what is sent even on the loopback.
void UseLoopbackCongestionControl(int fd) {
  for (const char* name : {"cubic", "reno"}) {
    const socklen_t size = static_cast<socklen_t>(std::char_traits<char>::length(name));
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, size) == 0) return;
  }
}

std::string Uri(const SocketAddress& address) { return absl::StrCat("tcp://", address.ToString()); }

absl::StatusOr<ConnectionInfo> Describe(int fd) {
  absl::StatusOr<SocketAddress> local = LocalAddress(fd);
  absl::StatusOr<SocketAddress> remote = RemoteAddress(fd);
  if (!local.ok()) return local.status();
  if (!remote.ok()) return remote.status();
  ConnectionInfo info;
  info.local_address = Uri(*local);
  info.remote_address = Uri(*remote);
  info.host_private = remote->IsLoopback();
  return info;
}

}  // namespace

absl::Status TcpTransport::CheckAddress(absl::string_view address) const {
  return ParseHostPort(address).status();
}

void TcpTransport::SetUp(int fd, const SocketAddress& peer) const {
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  SetOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(options_.user_timeout.count()));
  SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(options_.keepalive_idle.count()));
  if (peer.IsLoopback()) UseLoopbackCongestionControl(fd);
}

kj::Promise<TcpTransport::Connected> TcpTransport::Connect(EventLoop& loop,
                                                           absl::string_view address,
                                                           const ConnectOptions&) {
  absl::StatusOr<HostPort> host_port = ParseHostPort(address);
  if (!host_port.ok()) return Connected(host_port.status());
  if (host_port->port == 0) {
    return Connected(absl::InvalidArgumentError("port 0 is for listening only"));
  }
  return resolver_.Resolve(loop, std::move(*host_port))
      .then([this, &loop, uri = absl::StrCat("tcp://", address)](
                Resolver::Addresses addresses) mutable -> kj::Promise<absl::StatusOr<UniqueFd>> {
        if (!addresses.ok()) return absl::StatusOr<UniqueFd>(addresses.status());
        return Dial(loop, *addresses, std::move(uri),
                    [this](int fd, const SocketAddress& peer) { SetUp(fd, peer); });
      })
      .then([this, &loop](absl::StatusOr<UniqueFd> fd) -> Connected {
        if (!fd.ok()) return fd.status();
        absl::StatusOr<ConnectionInfo> info = Describe(fd->get());
        if (!info.ok()) return info.status();
        return BeginStream(loop, std::move(*fd), std::move(*info), options_.stream);
      });
}

absl::StatusOr<UniqueFd> TcpTransport::ListenAt(const SocketAddress& address) const {
  UniqueFd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.family() == AF_INET6) SetOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (bind(fd.get(), address.get(), address.size) != 0 || listen(fd.get(), options_.backlog) != 0) {
    return ErrnoStatus(errno, Uri(address));
  }
  return fd;
}

absl::StatusOr<std::unique_ptr<Listener>> TcpTransport::Listen(EventLoop& loop,
                                                               absl::string_view address,
                                                               const ListenOptions& options) {
  const absl::StatusOr<std::vector<SocketAddress>> addresses = LookUpToListen(address);
  if (!addresses.ok()) return addresses.status();

  absl::StatusOr<UniqueFd> fd;
  for (const SocketAddress& candidate : *addresses) {
    fd = ListenAt(candidate);
    if (fd.ok()) break;
  }
  if (!fd.ok()) return fd.status();
  absl::StatusOr<SocketAddress> bound = LocalAddress(fd->get());
  if (!bound.ok()) return bound.status();
  if (options_.warn_beyond_loopback) WarnIfExposed(*bound, Uri(*bound));

  StreamListener::Config config;
  config.address = Uri(*bound);
  config.options = options_.stream;
  config.listen = options;
  config.adopt = [this](int accepted) -> absl::StatusOr<ConnectionInfo> {
    absl::StatusOr<SocketAddress> peer = RemoteAddress(accepted);
    if (!peer.ok()) return peer.status();
    SetUp(accepted, *peer);
    return Describe(accepted);
  };
  return StreamListener::Create(loop, std::move(*fd), std::move(config));
}

std::string TcpTransport::FreshAddress(absl::string_view) { return "127.0.0.1:0"; }

}  // namespace anywire
