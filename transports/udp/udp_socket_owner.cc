// What the owner of a connection asks of its socket.
#include <chrono>
#include <utility>

#include "transports/udp/udp_socket.h"

namespace anywire::udp {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

void UdpSocket::Start(UdpLink& link, Connection::Events& events) {
  MutexLock lock(&mutex_);
  link.events = &events;
  Note(link);
}

absl::Span<uint8_t> UdpSocket::NewFrame(UdpLink& link, uint64_t stream, size_t size) {
  MutexLock lock(&mutex_);
  return link.machine->PrepareFrame(stream, size);
}

bool UdpSocket::AddPiece(UdpLink& link, uint64_t stream, absl::Span<const uint8_t> head,
                         const SharedMessageMemory& memory, size_t offset, size_t size) {
  MutexLock lock(&mutex_);
  return link.machine->PreparePiece(stream, head, memory, offset, size);
}

bool UdpSocket::Publish(UdpLink& link) {
  MutexLock lock(&mutex_);
  if (link.machine->Publish()) link.has_published = true;
  return link.has_published || link.has_ended();
}

absl::Status UdpSocket::Transmit(UdpLink& link) {
  MutexLock lock(&mutex_);
  if (link.has_ended()) return EndOf(link);
  link.has_published = false;
  Flush(link, Clock::now());
  return absl::OkStatus();
}

absl::Status UdpSocket::TransmitUntil(UdpLink& link, Instant wait_until) {
  MutexLock lock(&mutex_);
  if (link.has_ended()) return EndOf(link);
  link.has_published = false;
  Flush(link, Clock::now());
  while (!link.has_ended() && !link.has_room_news && link.machine->has_unsent()) {
    if (!Await(link, &UdpLink::sender, wait_until)) break;
  }
  if (link.is_watching) OnWatched();
  if (link.has_ended()) return EndOf(link);
  TellRoom(link, /*by_loop=*/false);
  return absl::OkStatus();
}

absl::Status UdpSocket::EndOf(const UdpLink& link) const {
  if (!link.is_aborted) return link.machine->status();
  return absl::UnavailableError("the connection was aborted on this side");
}

absl::StatusOr<absl::Span<const ReceivedFrame>> UdpSocket::Receive(UdpLink& link,
                                                                   Instant wait_until) {
  MutexLock lock(&mutex_);
  Release(link);
  for (bool late = false;;) {
    if (link.is_aborted) return EndOf(link);
    const absl::Span<const ReceivedFrame> frames = link.machine->Receive();
    if (!frames.empty()) {
      link.has_given = true;
      return frames;
    }
    if (link.has_ended()) return EndOf(link);
    if (late) return frames;
    late = !Await(link, &UdpLink::receiver, wait_until);
  }
}

void UdpSocket::WaitFor(UdpLink& link, Waiter* UdpLink::*waiter_of, int fd, Instant until) {
  const WaiterPool::Borrowed waiter(waiters_);
  link.*waiter_of = &*waiter;
  mutex_.Unlock();
  waiter->Wait(fd, until);
  mutex_.Lock();
  link.*waiter_of = nullptr;
}

bool UdpSocket::Await(UdpLink& link, Waiter* UdpLink::*waiter, Instant wait_until) {
  if (wait_until <= Instant()) return false;
  WaitFor(link, waiter, -1, wait_until);
  return wait_until == Instant::max() || Clock::now() < wait_until;
}

void UdpSocket::ReleaseFrames(UdpLink& link) {
  MutexLock lock(&mutex_);
  Release(link);
}

// The peer may have to hear that it may send more.
void UdpSocket::Release(UdpLink& link) {
  if (!std::exchange(link.has_given, false)) return;
  link.machine->ReleaseFrames();
  Flush(link, Clock::now());
}

void UdpSocket::WatchReadable(UdpLink& link, bool on) {
  MutexLock lock(&mutex_);
  link.is_watching = on;
  if (!on) return;
  OnWatched();
  Note(link);
}

void UdpSocket::Abort(UdpLink& link) {
  MutexLock lock(&mutex_);
  if (std::exchange(link.is_aborted, true)) return;
  const Instant now = Clock::now();
  link.machine->Close(now);
  link.has_room_news = true;  // of a kind: what is sent now is refused
  Flush(link, now);
}

void UdpSocket::LetGo(UdpLink& link, std::shared_ptr<void> keep) {
  {
    MutexLock lock(&mutex_);
    const Instant now = Clock::now();
    link.is_owned = false;
    link.is_watching = false;
    link.events = nullptr;
    link.is_lingering = true;
    ++lingering_;
    if (telling_ == &link) telling_ = nullptr;
    OnWatched();  // by the loop, from now on
    link.machine->ReleaseFrames();
    link.machine->Close(now);
    Flush(link, now);
  }
  if (loop_.IsCurrent()) {
    Linger(std::move(keep));
  } else {
    loop_.Post([this, keep = std::move(keep)]() mutable { Linger(std::move(keep)); });
  }
}

}  // namespace anywire::udp
