#include "tests/support/datagram_batch.h"

#include <errno.h>

#include <algorithm>

namespace anywire::test {

ReceiveBatch::ReceiveBatch() : room_(new uint8_t[kDatagramBatch * kLargestDatagram]) {
  for (size_t i = 0; i < kDatagramBatch; ++i) {
    pieces_[i] = {&room_[i * kLargestDatagram], kLargestDatagram};
    messages_[i] = {};
    messages_[i].msg_hdr.msg_iov = &pieces_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
    messages_[i].msg_hdr.msg_name = &from_[i].storage;
  }
}

size_t ReceiveBatch::Receive(int fd) {
  for (mmsghdr& message : messages_) message.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
  const int count = recvmmsg(fd, messages_, kDatagramBatch, MSG_DONTWAIT, nullptr);
  if (count <= 0) return 0;
  for (int i = 0; i < count; ++i) from_[i].size = messages_[i].msg_hdr.msg_namelen;
  return static_cast<size_t>(count);
}

void SendBatch::Add(absl::Span<const uint8_t> bytes, const SocketAddress* to) {
  // (The system reads both and writes neither.)
  pieces_[size_] = {const_cast<uint8_t*>(bytes.data()), bytes.size()};
  msghdr& header = messages_[size_].msg_hdr;
  header = {};
  header.msg_iov = &pieces_[size_];
  header.msg_iovlen = 1;
  if (to != nullptr) {
    header.msg_name = const_cast<sockaddr*>(to->get());
    header.msg_namelen = to->size;
  }
  ++size_;
}

size_t SendBatch::Send(int fd) {
  size_t refused = 0;
  bool had_error = false;
  for (size_t sent = 0; sent < size_;) {
    const int count =
        sendmmsg(fd, &messages_[sent], static_cast<unsigned>(size_ - sent), MSG_DONTWAIT);
    if (count > 0) {
      sent += static_cast<size_t>(count);
      had_error = false;
    } else if (errno == ECONNREFUSED && !had_error) {
      had_error = true;  // may be that of an earlier datagram, to which nobody listened
    } else {
      ++refused;
      ++sent;
      had_error = false;
    }
  }
  size_ = 0;
  return refused;
}

}  // namespace anywire::test
