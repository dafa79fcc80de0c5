// Internet addresses as text and as the system has them.
#ifndef ANYWIRE_TRANSPORTS_TCP_SOCKET_ADDRESS_H_
#define ANYWIRE_TRANSPORTS_TCP_SOCKET_ADDRESS_H_

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace anywire {

// "host:port", where the host is a name, an IPv4 address or an IPv6 address in brackets.
struct HostPort {
  std::string host;  // without brackets
  uint16_t port = 0;
};
absl::StatusOr<HostPort> ParseHostPort(absl::string_view text);

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  bool IsLoopback() const;
  bool IsAny() const;
  uint16_t port() const;
  // "127.0.0.1:80", "[::1]:80"
  std::string ToString() const;
};
// getsockname(2) and getpeername(2).
absl::StatusOr<SocketAddress> LocalAddress(int fd);
absl::StatusOr<SocketAddress> RemoteAddress(int fd);
bool operator==(const SocketAddress& a, const SocketAddress& b);  // address and port

// The addresses with IPv6 and IPv4 in turn, beginning with the family of the first.
std::vector<SocketAddress> InterleaveFamilies(const std::vector<SocketAddress>& addresses);

// getaddrinfo(3), in its order. With `numeric_only` it does no I/O and fails for names; otherwise
// it may take as long as the system's resolver does.
absl::StatusOr<std::vector<SocketAddress>> LookUp(const HostPort& host_port, bool numeric_only);

// Those to listen on for "host:port", the first that can be had: numeric ones without I/O, those of
// a name on the spot, which may take as long as the system's resolver does.
absl::StatusOr<std::vector<SocketAddress>> LookUpToListen(absl::string_view address);

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_TCP_SOCKET_ADDRESS_H_
