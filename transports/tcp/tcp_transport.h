// tcp:, without encryption. Meant for the host and for networks one trusts; listening beyond the
// loopback says so on stderr.
#ifndef ANYWIRE_TRANSPORTS_TCP_TCP_TRANSPORT_H_
#define ANYWIRE_TRANSPORTS_TCP_TCP_TRANSPORT_H_

#include <chrono>
#include <memory>
#include <string>

#include "anywire/transport.h"
#include "transports/stream/stream_options.h"
#include "transports/stream/unique_fd.h"
#include "transports/tcp/resolver.h"
#include "transports/tcp/socket_address.h"

namespace anywire {

struct TcpOptions {
  int backlog = 1024;  // connections that wait for Accept
  // How long bytes may stay unacknowledged before the connection is given up (TCP_USER_TIMEOUT),
  // and how long an idle one goes unprobed (TCP_KEEPIDLE).
  std::chrono::milliseconds user_timeout = std::chrono::seconds(30);
  std::chrono::seconds keepalive_idle = std::chrono::seconds(60);
  bool warn_beyond_loopback = true;
  StreamOptions stream;
};

class TcpTransport final : public Transport {
 public:
  explicit TcpTransport(TcpOptions options = {}) : options_(options) {}

  absl::string_view scheme() const override { return "tcp"; }
  absl::Status CheckAddress(absl::string_view address) const override;
  // All addresses of a name are tried; names are resolved on another thread.
  kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> Connect(
      EventLoop& loop, absl::string_view address, const ConnectOptions& options) override;
  // Port 0: the system chooses. "[::]" takes IPv4 too. A name is resolved on the spot, which may
  // take time, and the first of its addresses that can be had is taken.
  absl::StatusOr<std::unique_ptr<Listener>> Listen(EventLoop& loop, absl::string_view address,
                                                   const ListenOptions& options) override;
  std::string FreshAddress(absl::string_view scratch_dir) override;

 private:
  using Connected = absl::StatusOr<std::unique_ptr<Connection>>;

  void SetUp(int fd, const SocketAddress& peer) const;
  absl::StatusOr<UniqueFd> ListenAt(const SocketAddress& address) const;

  const TcpOptions options_;
  Resolver resolver_;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_TCP_TCP_TRANSPORT_H_
