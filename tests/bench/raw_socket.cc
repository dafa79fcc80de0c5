#include "tests/bench/raw_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include <cstddef>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "tests/bench/system.h"

namespace anywire::bench {
namespace {

class SocketConnection final : public RawConnection {
 public:
  SocketConnection(int fd, bool spins) : fd_(fd), spins_(spins) {}
  ~SocketConnection() override { close(fd_); }

  void Write(absl::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno == EINTR) continue;
        Die(absl::StrCat("cannot send: ", strerror(errno)));
      }
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }

  size_t Read(char* buffer, size_t size) override {
    while (true) {
      const ssize_t got = recv(fd_, buffer, size, spins_ ? MSG_DONTWAIT : 0);
      if (got >= 0) return static_cast<size_t>(got);
      if (errno == ECONNRESET) return 0;
      if (errno != EAGAIN && errno != EINTR) Die(absl::StrCat("cannot receive: ", strerror(errno)));
    }
  }

  void EndWriting() override { shutdown(fd_, SHUT_WR); }

  void Shutdown() override { shutdown(fd_, SHUT_RDWR); }

 private:
  const int fd_;
  const bool spins_;
};

}  // namespace

SocketUri::SocketUri(const std::string& uri) : uri_(uri) {
  absl::string_view rest = uri;
  if (absl::StartsWith(rest, "tcp:") || absl::StartsWith(rest, "udp:")) {
    type_ = rest[0] == 't' ? SOCK_STREAM : SOCK_DGRAM;
    rest.remove_prefix(4);
    absl::ConsumePrefix(&rest, "//");
    const size_t colon = rest.rfind(':');
    int port;
    if (!absl::SimpleAtoi(rest.substr(colon + 1), &port)) Die("no port: " + uri);
    auto& address = reinterpret_cast<sockaddr_in&>(storage_);
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    if (inet_pton(AF_INET, std::string(rest.substr(0, colon)).c_str(), &address.sin_addr) != 1) {
      Die("no IPv4 address: " + uri);
    }
    size_ = sizeof address;
    return;
  }
  const bool is_abstract = absl::ConsumePrefix(&rest, "unix-abstract:");
  if (!is_abstract && !absl::ConsumePrefix(&rest, "unix:") && !absl::ConsumePrefix(&rest, "shm:")) {
    Die("no socket's address: " + uri);
  }
  absl::ConsumePrefix(&rest, "//");
  auto& address = reinterpret_cast<sockaddr_un&>(storage_);
  address.sun_family = AF_UNIX;
  char* const path = address.sun_path + (is_abstract ? 1 : 0);
  if (rest.size() >= sizeof address.sun_path - 1) Die("too long: " + uri);
  memcpy(path, rest.data(), rest.size());
  size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + rest.size() + 1);
}

int SocketUri::NewSocket() const {
  const int fd = socket(storage_.ss_family, type_ | SOCK_CLOEXEC, 0);
  if (fd < 0) Die(absl::StrCat("no socket: ", strerror(errno)));
  const int on = 1;
  if (storage_.ss_family == AF_INET && type_ == SOCK_STREAM) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // accepted ones have it from it
  }
  return fd;
}

int SocketUri::Listen() const {
  const int fd = NewSocket();
  if (bind(fd, reinterpret_cast<const sockaddr*>(&storage_), size_) != 0 ||
      (type_ == SOCK_STREAM && listen(fd, 128) != 0)) {
    Die(absl::StrCat("cannot listen on ", uri_, ": ", strerror(errno)));
  }
  return fd;
}

int SocketUri::Connect() const {
  const int fd = NewSocket();
  if (connect(fd, reinterpret_cast<const sockaddr*>(&storage_), size_) != 0) {
    Die(absl::StrCat("cannot connect to ", uri_, ": ", strerror(errno)));
  }
  return fd;
}

std::string SocketUri::Bound(int listener) const {
  if (storage_.ss_family != AF_INET) return uri_;
  sockaddr_in address = {};
  socklen_t size = sizeof address;
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  char host[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
  return absl::StrCat(type_ == SOCK_STREAM ? "tcp://" : "udp://", host, ":",
                      ntohs(address.sin_port));
}

std::unique_ptr<RawConnection> OverSocket(int fd, bool spins) {
  return std::make_unique<SocketConnection>(fd, spins);
}

}  // namespace anywire::bench
