// A Connection over a UDP socket: what its owner has of a link.
#ifndef ANYWIRE_TRANSPORTS_UDP_UDP_CONNECTION_H_
#define ANYWIRE_TRANSPORTS_UDP_UDP_CONNECTION_H_

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "anywire/transport.h"
#include "transports/udp/udp_socket.h"

namespace anywire::udp {

class UdpConnection final : public Connection {
 public:
  // `link`, of `socket`, is owned from now on. `keep` keeps the socket. Of `info`, what the machine
  // decides is filled in here: `link` is no longer opening. `datagram_size` is the most that it may
  // come to.
  UdpConnection(UdpSocket& socket, UdpLink& link, std::shared_ptr<void> keep, ConnectionInfo info,
                size_t datagram_size)
      : socket_(socket), link_(link), keep_(std::move(keep)), info_(std::move(info)) {
    info_.max_frame_size = link.machine->max_frame_size();
    // Where a datagram has room for one, a piece fills it; elsewhere it is in many anyway.
    const size_t most = info_.max_frame_size;
    const size_t fits = datagram_size - kPieceOverhead;
    info_.piece_size = fits > most / 2 ? std::min(most, fits) : most;
    info_.ordered_across_streams = false;
  }
  ~UdpConnection() override { socket_.LetGo(link_, std::move(keep_)); }

  void Start(Events& events) override { socket_.Start(link_, events); }
  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) override {
    return socket_.NewFrame(link_, stream, size);
  }
  bool AddPiece(uint64_t stream, absl::Span<const uint8_t> head, const SharedMessageMemory& memory,
                size_t offset, size_t size) override {
    return socket_.AddPiece(link_, stream, head, memory, offset, size);
  }
  bool Publish() override { return socket_.Publish(link_); }
  absl::Status Transmit() override { return socket_.Transmit(link_); }
  absl::Status TransmitUntil(Instant wait_until) override {
    return socket_.TransmitUntil(link_, wait_until);
  }
  absl::StatusOr<absl::Span<const ReceivedFrame>> Receive(Instant wait_until) override {
    return socket_.Receive(link_, wait_until);
  }
  void ReleaseFrames() override { socket_.ReleaseFrames(link_); }
  void WatchReadable(bool on) override { socket_.WatchReadable(link_, on); }
  void Abort() override { socket_.Abort(link_); }
  const ConnectionInfo& info() const override { return info_; }
  EventLoop& loop() const override { return socket_.loop(); }

 private:
  // Of a datagram with one frame, at most: its header, an ACK, the chunk's header, the check.
  static constexpr size_t kPieceOverhead = 96;

  UdpSocket& socket_;
  UdpLink& link_;
  std::shared_ptr<void> keep_;
  ConnectionInfo info_;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_UDP_CONNECTION_H_
