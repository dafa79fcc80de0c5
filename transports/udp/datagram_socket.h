// One UDP socket: many datagrams with one system call, by segmentation offload where the system has
// it (UDP_SEGMENT and UDP_GRO: one pass through the kernel's stack for datagrams of one size).
#ifndef ANYWIRE_TRANSPORTS_UDP_DATAGRAM_SOCKET_H_
#define ANYWIRE_TRANSPORTS_UDP_DATAGRAM_SOCKET_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "transports/stream/unique_fd.h"
#include "transports/tcp/socket_address.h"
#include "transports/udp/datagram_batch.h"
#include "transports/udp/datagram_path.h"

namespace anywire::udp {

class DatagramSocket {
 public:
  enum class Reuse {
    kNone,
    kPort,  // SO_REUSEPORT: shares its port with others of ours, and the system deals out peers
  };

  // Non-blocking, with as large buffers as the system gives, and forbidden to fragment. Statuses
  // are transport.h's; ALREADY_EXISTS for an address that is taken.
  static absl::StatusOr<DatagramSocket> Bind(const SocketAddress& address, Reuse reuse);
  static absl::StatusOr<DatagramSocket> Connect(const SocketAddress& peer);

  DatagramSocket(DatagramSocket&& other) noexcept;
  DatagramSocket& operator=(DatagramSocket&&) = delete;

  int fd() const { return fd_.get(); }
  absl::StatusOr<SocketAddress> local_address() const;
  // Others may share the port from now on.
  absl::Status AllowReuse();

  // Takes what has come, as far as it fits into `batch`, without waiting. 0, or the error that the
  // system had for us: on a connected socket what ICMP says of earlier datagrams, which anybody on
  // the path may have made up. One at a time.
  int Receive(ReceiveBatch& batch) const;

  // Sends the datagrams of `batch` from `*sent` on, which moves ahead; what the system has dropped
  // counts as sent. Returns 0 when all are; EAGAIN or ENOBUFS when there is no room for the next at
  // present. `*icmp`: as the error of Receive, else left as it is. Any thread.
  int Send(const SendBatch& batch, const DatagramPath& path, size_t* sent, int* icmp);
  // The same of one datagram.
  int SendOne(absl::Span<const uint8_t> datagram, const DatagramPath& path);

 private:
  explicit DatagramSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  static absl::StatusOr<DatagramSocket> Open(const SocketAddress& address);

  UniqueFd fd_;
  // Until the system, or the interface on the way, refuses it.
  std::atomic<bool> has_segmentation_{false};
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_DATAGRAM_SOCKET_H_
