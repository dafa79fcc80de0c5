#include "tests/udp/man_in_the_middle.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdlib>

namespace anywire::test {
namespace {

constexpr size_t kLargest = 64 << 10;

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

ManInTheMiddle::ManInTheMiddle(absl::string_view server, OnDatagram on_datagram)
    : on_datagram_(std::move(on_datagram)),
      towards_server_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      towards_client_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  const SocketAddress peer = LookUp(*ParseHostPort(server), /*numeric_only=*/true)->front();
  Require(connect(towards_server_.get(), peer.get(), peer.size) == 0);
  const SocketAddress any_port = LookUp({"127.0.0.1", 0}, /*numeric_only=*/true)->front();
  Require(bind(towards_client_.get(), any_port.get(), any_port.size) == 0);
  address_ = LocalAddress(towards_client_.get())->ToString();
  int ends[2];
  Require(pipe2(ends, O_CLOEXEC) == 0);
  end_[0].Reset(ends[0]);
  end_[1].Reset(ends[1]);
  thread_ = std::thread([this] { Run(); });
}

ManInTheMiddle::~ManInTheMiddle() {
  end_[1].Reset();
  thread_.join();
}

void ManInTheMiddle::ToServer(absl::Span<const uint8_t> datagram) {
  (void)send(towards_server_.get(), datagram.data(), datagram.size(), 0);
}

void ManInTheMiddle::ToClient(absl::Span<const uint8_t> datagram) {
  const absl::MutexLock lock(&mutex_);
  if (client_.size == 0) return;
  (void)sendto(towards_client_.get(), datagram.data(), datagram.size(), 0, client_.get(),
               client_.size);
}

void ManInTheMiddle::Run() {
  pollfd watched[] = {{towards_client_.get(), POLLIN, 0},
                      {towards_server_.get(), POLLIN, 0},
                      {end_[0].get(), POLLIN, 0}};
  for (;;) {
    Require(poll(watched, 3, -1) > 0);
    if (watched[2].revents != 0) return;
    if (watched[0].revents != 0) PassOn(/*to_server=*/true);
    if (watched[1].revents != 0) PassOn(/*to_server=*/false);
  }
}

void ManInTheMiddle::PassOn(bool to_server) {
  Datagram datagram(kLargest);
  SocketAddress from;
  from.size = sizeof(from.storage);
  const int fd = to_server ? towards_client_.get() : towards_server_.get();
  const ssize_t size = recvfrom(fd, datagram.data(), datagram.size(), 0,
                                reinterpret_cast<sockaddr*>(&from.storage), &from.size);
  if (size < 0) return;  // an error that the socket had to report
  datagram.resize(static_cast<size_t>(size));
  on_datagram_(to_server, datagram);
  if (!to_server) return ToClient(datagram);
  {
    const absl::MutexLock lock(&mutex_);
    client_ = from;
  }
  ToServer(datagram);
}

}  // namespace anywire::test
