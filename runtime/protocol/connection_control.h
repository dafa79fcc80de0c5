// Stream 0: the connection's own conversation. Hello, keepalive and goodbye.
//
// What waits to be written is a flag and a slot each, never a queue: the last PING is the one that
// is answered.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_CONNECTION_CONTROL_H_
#define ANYWIRE_RUNTIME_PROTOCOL_CONNECTION_CONTROL_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/attributes.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "anywire/frame.h"
#include "runtime/protocol/protocol.h"
#include "runtime/protocol/timing_wheel.h"
#include "runtime/wire/control_frames.h"

namespace anywire::protocol {

class ConnectionControl {
 public:
  // The hello waits to be written from the start.
  ConnectionControl(FrameSink& sink, TimingWheel& timers, const Limits& limits,
                    const wire::Hello& hello, Instant now);

  // ---- sending
  bool pending() const { return pending_ != 0; }
  // Writes what waits. False: the sink has no room.
  bool Write();
  // "No new calls."
  void SayDraining();
  // The last word. Nothing but it is written from now on.
  void SayGoodbye(const absl::Status& why);

  // Nothing is written from now on.
  void Cease() { pending_ = 0; }

  // ---- receiving
  struct News {
    bool hello = false;  // peer_hello() has come
    bool draining = false;
    uint64_t credit = 0;
    uint64_t excess_credit = 0;
  };
  // A frame of stream 0, not empty. An error ends the connection.
  absl::Status OnFrame(absl::Span<const uint8_t> bytes, Instant now, News* news);
  const wire::Hello& peer_hello() const { return peer_hello_; }

  // ---- time
  std::chrono::nanoseconds handshake_timeout() const { return handshake_timeout_; }
  // Something has been received.
  void OnReceived(Instant now) { last_received_ = now; }
  // A call has been opened: keepalive watches.
  void OnCallOpened(Instant now) {
    if (!keepalive_timer_.is_set()) StartKeepalive(now);
  }
  bool IsMine(const TimingWheel::Timer* timer) const {
    return timer == &keepalive_timer_ || timer == &handshake_timer_;
  }
  // One of its timers is due. An error ends the connection.
  absl::Status OnTimer(const TimingWheel::Timer* timer, Instant now, bool calls_open);
  void StopTimers();

 private:
  enum Pending : uint8_t { kHello = 1, kPong = 2, kPing = 4, kDraining = 8, kGoodbye = 16 };

  ABSL_ATTRIBUTE_NOINLINE void StartKeepalive(Instant now);
  bool WriteFrame(absl::string_view frame);
  bool WritePingFrame(uint8_t kind, uint64_t value);
  absl::Status OnHello(absl::Span<const uint8_t> bytes, News* news);
  absl::Status OnPing(absl::Span<const uint8_t> bytes, Instant now);
  absl::Status OnGoaway(absl::Span<const uint8_t> bytes, News* news);

  FrameSink& sink_;
  TimingWheel& timers_;
  const std::chrono::nanoseconds handshake_timeout_;
  const std::chrono::nanoseconds keepalive_time_;
  const std::chrono::nanoseconds keepalive_timeout_;
  std::unique_ptr<const wire::Hello> hello_;  // until it is written
  uint8_t pending_ = kHello;
  uint64_t pong_value_ = 0;  // of the PONG to write
  uint64_t ping_value_ = 0;  // of the last PING; they count from 1
  uint64_t last_pong_ = 0;   // the latest that was answered
  bool ping_outstanding_ = false;
  bool has_peer_hello_ = false;
  wire::Hello peer_hello_;
  absl::Status goodbye_;
  Instant last_received_;
  Instant ping_sent_;
  // A bucket of pings that the peer may send, refilled with time.
  int64_t pings_allowed_;
  Instant pings_refilled_;
  TimingWheel::Timer handshake_timer_;
  TimingWheel::Timer keepalive_timer_;
};

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_CONNECTION_CONTROL_H_
