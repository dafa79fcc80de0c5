#include "transports/udp/udp_server.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "transports/udp/system_random.h"
#include "transports/udp/udp_connection.h"

namespace anywire::udp {
namespace {

// Batches that are taken in before a socket stops to listen: more than its buffer has room for.
constexpr int kMaxReads = 1024;

}  // namespace

// ---- UdpServerSocket

UdpServerSocket::UdpServerSocket(std::weak_ptr<UdpServer> server, const SocketAddress& bound,
                                 EventLoop& loop, WaiterPool& waiters, DatagramSocket socket,
                                 const UdpOptions& options)
    : UdpSocket(loop, waiters, std::move(socket)),
      options_(options),
      server_(std::move(server)),
      bound_(bound),
      machine_(MachineOptions(options), pool_, SystemRandomKey()) {}

// What goes to a peer on the network is what that peer takes.
EndpointOptions UdpServerSocket::MachineOptions(const UdpOptions& options) {
  EndpointOptions result = options.endpoint;
  result.connection.max_datagram_size = std::max(options.DatagramSize(/*within_host=*/true),
                                                 options.DatagramSize(/*within_host=*/false));
  return result;
}

UdpServerSocket::~UdpServerSocket() noexcept {
  MutexLock lock(&mutex_);
  links_.clear();  // before what they are made of
}

void UdpServerSocket::ListenFor(std::shared_ptr<UdpBacklog> backlog) {
  {
    MutexLock lock(&mutex_);
    backlog_.swap(backlog);
    machine_.SetListening(true);
  }
  // The one before: those that have begun are not for it any more.
  if (backlog != nullptr) backlog->Tell();
}

void UdpServerSocket::StopListening() {
  for (int i = 0; i < kMaxReads && Read(); ++i) {
  }
  MutexLock lock(&mutex_);
  machine_.SetListening(false);
}

void UdpServerSocket::Leave(const UdpBacklog& backlog) {
  MutexLock lock(&mutex_);
  if (backlog_.get() == &backlog) backlog_ = nullptr;
}

size_t UdpServerSocket::begun(const UdpBacklog& backlog) const {
  MutexLock lock(&mutex_);
  return backlog_.get() == &backlog ? unannounced_ : 0;
}

void UdpServerSocket::Take(Instant now, const DatagramPath& from,
                           absl::Span<const uint8_t> datagram) {
  uint8_t reply[kLargestReplySize];
  EndpointMachine::Outcome outcome =
      machine_.HandleDatagram(now, from.peer_key(), datagram, absl::MakeSpan(reply));
  if (outcome.opened != nullptr) {
    auto link = std::make_unique<UdpLink>();
    link->machine = std::move(outcome.opened);
    link->machine->set_tag(link.get());
    link->path = from;
    UdpLink* const key = link.get();
    links_.emplace(key, std::move(link));
    ++unannounced_;
  }
  // Whoever does not get it asks again.
  if (outcome.reply_size > 0) {
    socket_.SendOne(absl::MakeConstSpan(reply, outcome.reply_size), from);
  }
  if (outcome.evicted != nullptr) Touch(LinkOf(*outcome.evicted));
  if (outcome.connection != nullptr) Touch(LinkOf(*outcome.connection));
}

void UdpServerSocket::OnSettled(UdpLink& link) {
  using State = UdpLink::State;
  const State state = link.machine->state();
  if (state == State::kHalfOpen) return;
  if (!std::exchange(link.is_announced, true)) {
    --unannounced_;
    Announce(link);
  }
  if (link.machine->state() == State::kEnded) machine_.Remove(*link.machine);
}

void UdpServerSocket::Announce(UdpLink& link) {
  if (backlog_ == nullptr) {
    link.machine->Abort(absl::StatusCode::kUnavailable, "the server takes no more connections");
    Touch(link);
    return;
  }
  if (link.machine->state() == UdpLink::State::kEnded && !link.machine->has_frames()) {
    backlog_->Tell();
    return;
  }
  std::shared_ptr<void> keep = Keep();
  if (keep == nullptr || !backlog_->HasRoom()) {
    link.machine->Abort(absl::StatusCode::kResourceExhausted,
                        "too many connections wait to be accepted");
    Touch(link);
    return;
  }
  const SocketAddress peer = link.path.peer_address();
  ConnectionInfo info;
  info.local_address = absl::StrCat(
      "udp://",
      (link.path.has_local() ? link.path.local_address(bound_.port()) : bound_).ToString());
  info.remote_address = absl::StrCat("udp://", peer.ToString());
  info.host_private = peer.IsLoopback();
  link.is_owned = true;
  backlog_->Push(std::make_unique<UdpConnection>(*this, link, std::move(keep), std::move(info),
                                                 options_.DatagramSize(peer.IsLoopback())));
}

void UdpServerSocket::Destroy(UdpLink& link) { links_.erase(&link); }

// ---- UdpServer

absl::StatusOr<std::shared_ptr<UdpServer>> UdpServer::Bind(const std::vector<EventLoop*>& loops,
                                                           WaiterPool& waiters,
                                                           const SocketAddress& address,
                                                           const UdpOptions& options) {
  // Alone, so that an address that is taken is found to be; the others then join it.
  absl::StatusOr<DatagramSocket> first =
      DatagramSocket::Bind(address, DatagramSocket::Reuse::kNone);
  if (!first.ok()) return first.status();
  const absl::StatusOr<SocketAddress> bound = first->local_address();
  if (!bound.ok()) return bound.status();
  std::vector<DatagramSocket> sockets;
  sockets.push_back(std::move(*first));
  if (loops.size() > 1) {
    absl::Status status = sockets[0].AllowReuse();
    if (!status.ok()) return status;
  }
  while (sockets.size() < loops.size()) {
    absl::StatusOr<DatagramSocket> next =
        DatagramSocket::Bind(*bound, DatagramSocket::Reuse::kPort);
    if (!next.ok()) return next.status();
    sockets.push_back(std::move(*next));
  }
  auto server = std::make_shared<UdpServer>(loops, *bound);
  for (size_t i = 0; i < sockets.size(); ++i) {
    server->sockets_.push_back(std::make_unique<UdpServerSocket>(server, *bound, *loops[i], waiters,
                                                                 std::move(sockets[i]), options));
    absl::Status status = server->sockets_.back()->Watch();
    if (!status.ok()) return status;
  }
  return server;
}

UdpServer::~UdpServer() {
  for (std::unique_ptr<UdpServerSocket>& socket : sockets_) {
    EventLoop& loop = socket->loop();
    if (loop.IsCurrent()) {
      socket = nullptr;
    } else {
      loop.Post([socket = std::move(socket)] {});
    }
  }
}

void UdpServer::ListenFor(const std::shared_ptr<UdpBacklog>& backlog) {
  for (const std::unique_ptr<UdpServerSocket>& socket : sockets_) socket->ListenFor(backlog);
}

void UdpServer::StopListening() {
  for (const std::unique_ptr<UdpServerSocket>& socket : sockets_) socket->StopListening();
  is_claimed_ = false;
}

void UdpServer::Leave(const UdpBacklog& backlog) {
  for (const std::unique_ptr<UdpServerSocket>& socket : sockets_) socket->Leave(backlog);
}

size_t UdpServer::begun(const UdpBacklog& backlog) const {
  size_t sum = 0;
  for (const std::unique_ptr<UdpServerSocket>& socket : sockets_) sum += socket->begun(backlog);
  return sum;
}

}  // namespace anywire::udp
