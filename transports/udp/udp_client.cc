#include "transports/udp/udp_client.h"

#include <errno.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "transports/stream/errno_status.h"
#include "transports/udp/system_random.h"
#include "transports/udp/udp_connection.h"

namespace anywire::udp {
namespace {

using Clock = std::chrono::steady_clock;

// How long after a thread has received the loop takes over.
constexpr std::chrono::milliseconds kReturnToLoop(20);

}  // namespace

absl::StatusOr<std::shared_ptr<UdpClient>> UdpClient::Begin(EventLoop& loop, WaiterPool& waiters,
                                                            const SocketAddress& peer,
                                                            const UdpOptions& options) {
  absl::StatusOr<DatagramSocket> socket = DatagramSocket::Connect(peer);
  if (!socket.ok()) return socket.status();
  auto client = std::make_shared<UdpClient>(loop, waiters, std::move(*socket), peer, options);
  absl::Status status = client->Open();
  if (!status.ok()) return status;
  MutexLock lock(&client->mutex_);
  client->Flush(client->link_, Clock::now());
  return client;
}

UdpClient::UdpClient(EventLoop& loop, WaiterPool& waiters, DatagramSocket socket,
                     const SocketAddress& peer, const UdpOptions& options)
    : UdpSocket(loop, waiters, std::move(socket)),
      peer_(peer),
      datagram_size_(options.DatagramSize(peer.IsLoopback())) {
  MutexLock lock(&mutex_);
  Options connection = options.endpoint.connection;
  connection.max_datagram_size = datagram_size_;
  link_.machine = ConnectionMachine::Connect(connection, pool_, SystemRandomKey(), Clock::now());
  link_.machine->KeepAlive(true);
  link_.is_owned = true;  // by the attempt
}

UdpClient::~UdpClient() noexcept {
  MutexLock lock(&mutex_);
  link_.machine = nullptr;  // before what it is made of
}

std::unique_ptr<Connection> UdpClient::TakeConnection() {
  ConnectionInfo info;
  const absl::StatusOr<SocketAddress> local = socket_.local_address();
  if (local.ok()) info.local_address = absl::StrCat("udp://", local->ToString());
  info.remote_address = absl::StrCat("udp://", peer_.ToString());
  info.host_private = peer_.IsLoopback();
  info.waiting_is_cheaper = true;
  MutexLock lock(&mutex_);
  return std::make_unique<UdpConnection>(*this, link_, Keep(), std::move(info), datagram_size_);
}

void UdpClient::Take(Instant now, const DatagramPath&, absl::Span<const uint8_t> datagram) {
  link_.machine->HandleDatagram(now, datagram);
  Touch(link_);
}

// Anybody can make it up. So it ends at once nothing but attempts, of which there may be more.
void UdpClient::OnIcmp(int error) {
  if (link_.machine->state() != UdpLink::State::kOpening) {
    if (error != ECONNREFUSED) return;
    link_.machine->HandleRefusal(Clock::now());
    Touch(link_);
    SetAlarm(Instant());
    return;
  }
  if (!refused_.ok()) return;
  refused_ = error == ECONNREFUSED
                 ? absl::UnavailableError(absl::StrCat(peer_.ToString(), ": nobody listens there"))
                 : ErrnoStatus(error, peer_.ToString());
  SetAlarm(Instant());
}

void UdpClient::OnTurnEnds() {
  if (tell_ == nullptr) return;
  absl::Status status;
  {
    MutexLock lock(&mutex_);
    status = refused_;
    const UdpLink::State state = link_.machine->state();
    if (status.ok() && state == UdpLink::State::kOpening) return;
    if (status.ok() && state == UdpLink::State::kEnded) status = link_.machine->status();
  }
  std::exchange(tell_, nullptr)(status);
}

bool UdpClient::Await(UdpLink& link, Waiter* UdpLink::*waiter, Instant wait_until) {
  // (A sender that waits for room reads in the loop's place, rather than both.)
  if (!link.is_watching || waiter == &UdpLink::sender) ReadOnLoop(false);
  const bool waits = wait_until > Instant();
  if (waits) {
    WaitFor(link, waiter, socket_.fd(), std::min(wait_until, NextWakeup(link)));
  }
  mutex_.Unlock();
  Read();
  mutex_.Lock();
  const Instant now = Clock::now();
  last_read_ = now;
  if (!reads_on_loop_) SetAlarm(now + kReturnToLoop);
  HandleWakeups(now);
  Settle(now);
  return waits && now < wait_until;
}

void UdpClient::OnWatched() { ReadOnLoop(true); }

void UdpClient::OnAlarmBegins(Instant now) {
  {
    MutexLock lock(&mutex_);
    // A connection that rests has no memory of its own.
    if (link_.machine->held() == 0) pool_.Trim();
    if (reads_on_loop_) return;
    // A thread that waits sets the alarm when it is through.
    if (link_.receiver != nullptr || link_.sender != nullptr) return;
    if (now >= last_read_ + kReturnToLoop) {
      ReadOnLoop(true);
    } else {
      SetAlarm(last_read_ + kReturnToLoop);
    }
  }
  // What has come may be what the machine is about to miss.
  Read();
}

// It goes with its socket.
void UdpClient::Destroy(UdpLink&) {}

}  // namespace anywire::udp
