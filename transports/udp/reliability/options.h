// What can be set of a connection, and the constants that cannot.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_OPTIONS_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_OPTIONS_H_

#include <cstddef>
#include <cstdint>

#include "transports/udp/reliability/time.h"

namespace anywire::udp {

// What every path carries, in bytes of UDP payload; also the smallest OPEN (RFC 9000, section 14).
inline constexpr size_t kBaseDatagramSize = 1200;
// The largest UDP payload over IPv4.
inline constexpr size_t kLargestDatagramSize = 65'507;
// A frame counts its bytes and this much of a window, for what is kept beside them (cost_test.cc
// measures that).
inline constexpr size_t kFrameCost = 128;
// A sender begins no frame whose id is this much above the lowest unfinished one.
inline constexpr uint64_t kFrameSpan = 4096;
// The least that any transport offers (Connection in transport.h), and the most of the format.
inline constexpr size_t kSmallestMaxFrameSize = 1024;
inline constexpr size_t kLargestMaxFrameSize = 64 << 10;
inline constexpr size_t kLargestWindow = 1 << 30;
// So that no sum of an instant and a few of them overflows.
inline constexpr Duration kLongestTimeout = std::chrono::hours(24);
inline constexpr Duration kLongestInitialRtt = std::chrono::seconds(10);
inline constexpr Duration kLongestGranularity = std::chrono::seconds(1);
inline constexpr Duration kLongestMaxAckDelay = std::chrono::seconds(1);

enum class CongestionControl {
  kNewReno,  // RFC 9002, appendix B
  kCubic,    // RFC 9438
};

// Sizes are bytes. Machines clamp nothing: values out of range are the caller's mistake and abort
// (Checked).
struct Options {
  // Largest frame that we take and give, kSmallestMaxFrameSize to kLargestMaxFrameSize.
  size_t max_frame_size = 16 << 10;
  // Counts of frames (kFrameCost) that we let the peer send before their owner has let go of
  // them. At least max_frame_size + kFrameCost, at most kLargestWindow.
  size_t receive_window = 1 << 20;
  // Counts of frames that wait to be sent or acknowledged; beyond it NewFrame has no room, but for
  // a first one. 1 to kLargestWindow.
  size_t send_buffer = 1 << 20;
  // Counts of one stream's frames that may be begun and unacknowledged; one always may. 1 to
  // kLargestWindow.
  size_t stream_window = 256 << 10;
  // Largest datagram that we take, and the most that the path MTU search looks for:
  // kBaseDatagramSize to kLargestDatagramSize. The default is Ethernet's over IPv6.
  size_t max_datagram_size = 1452;

  // Until the round trip has been measured (kInitialRtt of RFC 9002, section 6.2.2). 1 us to
  // kLongestInitialRtt.
  Duration initial_rtt = std::chrono::milliseconds(333);
  // The least time that counts as late (kGranularity of RFC 9002, section 6.1.2). RFC 9002 says a
  // millisecond for timers of that kind; paths within a host have round trips of microseconds. 1 us
  // to kLongestGranularity.
  Duration granularity = std::chrono::microseconds(100);
  // The longest that we delay an acknowledgement, 0 to kLongestMaxAckDelay. The peer's probe
  // timeout is so much longer, and with it the time that the loss of a call's only packet costs.
  Duration max_ack_delay = std::chrono::microseconds(500);
  // So many ack-eliciting packets are acknowledged at once, though they came in order. At least 1.
  int ack_every = 10;
  // And so many bytes of them: a window of few large packets would wait for its acknowledgement
  // otherwise. At least 1.
  size_t ack_every_bytes = 32 << 10;
  CongestionControl congestion_control = CongestionControl::kCubic;

  // Timeouts are from 1 ms (but linger_timeout from 0) to kLongestTimeout.
  //
  // The connection ends when nothing has come for so long; counted in whole milliseconds.
  Duration idle_timeout = std::chrono::seconds(30);
  // With KeepAlive(true), a PING goes when nothing has come for so long.
  Duration keepalive_interval = std::chrono::seconds(10);
  // A client's attempt to connect is given up after so long.
  Duration handshake_timeout = std::chrono::seconds(30);
  // A server's half of a connection is given up so long after its client's last OPEN: two or three
  // of its client's probes, for those are cheap to try again, and half a connection is not free.
  Duration half_open_timeout = std::chrono::seconds(5);
  // After Close, what is not acknowledged by then is given up.
  Duration linger_timeout = std::chrono::seconds(3);
};

// Aborts unless all are in their ranges.
const Options& Checked(const Options& options);

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_OPTIONS_H_
