#include "transports/stream/stream_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>
#include <utility>

#include "transports/stream/errno_status.h"
#include "transports/stream/preface.h"

namespace anywire {
namespace {

constexpr std::chrono::milliseconds kPollInterval(10);
// What a closed socket discards of unread bytes, at most so many blocks.
constexpr int kMaxDiscards = 16;

absl::Status AbortedStatus() {
  return absl::UnavailableError("the connection was aborted on this side");
}

absl::Status IoStatus(int error) {
  switch (error) {
    case EPIPE:
      return absl::UnavailableError("closed by peer");
    case ECONNRESET:
      return absl::UnavailableError("closed by peer: connection reset");
    case ETIMEDOUT:
      return absl::UnavailableError("the peer does not answer");
    default:
      return ErrnoStatus(error, "socket");
  }
}

}  // namespace

// Looks after a connection that epoll has no room for: its owner hears of readiness by the clock.
class StreamConnection::Poller final : public EventLoop::Alarm {
 public:
  Poller(EventLoop& loop, StreamConnection& connection) : Alarm(loop), connection_(connection) {}

  void OnAlarm(Instant now) override {
    uint32_t events;
    {
      MutexLock lock(&connection_.watch_mutex_);
      events = connection_.watched_events_;
    }
    if (events == 0) return;
    Set(now + kPollInterval);
    pollfd ready = {connection_.io_.fd(), static_cast<short>(events), 0};  // as epoll's, by value
    if (poll(&ready, 1, 0) > 0) connection_.OnReady(static_cast<uint32_t>(ready.revents));
  }

 private:
  StreamConnection& connection_;
};

StreamConnection::StreamConnection(EventLoop& loop, UniqueFd fd, ConnectionInfo info,
                                   const StreamOptions& options)
    : loop_(loop),
      info_(std::move(info)),
      io_(std::move(fd)),
      output_(options.max_frame_size, options.max_unsent),
      input_(options.max_frame_size) {
  info_.max_frame_size = options.max_frame_size;
  info_.ordered_across_streams = true;
  info_.waiting_is_cheaper = true;
}

StreamConnection::~StreamConnection() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  MutexLock lock(&watch_mutex_);
  if (watched_) loop_.RemoveWatch(io_.fd(), *this);
  // TCP answers unread bytes with a reset, which would overtake what we sent last.
  io_.Shutdown();
  const InputBlockPtr discarded = BorrowInputBlock();
  for (int i = 0; i < kMaxDiscards; ++i) {
    if (recv(io_.fd(), discarded->bytes, InputBlock::kSize, MSG_DONTWAIT) <= 0) break;
  }
}

void StreamConnection::Start(Events& events) {
  events_ = &events;
  MutexLock lock(&watch_mutex_);
  watched_ = loop_.AddWatch(io_.fd(), 0, *this).ok();
  if (!watched_) poller_ = std::make_unique<Poller>(loop_, *this);
}

absl::Status StreamConnection::TransmitUntil(Instant wait_until) {
  if (!send_status_.ok()) return send_status_;
  if (aborted_.load(std::memory_order_acquire)) return SendFailed(AbortedStatus());
  bool room = false;
  for (;;) {
    iovec pieces[FrameOutput::kMaxPieces];
    const size_t count = output_.Gather(pieces);
    if (count == 0) break;
    ssize_t wanted = 0;
    for (size_t i = 0; i < count; ++i) wanted += static_cast<ssize_t>(pieces[i].iov_len);
    ssize_t sent = io_.Write(absl::MakeConstSpan(pieces, count));
    if (sent == -EAGAIN) sent = 0;
    if (sent < 0) {
      return SendFailed(aborted_.load(std::memory_order_acquire)
                            ? AbortedStatus()
                            : IoStatus(static_cast<int>(-sent)));
    }
    const bool waits = sent < wanted && wait_until > Instant();
    room |= output_.Consume(static_cast<size_t>(sent), /*blocked=*/sent < wanted && !waits);
    if (waits) {
      if (AwaitRoom(wait_until)) continue;
      room |= output_.Consume(0, /*blocked=*/true);
    }
    if (sent < wanted) {
      WatchWritable();
      break;
    }
    if (count < FrameOutput::kMaxPieces) break;
  }
  if (room) CallOnWritable(nullptr);
  return absl::OkStatus();
}

bool StreamConnection::AwaitRoom(Instant wait_until) {
  bool peer_closed = false;
  if (!io_.AwaitRoom(wait_until, &peer_closed)) return false;
  // A peer that sends no more reads no more, but there may never be room again to find out.
  if (peer_closed) shutdown(io_.fd(), SHUT_WR);
  return true;
}

absl::Status StreamConnection::SendFailed(absl::Status status) {
  output_.Fail();
  send_status_ = std::move(status);
  return send_status_;
}

absl::StatusOr<absl::Span<const ReceivedFrame>> StreamConnection::Receive(Instant wait_until) {
  if (aborted_.load(std::memory_order_acquire)) {
    input_.Release();
    return AbortedStatus();
  }
  if (!receive_status_.ok()) {
    input_.Release();
    return receive_status_;
  }
  for (;;) {
    const absl::Span<const iovec> room = input_.Prepare();
    const ssize_t size = io_.Read(room, wait_until);
    if (aborted_.load(std::memory_order_acquire)) {
      input_.Release();
      return AbortedStatus();
    }
    if (size <= 0) {
      input_.Release();
      if (size == -EAGAIN) return absl::Span<const ReceivedFrame>();
      if (size < 0) {
        receive_status_ = IoStatus(static_cast<int>(-size));
      } else {
        receive_status_ = absl::UnavailableError(
            input_.in_frame() ? "closed by peer in the middle of a frame" : "closed by peer");
      }
      // A peer that sends no more reads no more, but a sender that waits for room would learn it
      // only when the peer's socket is gone too.
      io_.Shutdown();
      return receive_status_;
    }
    input_.Commit(static_cast<size_t>(size));
    if (input_.error() != nullptr) {
      receive_status_ = absl::DataLossError(input_.error());
      // Nothing that comes now can be understood; what we have to say to it may still leave.
      shutdown(io_.fd(), SHUT_RD);
    }
    if (!input_.frames().empty()) return input_.frames();
    if (!receive_status_.ok()) {
      input_.Release();
      return receive_status_;
    }
    // A part of a frame. When not waiting, that was all there is.
    if (wait_until <= Instant()) {
      input_.Release();
      return absl::Span<const ReceivedFrame>();
    }
  }
}

void StreamConnection::WatchReadable(bool on) {
  MutexLock lock(&watch_mutex_);
  want_readable_ = on;
  UpdateWatch();
}

void StreamConnection::WatchWritable() {
  MutexLock lock(&watch_mutex_);
  want_writable_ = true;
  UpdateWatch();
}

void StreamConnection::UpdateWatch() {
  uint32_t events = 0;
  if (want_readable_) events |= EPOLLIN;
  if (want_writable_) events |= EPOLLOUT | EPOLLRDHUP;
  if (events == watched_events_) return;
  watched_events_ = events;
  if (watched_) {
    loop_.ChangeWatch(io_.fd(), events, *this);
  } else if (events != 0) {
    poller_->SetNoLaterThan(std::chrono::steady_clock::now() + kPollInterval);
  }
}

void StreamConnection::OnReady(uint32_t events) {
  constexpr uint32_t kEnd = EPOLLERR | EPOLLHUP;
  bool readable, writable = false;
  {
    MutexLock lock(&watch_mutex_);
    readable = want_readable_ && (events & (EPOLLIN | kEnd)) != 0;
    if (want_writable_ && (events & (EPOLLOUT | EPOLLRDHUP | kEnd)) != 0) {
      // A peer that sends no more reads no more, but there may never be room again to find out.
      if ((events & EPOLLRDHUP) != 0) shutdown(io_.fd(), SHUT_WR);
      writable = true;
      want_writable_ = false;  // until Transmit meets a full socket again
    }
  }
  if (writable) {
    output_.Unblock();
    bool destroyed = false;
    destroyed_ = &destroyed;
    CallOnWritable(&destroyed);
    if (destroyed) return;
    destroyed_ = nullptr;
    // Only now: mostly the socket is full again, and watched already.
    MutexLock lock(&watch_mutex_);
    UpdateWatch();
  }
  if (readable) events_->OnReadable();
}

// The loop's thread and a transmitting one may both have cause; the later lets the earlier repeat.
void StreamConnection::CallOnWritable(const bool* destroyed) {
  {
    MutexLock lock(&watch_mutex_);
    if (calling_on_writable_) {
      call_on_writable_again_ = true;
      return;
    }
    calling_on_writable_ = true;
  }
  for (bool again = true; again;) {
    events_->OnWritable();
    if (destroyed != nullptr && *destroyed) return;
    MutexLock lock(&watch_mutex_);
    again = std::exchange(call_on_writable_again_, false);
    calling_on_writable_ = again;
  }
}

void StreamConnection::Abort() {
  aborted_.store(true, std::memory_order_release);
  io_.Shutdown();
}

absl::StatusOr<std::unique_ptr<Connection>> BeginStream(EventLoop& loop, UniqueFd fd,
                                                        ConnectionInfo info,
                                                        const StreamOptions& options) {
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK) < 0) {
    return ErrnoStatus(errno, "fcntl");
  }
  // A new socket has room for it.
  for (size_t done = 0; done < kPrefaceSize;) {
    const ssize_t sent =
        send(fd.get(), kPreface + done, kPrefaceSize - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EINTR) return ErrnoStatus(errno, "sending the preface");
    if (sent > 0) done += static_cast<size_t>(sent);
  }
  return std::make_unique<StreamConnection>(loop, std::move(fd), std::move(info), options);
}

}  // namespace anywire
