#include "transports/udp/datagram_faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

namespace {

struct Faults {
  std::mutex mutex;
  bool on = false;
  std::function<bool(absl::Span<const uint8_t>)> arrives;
  int segmentation_error = 0;
  int calls_before = 0;
  int failures = 0;
  int error = 0;
  int calls = 0;
  int segmented = 0;
};
Faults& faults() {
  static Faults* const all = new Faults();
  return *all;
}

template <typename Function>
Function* System(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

ssize_t SystemSend(int fd, const msghdr* message, int flags) {
  static auto* const send = System<ssize_t(int, const msghdr*, int)>("sendmsg");
  return send(fd, message, flags);
}

// 0: it is one datagram.
size_t SegmentSize(const msghdr& message) {
  auto& header = const_cast<msghdr&>(message);
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    uint16_t size;
    if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_SEGMENT) continue;
    std::memcpy(&size, CMSG_DATA(c), sizeof(size));
    return size;
  }
  return 0;
}

ssize_t Fail(int error) {
  errno = error;
  return -1;
}

// A call of its own, if `counts`.
ssize_t Send(int fd, const msghdr& message, int flags, bool counts) {
  Faults& now = faults();
  const std::lock_guard<std::mutex> lock(now.mutex);
  if (!now.on) return SystemSend(fd, &message, flags);
  if (counts) ++now.calls;
  if (counts && now.failures > 0 && --now.calls_before < 0) {
    --now.failures;
    return Fail(now.error);
  }
  const size_t segment = SegmentSize(message);
  if (segment > 0) ++now.segmented;
  if (segment > 0 && now.segmentation_error != 0) return Fail(now.segmentation_error);
  if (now.arrives == nullptr) return SystemSend(fd, &message, flags);
  const iovec& all = message.msg_iov[0];
  const size_t size = segment > 0 ? segment : all.iov_len;
  for (size_t begin = 0; begin < all.iov_len; begin += size) {
    iovec one = {static_cast<uint8_t*>(all.iov_base) + begin, std::min(size, all.iov_len - begin)};
    if (!now.arrives({static_cast<uint8_t*>(one.iov_base), one.iov_len})) continue;
    msghdr header = message;
    header.msg_iov = &one;
    // (Nothing that is lost comes from an address of several.)
    if (segment > 0) header.msg_controllen = 0;
    if (SystemSend(fd, &header, flags) < 0) return -1;
  }
  return static_cast<ssize_t>(all.iov_len);
}

}  // namespace

extern "C" {

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  int type = 0;
  socklen_t size = sizeof(type);
  const bool is_datagram =
      getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM;
  return is_datagram ? Send(fd, *message, flags, true) : SystemSend(fd, message, flags);
}

int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  for (unsigned i = 0; i < count; ++i) {
    const ssize_t sent = Send(fd, messages[i].msg_hdr, flags, i == 0);
    if (sent < 0) return i == 0 ? -1 : static_cast<int>(i);
    messages[i].msg_len = static_cast<unsigned>(sent);
  }
  return static_cast<int>(count);
}

}  // extern "C"

namespace anywire::udp::test {

DatagramFaults::DatagramFaults() {
  const std::lock_guard<std::mutex> lock(faults().mutex);
  faults().on = true;
}

DatagramFaults::~DatagramFaults() {
  Faults& now = faults();
  const std::lock_guard<std::mutex> lock(now.mutex);
  now.on = false;
  now.arrives = nullptr;
  now.segmentation_error = now.failures = now.calls = now.segmented = 0;
}

void DatagramFaults::LoseUnless(std::function<bool(absl::Span<const uint8_t> datagram)> arrives) {
  const std::lock_guard<std::mutex> lock(faults().mutex);
  faults().arrives = std::move(arrives);
}

void DatagramFaults::RefuseSegmentation(int error) {
  const std::lock_guard<std::mutex> lock(faults().mutex);
  faults().segmentation_error = error;
}

void DatagramFaults::FailSends(int calls, int times, int error) {
  const std::lock_guard<std::mutex> lock(faults().mutex);
  faults().calls_before = calls;
  faults().failures = times;
  faults().error = error;
}

int DatagramFaults::calls() const {
  const std::lock_guard<std::mutex> lock(faults().mutex);
  return faults().calls;
}

int DatagramFaults::segmented() const {
  const std::lock_guard<std::mutex> lock(faults().mutex);
  return faults().segmented;
}

}  // namespace anywire::udp::test
