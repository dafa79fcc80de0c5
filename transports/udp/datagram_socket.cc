#include "transports/udp/datagram_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

#include "transports/stream/errno_status.h"

namespace anywire::udp {
namespace {

// What a window and a burst of strangers need. The system gives less where net.core.rmem_max says
// so; then bursts are lost sooner, and sent again.
constexpr int kBufferSize = 4 << 20;
// The most that one pass through the stack may carry, in bytes of payload.
constexpr size_t kLargestRun = kLargestDatagramSize;
constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;

bool SetOption(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

bool IsIcmp(int error) {
  return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
         error == EHOSTDOWN || error == ENOPROTOOPT || error == EACCES;
}

bool IsLackOfSegmentation(int error) { return error == EIO || error == EOPNOTSUPP; }

// One message of sendmmsg: a run of datagrams of one size, of which the last may be smaller.
struct Message {
  struct alignas(cmsghdr) Control {
    uint8_t bytes[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(in6_pktinfo))];
  };

  iovec bytes;
  size_t datagrams;
  Control control;
};

// Fills a header that was zero.
void Describe(Message& message, size_t segment_size, const DatagramPath& path, msghdr& header) {
  header.msg_iov = &message.bytes;
  header.msg_iovlen = 1;
  if (path.peer_size != 0) {
    header.msg_name = const_cast<sockaddr_in6*>(&path.peer);
    header.msg_namelen = path.peer_size;
  }
  size_t size = 0;
  const auto add = [&message, &size](int level, int type, const auto& value) {
    auto* const control = reinterpret_cast<cmsghdr*>(message.control.bytes + size);
    std::memset(control, 0, CMSG_SPACE(sizeof(value)));
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(sizeof(value));
    std::memcpy(CMSG_DATA(control), &value, sizeof(value));
    size += CMSG_SPACE(sizeof(value));
  };
  if (message.datagrams > 1) add(SOL_UDP, UDP_SEGMENT, static_cast<uint16_t>(segment_size));
  if (path.has_local() && path.peer.sin6_family == AF_INET) {
    in_pktinfo info = {};
    std::memcpy(&info.ipi_spec_dst, &path.local.s6_addr[12], sizeof(in_addr));
    add(IPPROTO_IP, IP_PKTINFO, info);
  } else if (path.has_local()) {
    in6_pktinfo info = {};
    info.ipi6_addr = path.local;
    info.ipi6_ifindex = path.interface;
    add(IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
  if (size == 0) return;
  header.msg_control = message.control.bytes;
  header.msg_controllen = size;
}

}  // namespace

DatagramSocket::DatagramSocket(DatagramSocket&& other) noexcept
    : fd_(std::move(other.fd_)), has_segmentation_(other.has_segmentation_.load()) {}

absl::StatusOr<DatagramSocket> DatagramSocket::Open(const SocketAddress& address) {
  DatagramSocket socket(
      UniqueFd(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP)));
  const int fd = socket.fd();
  if (!socket.fd_.valid()) return ErrnoStatus(errno, "socket");
  // Without what the system has not, it is slower, or its path MTU search finds less.
  SetOption(fd, SOL_SOCKET, SO_RCVBUF, kBufferSize);
  SetOption(fd, SOL_SOCKET, SO_SNDBUF, kBufferSize);
  SetOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  if (address.family() == AF_INET6) {
    SetOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  }
  SetOption(fd, SOL_UDP, UDP_GRO, 1);
  // A system that does not know it would ignore it in a message, and send all as one datagram.
  int unused;
  socklen_t size = sizeof(unused);
  socket.has_segmentation_ = getsockopt(fd, SOL_UDP, UDP_SEGMENT, &unused, &size) == 0;
  return socket;
}

absl::StatusOr<DatagramSocket> DatagramSocket::Bind(const SocketAddress& address, Reuse reuse) {
  absl::StatusOr<DatagramSocket> socket = Open(address);
  if (!socket.ok()) return socket;
  if (reuse == Reuse::kPort) {
    absl::Status status = socket->AllowReuse();
    if (!status.ok()) return status;
  }
  if (address.IsAny()) {
    // Without it answers leave from an address that the peer may not have asked.
    const bool has_v6 =
        address.family() != AF_INET6 || SetOption(socket->fd(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    if (!has_v6 || !SetOption(socket->fd(), IPPROTO_IP, IP_PKTINFO, 1)) {
      return ErrnoStatus(errno, "setsockopt");
    }
  }
  if (bind(socket->fd(), address.get(), address.size) != 0) {
    return ErrnoStatus(errno, address.ToString());
  }
  return socket;
}

absl::StatusOr<DatagramSocket> DatagramSocket::Connect(const SocketAddress& peer) {
  absl::StatusOr<DatagramSocket> socket = Open(peer);
  if (!socket.ok()) return socket;
  if (connect(socket->fd(), peer.get(), peer.size) != 0) {
    return ErrnoStatus(errno, peer.ToString());
  }
  return socket;
}

absl::Status DatagramSocket::AllowReuse() {
  if (SetOption(fd(), SOL_SOCKET, SO_REUSEPORT, 1)) return absl::OkStatus();
  return ErrnoStatus(errno, "SO_REUSEPORT");
}

absl::StatusOr<SocketAddress> DatagramSocket::local_address() const { return LocalAddress(fd()); }

int DatagramSocket::Receive(ReceiveBatch& batch) const {
  batch.Prepare();
  for (;;) {
    const int count =
        recvmmsg(fd(), batch.headers_, ReceiveBatch::kMessages, MSG_DONTWAIT, nullptr);
    if (count >= 0) {
      batch.count_ = static_cast<size_t>(count);
      return 0;
    }
    if (errno == EINTR) continue;
    return errno == EAGAIN ? 0 : errno;
  }
}

int DatagramSocket::Send(const SendBatch& batch, const DatagramPath& path, size_t* sent,
                         int* icmp) {
  const uint8_t* next = batch.bytes().data();
  for (size_t i = 0; i < *sent; ++i) next += batch.size(i);
  bool joins = has_segmentation_.load(std::memory_order_relaxed);
  bool again = false;  // the datagram at hand has been tried before
  while (*sent < batch.count()) {
    Message messages[SendBatch::kMaxDatagrams];
    mmsghdr headers[SendBatch::kMaxDatagrams];
    unsigned count = 0;
    const uint8_t* begin = next;
    for (size_t i = *sent; i < batch.count();) {
      Message& message = messages[count];
      const size_t segment = batch.size(i);
      size_t run = segment;
      size_t end = i + 1;
      bool smaller = false;
      for (; joins && end < batch.count() && !smaller; ++end) {
        if (batch.size(end) > segment || run + batch.size(end) > kLargestRun) break;
        smaller = batch.size(end) < segment;
        run += batch.size(end);
      }
      message.bytes = {const_cast<uint8_t*>(begin), run};
      message.datagrams = end - i;
      headers[count] = {};
      Describe(message, segment, path, headers[count].msg_hdr);
      ++count;
      begin += run;
      i = end;
    }
    const int done = count == 1 ? (sendmsg(fd(), &headers[0].msg_hdr, kFlags) >= 0 ? 1 : -1)
                                : sendmmsg(fd(), headers, count, kFlags);
    for (int i = 0; i < done; ++i) {
      *sent += messages[i].datagrams;
      next += messages[i].bytes.iov_len;
    }
    if (done > 0) {
      again = false;
      continue;
    }
    const int error = errno;
    if (error == EINTR) continue;
    if (error == EAGAIN || error == ENOBUFS) return error;
    if (IsIcmp(error)) {
      // Of an earlier one, mostly: this one has not been tried yet.
      *icmp = error;
      if (!std::exchange(again, true)) continue;
    } else if (messages[0].datagrams > 1) {
      // With one peer's datagrams there may be more amiss: they are too large for the way that they
      // take today, say. Then only they go one by one.
      if (IsLackOfSegmentation(error)) has_segmentation_.store(false, std::memory_order_relaxed);
      joins = false;
      continue;
    }
    // EMSGSIZE, for one: the network would have dropped it, too.
    again = false;
    next += batch.size(*sent);
    ++*sent;
  }
  return 0;
}

int DatagramSocket::SendOne(absl::Span<const uint8_t> datagram, const DatagramPath& path) {
  Message message;
  message.bytes = {const_cast<uint8_t*>(datagram.data()), datagram.size()};
  message.datagrams = 1;
  msghdr header = {};
  Describe(message, datagram.size(), path, header);
  const bool done = sendmsg(fd(), &header, kFlags) >= 0;
  return !done && (errno == EAGAIN || errno == ENOBUFS) ? errno : 0;
}

}  // namespace anywire::udp
