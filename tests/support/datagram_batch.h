// Many datagrams in one system call, of any size that UDP has.
#ifndef ANYWIRE_TESTS_SUPPORT_DATAGRAM_BATCH_H_
#define ANYWIRE_TESTS_SUPPORT_DATAGRAM_BATCH_H_

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "transports/tcp/socket_address.h"

namespace anywire::test {

inline constexpr size_t kDatagramBatch = 64;
inline constexpr size_t kLargestDatagram = 64 << 10;  // more than the length field of UDP can say

// Room for what one call receives: 4 MiB, of which what has come is used.
class ReceiveBatch {
 public:
  ReceiveBatch();

  // Takes from a socket what is there, without waiting. How many have come: 0 also when the socket
  // has an error to report, which is then reported no more.
  size_t Receive(int fd);

  // Of the last Receive; valid until the next.
  absl::Span<const uint8_t> bytes(size_t i) const {
    return {&room_[i * kLargestDatagram], messages_[i].msg_len};
  }
  const SocketAddress& from(size_t i) const { return from_[i]; }

 private:
  const std::unique_ptr<uint8_t[]> room_;
  mmsghdr messages_[kDatagramBatch];
  iovec pieces_[kDatagramBatch];
  SocketAddress from_[kDatagramBatch];
};

// Datagrams to be sent from one socket.
class SendBatch {
 public:
  bool full() const { return size_ == kDatagramBatch; }
  // Both live until Send; no address: the socket's peer. Not when it is full.
  void Add(absl::Span<const uint8_t> bytes, const SocketAddress* to);
  // Sends all without waiting. How many the system has refused: its buffers are full, or one is too
  // large for it.
  size_t Send(int fd);

 private:
  mmsghdr messages_[kDatagramBatch] = {};
  iovec pieces_[kDatagramBatch] = {};
  size_t size_ = 0;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_DATAGRAM_BATCH_H_
