#include "examples/own_transport/packet_connection.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace own_transport {
namespace {

using anywire::Instant;
using anywire::ReceivedFrame;

absl::Status ErrnoStatus(int error) {
  if (error == EPIPE || error == ECONNRESET) return absl::UnavailableError("closed by peer");
  return absl::UnavailableError(absl::StrCat("packet socket: ", strerrordesc_np(error)));
}

absl::Status AbortedStatus() {
  return absl::UnavailableError("the connection was aborted on this side");
}

// Waits for a packet or the end. False: the time is over.
bool WaitForPacket(int fd, Instant wait_until) {
  for (;;) {
    timespec timeout = {};
    if (wait_until != Instant::max()) {
      const auto left = std::max<std::chrono::nanoseconds>(
          std::chrono::nanoseconds(0), wait_until <= Instant()
                                           ? std::chrono::nanoseconds(0)
                                           : wait_until - std::chrono::steady_clock::now());
      timeout.tv_sec = left.count() / 1'000'000'000;
      timeout.tv_nsec = left.count() % 1'000'000'000;
    }
    pollfd readable = {fd, POLLIN, 0};
    const int ready =
        ppoll(&readable, 1, wait_until == Instant::max() ? nullptr : &timeout, nullptr);
    if (ready > 0) return true;
    if (ready == 0) return false;
  }
}

}  // namespace

PacketConnection::PacketConnection(anywire::EventLoop& loop, int fd, bool connecting,
                                   const std::string& address)
    : loop_(loop), fd_(fd), received_(kHeaderSize + kMaxFrameSize) {
  (connecting ? info_.remote_address : info_.local_address) = address;
  ucred peer;
  socklen_t size = sizeof(peer);
  if (getsockopt(fd_, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) {
    info_.peer.credentials = {peer.uid, peer.gid, peer.pid};
  }
  info_.max_frame_size = kMaxFrameSize;
  info_.ordered_across_streams = true;
  info_.host_private = true;
}

PacketConnection::~PacketConnection() {
  if (events_ != nullptr) loop_.RemoveWatch(fd_, *this);
  // Closing over unread packets would be an error at the peer, ahead of what we sent last.
  shutdown(fd_, SHUT_RDWR);
  while (recv(fd_, received_.data(), received_.size(), MSG_DONTWAIT) > 0) {
  }
  close(fd_);
}

void PacketConnection::Start(Events& events) {
  events_ = &events;
  const absl::Status status = loop_.AddWatch(fd_, 0, *this);
  if (!status.ok()) {
    std::fprintf(stderr, "packet: %s\n", status.ToString().c_str());
    std::abort();
  }
}

// ---- sending ----

absl::Span<uint8_t> PacketConnection::NewFrame(uint64_t stream, size_t size) {
  absl::MutexLock lock(&mutex_);
  if (failed_) {
    unsent_.clear();
    published_ = unsent_bytes_ = 0;
  }
  if (unsent_bytes_ != 0 && unsent_bytes_ + size + kFrameOverhead > kMaxUnsent) {
    // What is unsent was published, or will be; OnWritable follows when some of it has gone.
    want_writable_ = true;
    UpdateWatch();
    return {};
  }
  unsent_bytes_ += size + kFrameOverhead;
  Packet& packet = unsent_.emplace_back(kHeaderSize + size);
  for (size_t i = 0; i < kHeaderSize; ++i) packet[i] = static_cast<uint8_t>(stream >> (8 * i));
  return absl::MakeSpan(packet).subspan(kHeaderSize);
}

bool PacketConnection::Publish() {
  absl::MutexLock lock(&mutex_);
  published_ = unsent_.size();
  // While the socket is full there is nothing to do for Transmit; OnWritable will say when.
  return published_ != 0 && !blocked_;
}

absl::Status PacketConnection::Transmit() {
  absl::MutexLock lock(&mutex_);
  blocked_ = false;
  while (send_status_.ok() && published_ != 0) {
    if (aborted_) {
      send_status_ = AbortedStatus();
      break;
    }
    const Packet& packet = unsent_.front();
    const ssize_t sent = send(fd_, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      unsent_bytes_ -= packet.size() - kHeaderSize + kFrameOverhead;
      unsent_.pop_front();
      --published_;
    } else if (errno == EAGAIN) {
      blocked_ = want_writable_ = true;
      UpdateWatch();
      return absl::OkStatus();
    } else if (errno != EINTR) {
      send_status_ = ErrnoStatus(errno);
    }
  }
  if (send_status_.ok() && aborted_) send_status_ = AbortedStatus();
  failed_ = !send_status_.ok();
  return send_status_;
}

// ---- receiving ----

absl::StatusOr<absl::Span<const ReceivedFrame>> PacketConnection::Receive(Instant wait_until) {
  for (;;) {
    if (aborted_) return AbortedStatus();
    if (!receive_status_.ok()) return receive_status_;
    if (!WaitForPacket(fd_, wait_until)) return absl::Span<const ReceivedFrame>();
    // MSG_TRUNC: the packet's size, even if it does not fit.
    const ssize_t size = recv(fd_, received_.data(), received_.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (aborted_) return AbortedStatus();
    if (size < 0) {
      receive_status_ = ErrnoStatus(errno);
    } else if (size == 0) {
      receive_status_ = absl::UnavailableError("closed by peer");
    } else if (static_cast<size_t>(size) <= kHeaderSize ||
               static_cast<size_t>(size) > received_.size()) {
      receive_status_ = absl::DataLossError("a packet without a body, or longer than allowed");
    } else {
      received_frame_.stream = 0;
      for (size_t i = 0; i < kHeaderSize; ++i) {
        received_frame_.stream |= static_cast<uint64_t>(received_[i]) << (8 * i);
      }
      received_frame_.bytes =
          absl::MakeConstSpan(received_).subspan(kHeaderSize, size - kHeaderSize);
      return absl::MakeConstSpan(&received_frame_, 1);
    }
  }
}

// ---- readiness ----

void PacketConnection::WatchReadable(bool on) {
  absl::MutexLock lock(&mutex_);
  want_readable_ = on;
  UpdateWatch();
}

void PacketConnection::UpdateWatch() {
  uint32_t events = 0;
  if (want_readable_) events |= EPOLLIN;
  if (want_writable_) events |= EPOLLOUT;
  loop_.ChangeWatch(fd_, events, *this);
}

void PacketConnection::OnReady(uint32_t events) {
  bool readable, writable = false;
  {
    absl::MutexLock lock(&mutex_);
    readable = want_readable_ && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
    if (want_writable_ && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
      writable = true;
      blocked_ = want_writable_ = false;
      UpdateWatch();
    }
  }
  // Either call may destroy us, so it is the last thing done; what is readable still is next time.
  if (writable) {
    events_->OnWritable();
  } else if (readable) {
    events_->OnReadable();
  }
}

// ---- the end ----

void PacketConnection::Abort() {
  aborted_ = true;
  shutdown(fd_, SHUT_RDWR);
}

}  // namespace own_transport
