// One connection of packet: a connected SOCK_SEQPACKET socket.
#ifndef ANYWIRE_EXAMPLES_OWN_TRANSPORT_PACKET_CONNECTION_H_
#define ANYWIRE_EXAMPLES_OWN_TRANSPORT_PACKET_CONNECTION_H_

#include <atomic>
#include <deque>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "anywire/event_loop.h"
#include "anywire/transport.h"

namespace own_transport {

class PacketConnection final : public anywire::Connection, private anywire::EventLoop::Watch {
 public:
  static constexpr size_t kMaxFrameSize = 32 << 10;
  // What may wait, in bytes of memory, before NewFrame refuses: frames of one byte take room too.
  static constexpr size_t kMaxUnsent = 256 << 10;
  static constexpr size_t kHeaderSize = 8;
  static constexpr size_t kFrameOverhead = kHeaderSize + sizeof(std::vector<uint8_t>);

  // Takes over `fd`, which is non-blocking. `address` is the listener's URI.
  PacketConnection(anywire::EventLoop& loop, int fd, bool connecting, const std::string& address);
  ~PacketConnection() override;

  void Start(Events& events) override;
  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) override;
  bool Publish() override;
  absl::Status Transmit() override;
  absl::StatusOr<absl::Span<const anywire::ReceivedFrame>> Receive(
      anywire::Instant wait_until) override;
  void ReleaseFrames() override {}
  void WatchReadable(bool on) override;
  void Abort() override;
  const anywire::ConnectionInfo& info() const override { return info_; }
  anywire::EventLoop& loop() const override { return loop_; }

 private:
  using Packet = std::vector<uint8_t>;

  void OnReady(uint32_t events) override;
  void UpdateWatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  anywire::EventLoop& loop_;
  const int fd_;
  anywire::ConnectionInfo info_;
  Events* events_ = nullptr;
  std::atomic<bool> aborted_{false};

  absl::Status send_status_;     // Transmit's
  absl::Status receive_status_;  // Receive's
  Packet received_;
  anywire::ReceivedFrame received_frame_;

  absl::Mutex mutex_;
  std::deque<Packet> unsent_ ABSL_GUARDED_BY(mutex_);  // in order, the published ones first
  size_t published_ ABSL_GUARDED_BY(mutex_) = 0;       // packets
  size_t unsent_bytes_ ABSL_GUARDED_BY(mutex_) = 0;    // with kFrameOverhead for each
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
  bool blocked_ ABSL_GUARDED_BY(mutex_) = false;  // the socket is full; want_writable_ is set
  bool want_readable_ ABSL_GUARDED_BY(mutex_) = false;
  bool want_writable_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace own_transport

#endif  // ANYWIRE_EXAMPLES_OWN_TRANSPORT_PACKET_CONNECTION_H_
