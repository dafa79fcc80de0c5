// Several datagrams that one system call moves.
#ifndef ANYWIRE_TRANSPORTS_UDP_DATAGRAM_BATCH_H_
#define ANYWIRE_TRANSPORTS_UDP_DATAGRAM_BATCH_H_

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/types/span.h"
#include "transports/udp/datagram_path.h"
#include "transports/udp/reliability/options.h"

namespace anywire::udp {

// Datagrams to one peer, one behind the other in memory, as segmentation offload wants them.
class SendBatch {
 public:
  static constexpr size_t kMaxDatagrams = 64;    // UDP_SEGMENT's own limit
  static constexpr size_t kMaxBytes = 64 << 10;  // and one more datagram

  SendBatch() : memory_(new uint8_t[kMaxBytes + kLargestDatagramSize]) {}

  bool empty() const { return count_ == 0; }
  bool full() const { return count_ == kMaxDatagrams || end_ >= kMaxBytes; }
  size_t count() const { return count_; }
  size_t size(size_t i) const { return sizes_[i]; }
  absl::Span<const uint8_t> bytes() const { return absl::MakeConstSpan(memory_.get(), end_); }

  // Where the next datagram goes, unless full().
  absl::Span<uint8_t> room() { return absl::MakeSpan(memory_.get() + end_, kLargestDatagramSize); }
  // It has been written there, and has so many bytes.
  void Add(size_t size) {
    sizes_[count_++] = static_cast<uint16_t>(size);
    end_ += size;
  }
  void Clear() { count_ = end_ = 0; }

 private:
  const std::unique_ptr<uint8_t[]> memory_;
  size_t count_ = 0;
  size_t end_ = 0;
  uint16_t sizes_[kMaxDatagrams];
};

// What has come. Memory is touched only as far as datagrams need it.
class ReceiveBatch {
 public:
  static constexpr size_t kMessages = 16;
  // A message is one datagram, or several of one size that the kernel has joined.
  static constexpr size_t kMessageSize = 64 << 10;

  ReceiveBatch();

  // As many as the last Receive of a socket has put here.
  size_t count() const { return count_; }
  // Each datagram of message `i`, by `take(bytes)`, under the locks of the caller.
  template <typename Take>
  void Each(size_t i, Take take) const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    absl::Span<const uint8_t> rest(memory_.get() + i * kMessageSize, headers_[i].msg_len);
    const size_t size = DatagramSize(i);
    for (; rest.size() > size; rest.remove_prefix(size)) take(rest.first(size));
    take(rest);
  }
  // Where they are from, and to which of our addresses.
  DatagramPath Path(size_t i) const;

 private:
  friend class DatagramSocket;

  static constexpr size_t kControlSize =
      CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(in_pktinfo));
  struct alignas(cmsghdr) Control {
    uint8_t bytes[kControlSize];
  };

  // Before the next recvmmsg, which fills headers_.
  void Prepare();
  size_t DatagramSize(size_t i) const;

  const std::unique_ptr<uint8_t[]> memory_;
  size_t count_ = 0;
  mmsghdr headers_[kMessages];
  iovec buffers_[kMessages];
  sockaddr_in6 peers_[kMessages];
  Control controls_[kMessages];
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_DATAGRAM_BATCH_H_
