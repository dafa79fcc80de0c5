// Whether this host has IPv6: a container often has none.
#ifndef ANYWIRE_TESTS_SUPPORT_IPV6_H_
#define ANYWIRE_TESTS_SUPPORT_IPV6_H_

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace anywire::test {

// Whether a socket can be bound to the loopback's address of IPv6.
inline bool HasIpv6() {
  const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in6 loopback = {};
  loopback.sin6_family = AF_INET6;
  loopback.sin6_addr = IN6ADDR_LOOPBACK_INIT;
  const bool bound = bind(fd, reinterpret_cast<const sockaddr*>(&loopback), sizeof(loopback)) == 0;
  close(fd);
  return bound;
}

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_IPV6_H_
