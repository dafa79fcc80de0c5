// A Listener over the sockets of one address.
#ifndef ANYWIRE_TRANSPORTS_UDP_UDP_LISTENER_H_
#define ANYWIRE_TRANSPORTS_UDP_UDP_LISTENER_H_

#include <kj/async.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "anywire/event_loop.h"
#include "anywire/transport.h"
#include "transports/udp/udp_backlog.h"
#include "transports/udp/udp_server.h"

namespace anywire::udp {

class UdpListener final : public Listener, private UdpBacklog::Listener {
 public:
  // `server` listens for it from now on, and for nobody else.
  UdpListener(EventLoop& loop, std::shared_ptr<UdpServer> server, size_t backlog);
  ~UdpListener() noexcept override;

  kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> Accept() override;
  void Close() override;
  const std::string& address() const override { return address_; }

 private:
  using Accepted = absl::StatusOr<std::unique_ptr<Connection>>;

  void OnBacklog() override;
  // Closed, and nobody is left who could become a connection.
  bool exhausted() const { return is_closed_ && server_->begun(*backlog_) == 0; }

  const std::shared_ptr<UdpServer> server_;
  const std::string address_;
  const std::shared_ptr<UdpBacklog> backlog_;
  bool is_closed_ = false;
  kj::Own<kj::PromiseFulfiller<Accepted>> waiting_;
  bool has_waiting_ = false;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_UDP_LISTENER_H_
