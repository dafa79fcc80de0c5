#include "transports/shm/shm_handshake.h"

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "transports/stream/errno_status.h"

namespace anywire {
namespace {

// Room for more descriptors than belong there, so that those can be seen, and closed.
constexpr size_t kMostDescriptors = 4;

// `memfd`, if there is one, goes with the first byte.
absl::Status SendAll(int socket, const uint8_t* bytes, size_t size, int memfd) {
  while (size > 0) {
    iovec piece = {const_cast<uint8_t*>(bytes), size};
    msghdr message = {};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    if (memfd >= 0) {
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
      cmsghdr* const header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(header), &memfd, sizeof(int));
    }
    const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == ETOOMANYREFS) {
        return absl::ResourceExhaustedError(
            "sending the handshake: too many descriptors of this user are on their way");
      }
      return ErrnoStatus(errno, "sending the handshake");
    }
    memfd = -1;
    bytes += sent;
    size -= static_cast<size_t>(sent);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SendShmPreface(int socket) { return SendAll(socket, kShmPreface, kPrefaceSize, -1); }

absl::Status SendShmOffer(int socket, int memfd, uint64_t ring_size) {
  uint8_t offer[kShmOfferSize];
  std::copy_n(kShmPreface, kPrefaceSize, offer);
  for (size_t i = 0; i < 8; ++i) offer[kPrefaceSize + i] = static_cast<uint8_t>(ring_size >> 8 * i);
  return SendAll(socket, offer, sizeof(offer), memfd);
}

absl::StatusOr<bool> ShmOfferReader::Read(int socket) {
  while (size_ < kShmOfferSize) {
    iovec piece = {bytes_ + size_, kShmOfferSize - size_};
    msghdr message = {};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))];
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t received = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (received < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return false;
      return ErrnoStatus(errno, "the handshake");
    }
    size_t descriptors = 0;
    bool too_many = false;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
      for (size_t at = CMSG_LEN(0); at + sizeof(int) <= header->cmsg_len; at += sizeof(int)) {
        int fd;
        std::memcpy(&fd, reinterpret_cast<const char*>(header) + at, sizeof(int));
        too_many |= memfd_.valid();
        memfd_.Reset(fd);
        ++descriptors;
      }
    }
    if (too_many || ((message.msg_flags & MSG_CTRUNC) != 0 && descriptors != 0)) {
      return absl::DataLossError("the peer's handshake has more than one descriptor");
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0) {
      return absl::ResourceExhaustedError("no descriptor left for the peer's memory");
    }
    if (received == 0) return absl::UnavailableError("closed by peer during the handshake");
    size_ += static_cast<size_t>(received);
    if (!std::equal(bytes_, bytes_ + std::min(size_, kPrefaceSize), kShmPreface)) {
      return absl::DataLossError("the peer's handshake is not that of shared memory");
    }
  }
  if (!memfd_.valid()) return absl::DataLossError("the peer's handshake has no descriptor");
  return true;
}

absl::StatusOr<std::unique_ptr<ShmRegion>> ShmOfferReader::Open() const {
  uint64_t ring_size = 0;
  for (size_t i = 0; i < 8; ++i) ring_size |= uint64_t{bytes_[kPrefaceSize + i]} << 8 * i;
  return ShmRegion::Open(memfd_.get(), ring_size);
}

}  // namespace anywire
