#include "transports/stream/socket_io.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "absl/base/config.h"

namespace anywire {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kSecond = 1000 * kMillisecond;
constexpr int64_t kForever = INT64_MAX;
// SO_RCVTIMEO counts in the kernel's ticks, commonly 4 ms, and rounds up. Shorter waits, and the
// end of longer ones, are left to ppoll, which is exact and a system call more.
constexpr int64_t kTick = 4 * kMillisecond;
constexpr int64_t kShortestBlockingWait = 10 * kMillisecond;

int64_t Remaining(Instant wait_until) {
  if (wait_until == Instant::max()) return kForever;
  if (wait_until <= Instant()) return 0;  // does not ask the clock
  return std::chrono::duration_cast<std::chrono::nanoseconds>(wait_until -
                                                              std::chrono::steady_clock::now())
      .count();
}

// recv and send without the preparations for pthread_cancel that glibc makes around them, which
// cost two atomic operations each and more instructions than all else in here. (A thread that is
// cancelled in the middle of a call is beyond help anyway.) The sanitizers learn from glibc's who
// has heard of what, and which bytes are touched.
#if defined(ABSL_HAVE_THREAD_SANITIZER) || defined(ABSL_HAVE_ADDRESS_SANITIZER)
ssize_t RecvBytes(int fd, void* to, size_t size, int flags) { return recv(fd, to, size, flags); }
ssize_t SendBytes(int fd, const void* from, size_t size, int flags) {
  return send(fd, from, size, flags);
}
#else
ssize_t RecvBytes(int fd, void* to, size_t size, int flags) {
  return syscall(SYS_recvfrom, fd, to, size, flags, nullptr, nullptr);
}
ssize_t SendBytes(int fd, const void* from, size_t size, int flags) {
  return syscall(SYS_sendto, fd, from, size, flags, nullptr, 0);
}
#endif

}  // namespace

ssize_t SocketIo::Read(absl::Span<const iovec> to, Instant wait_until) {
  for (bool again = false;; again = true) {
    const int64_t remaining = Remaining(wait_until);
    int flags = 0;
    if (remaining < kShortestBlockingWait) {
      flags = MSG_DONTWAIT;
      if (remaining > 0 && !AwaitReadable(remaining)) return -EAGAIN;
    } else {
      LimitBlocking(remaining, again);
    }
    const ssize_t size = Receive(to, flags);
    if (size >= 0) return size;
    if (errno == EINTR || (errno == EAGAIN && remaining > 0)) continue;
    return -errno;
  }
}

bool SocketIo::AwaitReadable(int64_t remaining_ns) const {
  pollfd readable = {fd(), POLLIN, 0};
  const timespec timeout = {0, static_cast<long>(remaining_ns)};
  return ppoll(&readable, 1, &timeout, nullptr) != 0;
}

// Makes a blocking recv return at most at the end of `remaining_ns`. It may return well before, for
// the sake of leaving the socket as it is; the caller then comes again, with `again` set, and has
// the limit set as long as it can be.
void SocketIo::LimitBlocking(int64_t remaining_ns, bool again) {
  const int64_t present = receive_timeout_ns_;
  if (remaining_ns == kForever) {
    if (present == 0 || (!again && present >= kSecond)) return;
    remaining_ns = 0;
  } else {
    const bool never_late = present != 0 && present <= remaining_ns - kTick;
    if (never_late && !again && present >= remaining_ns / 2 - kTick) return;
    // Room for limits that shrink from call to call towards one deadline.
    remaining_ns -= remaining_ns / 8 + kTick;
    remaining_ns = std::max(kTick, remaining_ns - remaining_ns % kTick);
  }
  if (remaining_ns != present) SetReceiveTimeout(remaining_ns);
}

void SocketIo::SetReceiveTimeout(int64_t timeout_ns) {
  timeval timeout;
  timeout.tv_sec = timeout_ns / kSecond;
  timeout.tv_usec = timeout_ns % kSecond / 1000;
  if (setsockopt(fd(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0) {
    receive_timeout_ns_ = timeout_ns;
  }
}

ssize_t SocketIo::Receive(absl::Span<const iovec> to, int flags) {
  if (to.size() == 1) return RecvBytes(fd(), to[0].iov_base, to[0].iov_len, flags);
  msghdr message = {};
  message.msg_iov = const_cast<iovec*>(to.data());
  message.msg_iovlen = to.size();
  return recvmsg(fd(), &message, flags);
}

ssize_t SocketIo::Write(absl::Span<const iovec> from) {
  constexpr int kFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
  for (;;) {
    ssize_t size;
    if (from.size() == 1) {
      size = SendBytes(fd(), from[0].iov_base, from[0].iov_len, kFlags);
    } else {
      msghdr message = {};
      message.msg_iov = const_cast<iovec*>(from.data());
      message.msg_iovlen = from.size();
      size = sendmsg(fd(), &message, kFlags);
    }
    if (size >= 0) return size;
    if (errno != EINTR) return -errno;
  }
}

bool SocketIo::AwaitRoom(Instant wait_until, bool* peer_closed) {
  for (;;) {
    const int64_t remaining = Remaining(wait_until);
    if (remaining <= 0) return false;
    pollfd room = {fd(), POLLOUT | POLLRDHUP, 0};
    const timespec timeout = {remaining / kSecond, static_cast<long>(remaining % kSecond)};
    const int ready = ppoll(&room, 1, remaining == kForever ? nullptr : &timeout, nullptr);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    *peer_closed = (room.revents & POLLRDHUP) != 0;
    return true;
  }
}

void SocketIo::Shutdown() { shutdown(fd(), SHUT_RDWR); }

}  // namespace anywire
