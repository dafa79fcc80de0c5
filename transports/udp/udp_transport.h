// udp:, without encryption. Meant for the host and for networks one trusts, as tcp: is.
#ifndef ANYWIRE_TRANSPORTS_UDP_UDP_TRANSPORT_H_
#define ANYWIRE_TRANSPORTS_UDP_UDP_TRANSPORT_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "anywire/transport.h"
#include "transports/tcp/resolver.h"
#include "transports/tcp/socket_address.h"
#include "transports/udp/udp_options.h"
#include "transports/udp/udp_server.h"

namespace anywire {

class UdpTransport final : public Transport {
 public:
  explicit UdpTransport(udp::UdpOptions options = {}) : options_(options) {}

  absl::string_view scheme() const override { return "udp"; }
  absl::Status CheckAddress(absl::string_view address) const override;
  // All addresses of a name are tried; names are resolved on another thread.
  kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> Connect(
      EventLoop& loop, absl::string_view address, const ConnectOptions& options) override;
  // Port 0: the system chooses. "[::]" takes IPv4 too. A name is resolved on the spot, which may
  // take time, and the first of its addresses that can be had is taken.
  //
  // The address of a listener that is gone is bound as long as its connections live, since they use
  // it. In this process, and for the same loops, it can be listened on again at once; the sockets
  // then stay as they were made.
  absl::StatusOr<std::unique_ptr<Listener>> Listen(EventLoop& loop, absl::string_view address,
                                                   const ListenOptions& options) override;
  std::string FreshAddress(absl::string_view scratch_dir) override;

 private:
  using Connected = absl::StatusOr<std::unique_ptr<Connection>>;

  absl::StatusOr<std::shared_ptr<udp::UdpServer>> BindOrTakeOver(
      const std::vector<EventLoop*>& loops, const SocketAddress& address,
      const udp::UdpOptions& options);

  const udp::UdpOptions options_;
  Resolver resolver_;
  udp::WaiterPool waiters_;
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<udp::UdpServer>> servers_;  // guarded by mutex_; by address
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_UDP_UDP_TRANSPORT_H_
