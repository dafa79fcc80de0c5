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
#include "tests/support/datagram_batch.h"
#include "transports/stream/errno_status.h"
#include "transports/stream/unique_fd.h"
#include "transports/tcp/socket_address.h"

namespace anywire::test {
namespace {

using Instant = PathDirection::Instant;

constexpr int kSocketBuffer = 4 << 20;
constexpr int kEventsAtOnce = 64;

struct Client {
  SocketAddress address;
  UniqueFd upstream;  // connected to the server; none: forgotten, or the system had none
  Instant last_heard;
};

absl::StatusOr<SocketAddress> ParseAddress(absl::string_view text) {
  absl::StatusOr<HostPort> host_port = ParseHostPort(text);
  if (!host_port.ok()) return host_port.status();
  absl::StatusOr<std::vector<SocketAddress>> addresses = LookUp(*host_port, true);
  if (!addresses.ok()) return addresses.status();
  return addresses->front();
}

UniqueFd UdpSocket(int family) {
  UniqueFd fd(socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // As much as may be had: a relay should lose what it is told to lose.
  for (const int option : {SO_RCVBUF, SO_SNDBUF, SO_RCVBUFFORCE, SO_SNDBUFFORCE}) {
    setsockopt(fd.get(), SOL_SOCKET, option, &kSocketBuffer, sizeof(kSocketBuffer));
  }
  return fd;
}

// The bytes that tell addresses apart.
absl::string_view KeyOf(const SocketAddress& address) {
  return {reinterpret_cast<const char*>(&address.storage), address.size};
}

class Relay final : public UdpRelay {
 public:
  Relay(const SocketAddress& server, const Options& options)
      : server_(server), max_clients_(options.max_clients), path_(options.live) {}

  ~Relay() override {
    if (!thread_.joinable()) return;
    eventfd_write(ending_.get(), 1);
    thread_.join();
  }

  absl::Status Begin(const SocketAddress& listen) ABSL_LOCKS_EXCLUDED(mutex_) {
    downstream_ = UdpSocket(listen.family());
    ending_.Reset(eventfd(0, EFD_CLOEXEC));
    epoll_.Reset(epoll_create1(EPOLL_CLOEXEC));
    if (!downstream_.valid() || !ending_.valid() || !epoll_.valid()) {
      return ErrnoStatus(errno, "cannot make the relay's sockets");
    }
    if (bind(downstream_.get(), listen.get(), listen.size) != 0) {
      return ErrnoStatus(errno, "cannot bind " + listen.ToString());
    }
    SocketAddress bound;
    bound.size = sizeof(bound.storage);
    getsockname(downstream_.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.size);
    address_ = bound.ToString();
    if (!Watch(downstream_.get(), &downstream_) || !Watch(ending_.get(), &ending_)) {
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
      const UniqueFd old = std::move(client->upstream);
      client->upstream = OpenUpstream(client.get());
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

  UniqueFd OpenUpstream(Client* client) {
    UniqueFd fd = UdpSocket(server_.family());
    if (connect(fd.get(), server_.get(), server_.size) != 0 || !Watch(fd.get(), client)) {
      return {};
    }
    return fd;
  }

  void Run() ABSL_LOCKS_EXCLUDED(mutex_) {
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
    const size_t count = received_.Receive(downstream_.get());
    const Instant now = Now();
    for (size_t i = 0; i < count; ++i) {
      Send(Towards::kServer, ClientAt(received_.from(i)), received_.bytes(i), now);
    }
  }

  void ReceiveFromServer(Client& client) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    // Its address may have changed, or itself been forgotten, since the event was reported.
    if (!client.upstream.valid()) return;
    const size_t count = received_.Receive(client.upstream.get());
    const Instant now = Now();
    const std::shared_ptr<Client>& known = clients_.at(KeyOf(client.address));
    for (size_t i = 0; i < count; ++i) Send(Towards::kClient, known, received_.bytes(i), now);
  }

  void Send(Towards towards, std::shared_ptr<Client> client, absl::Span<const uint8_t> bytes,
            Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    client->last_heard = now;
    path_.Send({towards, std::move(client), {bytes.begin(), bytes.end()}}, now);
  }

  const std::shared_ptr<Client>& ClientAt(const SocketAddress& address)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (const auto it = clients_.find(KeyOf(address)); it != clients_.end()) return it->second;
    if (clients_.size() >= max_clients_) ForgetOne();
    auto client = std::make_shared<Client>();
    client->address = address;
    client->upstream = OpenUpstream(client.get());
    ++counts_.clients;
    return clients_.emplace(KeyOf(address), std::move(client)).first->second;
  }

  void ForgetOne() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto oldest = std::min_element(
        clients_.begin(), clients_.end(),
        [](const auto& a, const auto& b) { return a.second->last_heard < b.second->last_heard; });
    oldest->second->upstream.Reset();
    forgotten_.push_back(std::move(oldest->second));
    clients_.erase(oldest);
    ++counts_.forgotten;
  }

  void DeliverDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Instant now = Now();
    while (true) {
      // What goes to the clients leaves by one socket, and to the server by one for each client.
      std::vector<Path::Packet> due[2];
      for (size_t i = 0; i < kDatagramBatch; ++i) {
        std::optional<Path::Packet> packet = path_.Take(now);
        if (!packet) break;
        due[static_cast<size_t>(packet->towards)].push_back(*std::move(packet));
      }
      if (due[0].empty() && due[1].empty()) return;
      for (const Path::Packet& packet : due[static_cast<size_t>(Towards::kClient)]) {
        batch_.Add(packet.bytes, &packet.route->address);
      }
      counts_.unsent += batch_.Send(downstream_.get());
      const Client* last = nullptr;
      for (const Path::Packet& packet : due[static_cast<size_t>(Towards::kServer)]) {
        if (last != nullptr && last != packet.route.get()) SendUp(*last);
        last = packet.route.get();
        batch_.Add(packet.bytes, nullptr);
      }
      if (last != nullptr) SendUp(*last);
    }
  }

  void SendUp(const Client& client) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    counts_.unsent += batch_.Send(client.upstream.get());
  }

  const SocketAddress server_;
  const size_t max_clients_;
  std::string address_;
  UniqueFd downstream_;
  UniqueFd ending_;
  UniqueFd epoll_;
  Path path_;

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<Client>> clients_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Client>> forgotten_ ABSL_GUARDED_BY(mutex_);
  Counts counts_ ABSL_GUARDED_BY(mutex_);
  // The thread's own.
  ReceiveBatch received_;
  SendBatch batch_;
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
  auto relay = std::make_unique<Relay>(*to, options);
  if (absl::Status begun = relay->Begin(*listen); !begun.ok()) return begun;
  return relay;
}

}  // namespace anywire::test
