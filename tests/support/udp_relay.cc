#include "tests/support/udp_relay.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "anywire/signals_blocked.h"
#include "transports/stream/errno_status.h"
#include "transports/stream/unique_fd.h"
#include "transports/tcp/socket_address.h"
#include "transports/udp/datagram_batch.h"
#include "transports/udp/datagram_path.h"
#include "transports/udp/datagram_socket.h"

namespace anywire::test {
namespace {

using Instant = PathDirection::Instant;

constexpr int kSocketBuffer = 4 << 20;
constexpr int kEventsAtOnce = 64;

struct Client {
  udp::DatagramPath address;
  std::optional<udp::DatagramSocket> upstream;  // connected to the server
  Instant last_heard;
};

absl::StatusOr<SocketAddress> ParseAddress(absl::string_view text) {
  absl::StatusOr<HostPort> host_port = ParseHostPort(text);
  if (!host_port.ok()) return host_port.status();
  absl::StatusOr<std::vector<SocketAddress>> addresses = LookUp(*host_port, true);
  if (!addresses.ok()) return addresses.status();
  return addresses->front();
}

// A relay should lose what it is told to lose: root may have more than the system's limit.
void WithLargeBuffers(const udp::DatagramSocket& socket) {
  setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &kSocketBuffer, sizeof(kSocketBuffer));
}

// The bytes that tell addresses apart.
absl::string_view KeyOf(const udp::DatagramPath& address) {
  return {reinterpret_cast<const char*>(&address.peer), address.peer_size};
}

class Relay final : public UdpRelay {
 public:
  Relay(const SocketAddress& server, udp::DatagramSocket downstream, const Options& options)
      : server_(server),
        max_clients_(options.max_clients),
        downstream_(std::move(downstream)),
        path_(options.live) {
    WithLargeBuffers(downstream_);
  }

  ~Relay() override {
    if (!thread_.joinable()) return;
    eventfd_write(ending_.get(), 1);
    thread_.join();
  }

  absl::Status Begin() {
    const absl::StatusOr<SocketAddress> address = downstream_.local_address();
    if (!address.ok()) return address.status();
    address_ = address->ToString();
    ending_.Reset(eventfd(0, EFD_CLOEXEC));
    epoll_.Reset(epoll_create1(EPOLL_CLOEXEC));
    if (!Watch(downstream_.fd(), &downstream_) || !Watch(ending_.get(), &ending_)) {
      return ErrnoStatus(errno, "cannot watch the relay's sockets");
    }
    const SignalsBlocked signals_blocked;
    thread_ = std::thread([this] { Run(); });
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }

  PathControl& path() override { return path_; }

  void ChangeClientAddresses() override ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    for (const auto& [key, client] : clients_) {
      // The old one is closed after there is a new one, which therefore has another port.
      const std::optional<udp::DatagramSocket> old = std::move(client->upstream);
      OpenUpstream(*client);
    }
  }

  Counts counts() const override ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return counts_;
  }

 private:
  using Path = LivePath<std::shared_ptr<Client>>;

  bool Watch(int fd, void* who) {
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.ptr = who;
    return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }

  void OpenUpstream(Client& client) {
    client.upstream.reset();
    absl::StatusOr<udp::DatagramSocket> socket = udp::DatagramSocket::Connect(server_);
    if (!socket.ok() || !Watch(socket->fd(), &client)) return;
    WithLargeBuffers(*socket);
    client.upstream.emplace(*std::move(socket));
  }

  void Run() ABSL_LOCKS_EXCLUDED(mutex_) {
    prctl(PR_SET_NAME, "udp-relay");
    prctl(PR_SET_TIMERSLACK, 1);  // ns: by default sleeps end 50 us late
    epoll_event events[kEventsAtOnce];
    while (true) {
      const int count = Wait(events);
      absl::MutexLock lock(&mutex_);
      for (int i = 0; i < count; ++i) {
        if (events[i].data.ptr == &ending_) return;
        if (events[i].data.ptr == &downstream_) {
          ReceiveFromClients();
        } else {
          ReceiveFromServer(*static_cast<Client*>(events[i].data.ptr));
        }
      }
      forgotten_.clear();  // no event names them any more
      DeliverDue();
    }
  }

  // Until something has come, or is due.
  int Wait(epoll_event* events) {
    const std::optional<timespec> timeout = path_.UntilNextArrival();
    return epoll_pwait2(epoll_.get(), events, kEventsAtOnce, timeout ? &*timeout : nullptr,
                        nullptr);
  }

  static Instant Now() { return std::chrono::steady_clock::now(); }

  void ReceiveFromClients() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    downstream_.Receive(received_);
    const Instant now = Now();
    for (size_t i = 0; i < received_.count(); ++i) {
      const std::shared_ptr<Client> client = ClientAt(received_.Path(i));
      received_.Each(i, [&](absl::Span<const uint8_t> bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        Send(Towards::kServer, client, bytes, now);
      });
    }
  }

  void ReceiveFromServer(Client& client) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    // Its address may have changed, or itself been forgotten, since the event was reported.
    if (!client.upstream.has_value()) return;
    // That nobody listens at the server's address is no news to the clients: it may yet be so.
    client.upstream->Receive(received_);
    const Instant now = Now();
    const std::shared_ptr<Client> known = clients_.at(KeyOf(client.address));
    for (size_t i = 0; i < received_.count(); ++i) {
      received_.Each(i, [&](absl::Span<const uint8_t> bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        Send(Towards::kClient, known, bytes, now);
      });
    }
  }

  void Send(Towards towards, std::shared_ptr<Client> client, absl::Span<const uint8_t> bytes,
            Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    client->last_heard = now;
    path_.Send({towards, std::move(client), {bytes.begin(), bytes.end()}}, now);
  }

  const std::shared_ptr<Client>& ClientAt(const udp::DatagramPath& address)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (const auto it = clients_.find(KeyOf(address)); it != clients_.end()) return it->second;
    if (clients_.size() >= max_clients_) ForgetOne();
    auto client = std::make_shared<Client>();
    client->address = address;
    OpenUpstream(*client);
    ++counts_.clients;
    return clients_.emplace(KeyOf(address), std::move(client)).first->second;
  }

  void ForgetOne() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto oldest = std::min_element(
        clients_.begin(), clients_.end(),
        [](const auto& a, const auto& b) { return a.second->last_heard < b.second->last_heard; });
    oldest->second->upstream.reset();
    forgotten_.push_back(std::move(oldest->second));
    clients_.erase(oldest);
    ++counts_.forgotten;
  }

  void DeliverDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Instant now = Now();
    std::vector<Path::Packet> due;
    while (std::optional<Path::Packet> packet = path_.Take(now)) {
      due.push_back(*std::move(packet));
    }
    // Those that leave together stand together, each flow in its order.
    const auto flow = [](const Path::Packet& packet) {
      return std::pair(packet.towards, packet.route.get());
    };
    std::stable_sort(due.begin(), due.end(),
                     [&flow](const auto& a, const auto& b) { return flow(a) < flow(b); });
    for (size_t i = 0; i < due.size(); ++i) {
      const Path::Packet& packet = due[i];
      Add(packet.bytes);
      const bool last = i + 1 == due.size() || flow(due[i + 1]) != flow(packet);
      // (Empty ones cannot be joined with others.)
      if (last || batch_.full() || due[i + 1].bytes.empty() || packet.bytes.empty()) Flush(packet);
    }
  }

  void Add(absl::Span<const uint8_t> bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (bytes.size() > batch_.room().size()) {
      ++counts_.unsent;
      return;
    }
    std::copy(bytes.begin(), bytes.end(), batch_.room().begin());
    batch_.Add(bytes.size());
  }

  // Sends the batch to where this packet, which is of it, goes.
  void Flush(const Path::Packet& packet) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const bool up = packet.towards == Towards::kServer;
    size_t sent = 0;
    int icmp = 0;  // of earlier datagrams
    if (up && packet.route->upstream.has_value()) {
      packet.route->upstream->Send(batch_, {}, &sent, &icmp);
    } else if (!up) {
      downstream_.Send(batch_, packet.route->address, &sent, &icmp);
    }
    counts_.unsent += batch_.count() - sent;
    batch_.Clear();
  }

  const SocketAddress server_;
  const size_t max_clients_;
  std::string address_;
  udp::DatagramSocket downstream_;
  UniqueFd ending_;
  UniqueFd epoll_;
  Path path_;

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<Client>> clients_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Client>> forgotten_ ABSL_GUARDED_BY(mutex_);
  Counts counts_ ABSL_GUARDED_BY(mutex_);
  // The thread's own.
  udp::ReceiveBatch received_;
  udp::SendBatch batch_;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<UdpRelay>> UdpRelay::Start(absl::string_view server,
                                                          const Options& options) {
  if (options.max_clients == 0) return absl::InvalidArgumentError("a relay has a client at least");
  absl::StatusOr<SocketAddress> to = ParseAddress(server);
  if (!to.ok()) return to.status();
  const std::string loopback = to->family() == AF_INET ? "127.0.0.1:0" : "[::1]:0";
  absl::StatusOr<SocketAddress> listen =
      ParseAddress(options.listen.empty() ? loopback : options.listen);
  if (!listen.ok()) return listen.status();
  absl::StatusOr<udp::DatagramSocket> downstream =
      udp::DatagramSocket::Bind(*listen, udp::DatagramSocket::Reuse::kNone);
  if (!downstream.ok()) return downstream.status();
  auto relay = std::make_unique<Relay>(*to, *std::move(downstream), options);
  if (absl::Status begun = relay->Begin(); !begun.ok()) return begun;
  return relay;
}

}  // namespace anywire::test
