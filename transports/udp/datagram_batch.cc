#include "transports/udp/datagram_batch.h"

#include <netinet/udp.h>

#include <algorithm>
#include <cstring>

namespace anywire::udp {

ReceiveBatch::ReceiveBatch() : memory_(new uint8_t[kMessages * kMessageSize]) {
  std::memset(headers_, 0, sizeof(headers_));
  for (size_t i = 0; i < kMessages; ++i) {
    buffers_[i] = {memory_.get() + i * kMessageSize, kMessageSize};
    headers_[i].msg_hdr.msg_iov = &buffers_[i];
    headers_[i].msg_hdr.msg_iovlen = 1;
    headers_[i].msg_hdr.msg_name = &peers_[i];
    headers_[i].msg_hdr.msg_control = &controls_[i];
  }
  count_ = kMessages;
  Prepare();
}

void ReceiveBatch::Prepare() {
  for (size_t i = 0; i < std::min(count_ + 1, kMessages); ++i) {
    headers_[i].msg_hdr.msg_namelen = sizeof(peers_[i]);
    headers_[i].msg_hdr.msg_controllen = sizeof(controls_[i]);
  }
  count_ = 0;
}

size_t ReceiveBatch::DatagramSize(size_t i) const {
  msghdr& message = const_cast<msghdr&>(headers_[i].msg_hdr);
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) continue;
    int size;
    std::memcpy(&size, CMSG_DATA(c), sizeof(size));
    if (size > 0) return static_cast<size_t>(size);
  }
  return kMessageSize;
}

DatagramPath ReceiveBatch::Path(size_t i) const {
  DatagramPath path;
  msghdr& message = const_cast<msghdr&>(headers_[i].msg_hdr);
  path.peer_size = message.msg_namelen;
  std::memcpy(&path.peer, &peers_[i], path.peer_size);
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof(info));
      path.local = in6addr_any;
      path.local.s6_addr[10] = path.local.s6_addr[11] = 0xff;
      std::memcpy(&path.local.s6_addr[12], &info.ipi_addr, sizeof(in_addr));
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof(info));
      path.local = info.ipi6_addr;
      if (IN6_IS_ADDR_LINKLOCAL(&path.local)) path.interface = info.ipi6_ifindex;
    }
  }
  return path;
}

}  // namespace anywire::udp
