// One congestion control for the TCP sockets of all programs, whoever makes them: gRPC has no
// setting for it, and the system's may pace even on the loopback (BBR does). anywire chooses the
// same by itself for loopback connections (transports/tcp).
//
// A definition of socket() in the program takes the place of the C library's also for shared
// libraries; sockets that are accepted have it of their listener.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>

extern "C" int socket(int domain, int type, int protocol) {
  const int fd = static_cast<int>(syscall(SYS_socket, domain, type, protocol));
  // Without SOCK_NONBLOCK and SOCK_CLOEXEC.
  const bool stream = (type & 0xf) == SOCK_STREAM;
  if (fd >= 0 && stream && (domain == AF_INET || domain == AF_INET6)) {
    for (const char* name : {"cubic", "reno"}) {
      if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, strlen(name)) == 0) break;
    }
  }
  return fd;
}
