// What is remembered of a packet until it is acknowledged or lost (RFC 9002, appendix A.1.1).
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_SENT_PACKET_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_SENT_PACKET_H_

#include <cstdint>

#include "transports/udp/reliability/time.h"

namespace anywire::udp {

// A part of a frame: bytes `begin` to before `end`.
struct FramePiece {
  uint64_t frame_id = 0;
  uint32_t begin = 0;
  uint32_t end = 0;
};

struct SentPacket {
  enum class State : uint8_t {
    kSkipped,  // its number was left out
    kOutstanding,
    kAcked,
    kLost,
  };

  Instant time_sent;
  uint32_t size = 0;  // of the datagram, bytes
  State state = State::kSkipped;
  // Ack-eliciting packets are in flight, and are lost or acknowledged. Others are remembered only
  // for the ACK that they carry.
  bool ack_eliciting = false;
  bool is_mtu_probe = false;
  bool has_max_data = false;
  bool has_close = false;
  bool has_ack = false;
  uint64_t largest_acked = 0;  // by the ACK that it carries
  uint64_t first_piece = 0;    // of LossDetector's, and how many
  uint32_t pieces = 0;

  // What it takes of the congestion window while it is in flight. A path MTU probe takes nothing:
  // it may be larger than the window, and there is one at a time (RFC 8899, section 3).
  uint32_t window_bytes() const { return ack_eliciting && !is_mtu_probe ? size : 0; }
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_SENT_PACKET_H_
