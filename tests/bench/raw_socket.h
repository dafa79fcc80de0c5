// Sockets: their addresses, and connections whose bytes go through them.
#ifndef ANYWIRE_TESTS_BENCH_RAW_SOCKET_H_
#define ANYWIRE_TESTS_BENCH_RAW_SOCKET_H_

#include <sys/socket.h>
#include <sys/un.h>

#include <memory>
#include <string>

#include "tests/bench/raw_connection.h"

namespace anywire::bench {

// An address of anywire's: tcp, udp (an IPv4 address and a port, which may be 0), unix,
// unix-abstract, shm (where its memory is handed over).
class SocketUri {
 public:
  explicit SocketUri(const std::string& uri);
  // A socket that is bound there and, if it is one of streams, listens.
  int Listen() const;
  int Connect() const;
  // The URI with the port that `listener` has.
  std::string Bound(int listener) const;

 private:
  int NewSocket() const;

  const std::string uri_;
  int type_ = SOCK_STREAM;
  sockaddr_storage storage_ = {};
  socklen_t size_ = 0;
};

// The connection over the socket `fd`, which it owns, of either side.
std::unique_ptr<RawConnection> OverSocket(int fd, bool spins);

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_RAW_SOCKET_H_
