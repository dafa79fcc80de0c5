// Reading and writing one stream socket with as few system calls as there can be.
//
// The socket is in blocking mode. A read that may wait is one blocking recv, whose time limit is
// the socket's SO_RCVTIMEO; that is set anew only when the wanted limit differs materially, so that
// call after call with the same timeout costs no further system call. What must not wait says so
// with MSG_DONTWAIT. (TLS comes in beside this class, with the same functions.)
#ifndef ANYWIRE_TRANSPORTS_STREAM_SOCKET_IO_H_
#define ANYWIRE_TRANSPORTS_STREAM_SOCKET_IO_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/types/span.h"
#include "anywire/event_loop.h"
#include "transports/stream/unique_fd.h"

namespace anywire {

class SocketIo {
 public:
  explicit SocketIo(UniqueFd fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }

  // Reads what there is, waiting for the first byte until `wait_until` (in the past, for instance
  // Instant::min(): does not wait; Instant::max(): for ever). Returns the bytes read, 0 at the end,
  // or a negative errno: -EAGAIN when the time is over. One at a time.
  ssize_t Read(absl::Span<const iovec> to, Instant wait_until);

  // Writes what fits now. Returns the bytes written or a negative errno: -EAGAIN when none fit. One
  // at a time, beside Read.
  ssize_t Write(absl::Span<const iovec> from);

  // Waits until Write would take something or tell an error. False: `wait_until` has passed. One at
  // a time with Write. `*peer_closed`: the peer sends no more.
  bool AwaitRoom(Instant wait_until, bool* peer_closed);

  // ANY THREAD, any time. Ends both directions; a waiting Read returns 0.
  void Shutdown();

 private:
  ssize_t Receive(absl::Span<const iovec> to, int flags);
  void LimitBlocking(int64_t remaining_ns, bool again);
  ABSL_ATTRIBUTE_NOINLINE void SetReceiveTimeout(int64_t timeout_ns);
  // Less than a second. False: there is nothing to read by then.
  ABSL_ATTRIBUTE_NOINLINE bool AwaitReadable(int64_t remaining_ns) const;

  UniqueFd fd_;
  int64_t receive_timeout_ns_ = 0;  // SO_RCVTIMEO as it is set; 0: without limit
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_STREAM_SOCKET_IO_H_
