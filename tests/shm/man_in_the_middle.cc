#include "tests/shm/man_in_the_middle.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

#include "transports/shm/shm_handshake.h"
#include "transports/unix/unix_address.h"

namespace anywire::test {
namespace {

constexpr int kTickMs = 20;  // between looks at ending_

UniqueFd StreamSocket() { return UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

bool Readable(int fd) {
  pollfd readable = {fd, POLLIN, 0};
  return poll(&readable, 1, kTickMs) > 0;
}

// The offer's descriptor, from a blocking socket.
UniqueFd ReceiveOffer(int fd) {
  uint8_t offer[kShmOfferSize];
  iovec piece = {offer, sizeof(offer)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message = {};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL) != ssize_t{kShmOfferSize}) return {};
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) return {};
  int memfd;
  std::memcpy(&memfd, CMSG_DATA(header), sizeof(memfd));
  return UniqueFd(memfd);
}

}  // namespace

ManInTheMiddle::ManInTheMiddle(const std::string& path, const std::string& server_path,
                               size_t ring_size)
    : server_path_(server_path), ring_size_(ring_size), listening_(StreamSocket()) {
  const UnixSocketAddress at = MakeUnixAddress(UnixNamespace::kPath, path);
  if (bind(listening_.get(), at.get(), at.size) != 0 || listen(listening_.get(), 100) != 0) abort();
  thread_ = std::thread([this] { Run(); });
}

ManInTheMiddle::~ManInTheMiddle() {
  ending_ = true;
  thread_.join();
  for (std::thread& relay : relays_) relay.join();
}

std::shared_ptr<ShmRegion> ManInTheMiddle::region() const {
  absl::MutexLock lock(&mutex_);
  return region_;
}

void ManInTheMiddle::Run() {
  while (!ending_) {
    if (!Readable(listening_.get())) continue;
    UniqueFd client(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client.valid()) continue;
    relays_.emplace_back(
        [this, client = std::move(client)]() mutable { Relay(std::move(client)); });
  }
}

void ManInTheMiddle::Relay(UniqueFd client) {
  uint8_t preface[kPrefaceSize];
  if (recv(client.get(), preface, sizeof(preface), MSG_WAITALL) != ssize_t{kPrefaceSize}) return;
  const UniqueFd server = StreamSocket();
  const UnixSocketAddress to = MakeUnixAddress(UnixNamespace::kPath, server_path_);
  if (connect(server.get(), to.get(), to.size) != 0) return;
  if (!SendShmPreface(server.get()).ok()) return;
  {
    const UniqueFd memfd = ReceiveOffer(server.get());
    if (!memfd.valid()) return;
    absl::StatusOr<std::unique_ptr<ShmRegion>> region = ShmRegion::Open(memfd.get(), ring_size_);
    if (!region.ok() || !SendShmOffer(client.get(), memfd.get(), ring_size_).ok()) return;
    absl::MutexLock lock(&mutex_);
    region_ = std::move(*region);
    ++connections_;
  }
  pollfd ends[2] = {{client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}};
  while (!ending_) {
    if (poll(ends, 2, kTickMs) <= 0) continue;
    for (int i : {0, 1}) {
      if (ends[i].revents == 0) continue;
      char rings[64];
      const ssize_t size = recv(ends[i].fd, rings, sizeof(rings), MSG_DONTWAIT);
      if (size == 0 || (size < 0 && errno != EAGAIN)) return;
      if (size > 0) (void)send(ends[1 - i].fd, rings, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
  }
}

}  // namespace anywire::test
