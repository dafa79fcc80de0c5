#include "transports/udp/udp_transport.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "transports/tcp/address_race.h"
#include "transports/tcp/exposure.h"
#include "transports/udp/udp_client.h"
#include "transports/udp/udp_listener.h"

namespace anywire {
namespace {

using Race = AddressRace<std::unique_ptr<Connection>>;

class Attempt final : public AddressAttempt {
 public:
  explicit Attempt(std::shared_ptr<udp::UdpClient> client, Race::Done done)
      : client_(std::move(client)), done_(std::move(done)) {
    client_->OnEnd([this](const absl::Status& status) {
      const Race::Done done = std::move(done_);  // it destroys us
      if (!status.ok()) return done(status);
      done(client_->TakeConnection());
    });
  }
  ~Attempt() override { client_->OnEnd(nullptr); }

 private:
  const std::shared_ptr<udp::UdpClient> client_;
  Race::Done done_;
};

udp::CongestionControl ToMachine(CongestionControl congestion_control) {
  switch (congestion_control) {
    case CongestionControl::kNewReno:
      return udp::CongestionControl::kNewReno;
    case CongestionControl::kCubic:
      break;
  }
  return udp::CongestionControl::kCubic;
}

// Bytes that may be asked for: less would hold up frames of the loopback's datagrams.
constexpr size_t kLeastWindow = 256 << 10;
constexpr size_t kMostWindow = 512 << 20;

// `options`, but for what Connect or Listen were asked for.
template <typename Asked>
absl::StatusOr<udp::UdpOptions> Adapted(const udp::UdpOptions& options, const Asked& asked) {
  udp::UdpOptions result = options;
  udp::Options& connection = result.endpoint.connection;
  if (asked.congestion_control) {
    connection.congestion_control = ToMachine(*asked.congestion_control);
  }
  if (asked.window) {
    if (*asked.window < kLeastWindow || *asked.window > kMostWindow) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a window of ", *asked.window, " bytes; allowed: ", kLeastWindow, " to ", kMostWindow));
    }
    connection.receive_window = connection.send_buffer = *asked.window;
    connection.stream_window = *asked.window / 4;
  }
  return result;
}

// For finding out whether two listeners want the same.
std::vector<EventLoop*> Sorted(std::vector<EventLoop*> loops) {
  std::sort(loops.begin(), loops.end(), std::less<>());
  return loops;
}

}  // namespace

absl::Status UdpTransport::CheckAddress(absl::string_view address) const {
  return ParseHostPort(address).status();
}

kj::Promise<UdpTransport::Connected> UdpTransport::Connect(EventLoop& loop,
                                                           absl::string_view address,
                                                           const ConnectOptions& options) {
  absl::StatusOr<HostPort> host_port = ParseHostPort(address);
  if (!host_port.ok()) return Connected(host_port.status());
  if (host_port->port == 0) {
    return Connected(absl::InvalidArgumentError("port 0 is for listening only"));
  }
  absl::StatusOr<udp::UdpOptions> adapted = Adapted(options_, options);
  if (!adapted.ok()) return Connected(adapted.status());
  return resolver_.Resolve(loop, std::move(*host_port))
      .then([this, &loop, uri = absl::StrCat("udp://", address), adapted = *std::move(adapted)](
                Resolver::Addresses addresses) mutable -> kj::Promise<Connected> {
        if (!addresses.ok()) return Connected(addresses.status());
        return Race::Run(loop, *addresses, std::move(uri),
                         [this, &loop, adapted](const SocketAddress& peer, Race::Done done)
                             -> absl::StatusOr<std::unique_ptr<AddressAttempt>> {
                           auto client = udp::UdpClient::Begin(loop, waiters_, peer, adapted);
                           if (!client.ok()) return client.status();
                           return std::make_unique<Attempt>(*std::move(client), std::move(done));
                         });
      });
}

absl::StatusOr<std::shared_ptr<udp::UdpServer>> UdpTransport::BindOrTakeOver(
    const std::vector<EventLoop*>& loops, const SocketAddress& address,
    const udp::UdpOptions& options) {
  absl::StatusOr<std::shared_ptr<udp::UdpServer>> server =
      udp::UdpServer::Bind(loops, waiters_, address, options);
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto it = servers_.begin(); it != servers_.end();) {
    it = it->second.expired() ? servers_.erase(it) : std::next(it);
  }
  if (server.ok()) {
    servers_[(*server)->address().ToString()] = *server;
  } else if (absl::IsAlreadyExists(server.status())) {
    const auto found = servers_.find(address.ToString());
    std::shared_ptr<udp::UdpServer> draining =
        found == servers_.end() ? nullptr : found->second.lock();
    if (draining != nullptr && Sorted(draining->loops()) == Sorted(loops) && draining->TryClaim()) {
      return draining;
    }
  }
  return server;
}

absl::StatusOr<std::unique_ptr<Listener>> UdpTransport::Listen(EventLoop& loop,
                                                               absl::string_view address,
                                                               const ListenOptions& options) {
  const absl::StatusOr<std::vector<SocketAddress>> addresses = LookUpToListen(address);
  if (!addresses.ok()) return addresses.status();

  const absl::StatusOr<udp::UdpOptions> adapted = Adapted(options_, options);
  if (!adapted.ok()) return adapted.status();
  std::vector<EventLoop*> loops = options.loops;
  if (loops.empty()) loops.push_back(&loop);
  absl::StatusOr<std::shared_ptr<udp::UdpServer>> server;
  for (const SocketAddress& candidate : *addresses) {
    server = BindOrTakeOver(loops, candidate, *adapted);
    if (server.ok()) break;
  }
  if (!server.ok()) return server.status();
  const SocketAddress& bound = (*server)->address();
  if (options_.warn_beyond_loopback) {
    WarnIfExposed(bound, absl::StrCat("udp://", bound.ToString()));
  }
  return std::make_unique<udp::UdpListener>(loop, *std::move(server), options_.backlog);
}

std::string UdpTransport::FreshAddress(absl::string_view) { return "127.0.0.1:0"; }

}  // namespace anywire
