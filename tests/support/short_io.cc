#include "tests/support/short_io.h"

#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>

#include "absl/base/attributes.h"

namespace {

// 0: no limit.
std::atomic<size_t> piece{0};
std::atomic<uint64_t> shortened_calls{0};

bool IsByteStream(int fd) {
  const int error = errno;
  int type = 0;
  socklen_t size = sizeof(type);
  struct stat status;
  const bool stream = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0
                          ? type == SOCK_STREAM
                          : fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
  errno = error;
  return stream;
}

// Every so many shortened calls one moves more, so that large messages end within a test's
// patience.
constexpr uint64_t kLargerPieceEvery = 16;
constexpr size_t kLargerPiece = 4096;

// How many of `size` bytes a call on `fd` may move.
size_t Allowed(int fd, size_t size) {
  const size_t limit = piece.load(std::memory_order_relaxed);
  if (limit == 0 || size <= limit || !IsByteStream(fd)) return size;
  const uint64_t number = shortened_calls.fetch_add(1, std::memory_order_relaxed);
  const bool larger = number % kLargerPieceEvery == kLargerPieceEvery - 1;
  return std::min(size, larger ? kLargerPiece : limit);
}

// A message header whose buffers are cut to what is allowed; the rest is shared with `message`.
struct ShortMessage {
  msghdr header;
  iovec buffer;
  ShortMessage(int fd, const msghdr& message) : header(message), buffer{} {
    size_t size = 0;
    for (size_t i = 0; i < message.msg_iovlen; ++i) size += message.msg_iov[i].iov_len;
    const size_t allowed = Allowed(fd, size);
    if (allowed == size) return;
    const iovec* first = message.msg_iov;
    while (first->iov_len == 0) ++first;
    buffer = {first->iov_base, std::min(first->iov_len, allowed)};
    header.msg_iov = &buffer;
    header.msg_iovlen = 1;
  }
};

ShortMessage ShortVector(int fd, const iovec* buffers, int count) {
  msghdr message = {};
  message.msg_iov = const_cast<iovec*>(buffers);
  message.msg_iovlen = count;
  return ShortMessage(fd, message);
}

// The system's, which stands behind ours of that name.
template <typename... Arguments>
long Syscall(long number, Arguments... arguments) {
  using Function = long(long, ...);
  static std::atomic<Function*> found{nullptr};
  Function* system = found.load(std::memory_order_relaxed);
  if (system == nullptr) {
    system = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, "syscall"));
    found.store(system, std::memory_order_relaxed);
  }
  return system(number, arguments...);
}

}  // namespace

// The system's functions, by their own names.
extern "C" {

// (As the system's, it takes six arguments whether they were given or not.)
ABSL_ATTRIBUTE_NO_SANITIZE_ADDRESS long syscall(long number, ...) noexcept {
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  if (number == SYS_recvfrom || number == SYS_sendto) {
    arguments[2] = static_cast<long>(
        Allowed(static_cast<int>(arguments[0]), static_cast<size_t>(arguments[2])));
  }
  return Syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                 arguments[5]);
}

ssize_t read(int fd, void* to, size_t size) { return Syscall(SYS_read, fd, to, Allowed(fd, size)); }

ssize_t write(int fd, const void* from, size_t size) {
  return Syscall(SYS_write, fd, from, Allowed(fd, size));
}

ssize_t recv(int fd, void* to, size_t size, int flags) {
  return Syscall(SYS_recvfrom, fd, to, Allowed(fd, size), flags, nullptr, nullptr);
}

ssize_t send(int fd, const void* from, size_t size, int flags) {
  return Syscall(SYS_sendto, fd, from, Allowed(fd, size), flags, nullptr, 0);
}

ssize_t readv(int fd, const iovec* to, int count) {
  const ShortMessage message = ShortVector(fd, to, count);
  return Syscall(SYS_readv, fd, message.header.msg_iov, message.header.msg_iovlen);
}

ssize_t writev(int fd, const iovec* from, int count) {
  const ShortMessage message = ShortVector(fd, from, count);
  return Syscall(SYS_writev, fd, message.header.msg_iov, message.header.msg_iovlen);
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  ShortMessage cut(fd, *message);
  const ssize_t received = Syscall(SYS_recvmsg, fd, &cut.header, flags);
  message->msg_namelen = cut.header.msg_namelen;
  message->msg_controllen = cut.header.msg_controllen;
  message->msg_flags = cut.header.msg_flags;
  return received;
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  const ShortMessage cut(fd, *message);
  return Syscall(SYS_sendmsg, fd, &cut.header, flags);
}

}  // extern "C"

namespace anywire::test {

ShortIo::ShortIo(size_t most) { piece.store(most); }
ShortIo::~ShortIo() { piece.store(0); }
uint64_t ShortIo::shortened() { return shortened_calls.load(); }

}  // namespace anywire::test
