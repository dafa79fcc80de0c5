#include "transports/udp/reliability/options.h"

#include "absl/base/macros.h"

namespace anywire::udp {
namespace {

template <typename T>
void CheckRange(T least, T value, T most) {
  ABSL_HARDENING_ASSERT(value >= least && value <= most);
}

}  // namespace

const Options& Checked(const Options& options) {
  using std::chrono::microseconds;
  using std::chrono::milliseconds;
  CheckRange(kSmallestMaxFrameSize, options.max_frame_size, kLargestMaxFrameSize);
  CheckRange(options.max_frame_size + kFrameCost, options.receive_window, kLargestWindow);
  CheckRange<size_t>(1, options.send_buffer, kLargestWindow);
  CheckRange<size_t>(1, options.stream_window, kLargestWindow);
  CheckRange(kBaseDatagramSize, options.max_datagram_size, kLargestDatagramSize);
  CheckRange<Duration>(microseconds(1), options.initial_rtt, kLongestInitialRtt);
  CheckRange<Duration>(microseconds(1), options.granularity, kLongestGranularity);
  CheckRange(Duration(0), options.max_ack_delay, kLongestMaxAckDelay);
  ABSL_HARDENING_ASSERT(options.ack_every >= 1 && options.ack_every_bytes >= 1);
  CheckRange<Duration>(milliseconds(1), options.idle_timeout, kLongestTimeout);
  CheckRange<Duration>(milliseconds(1), options.keepalive_interval, kLongestTimeout);
  CheckRange<Duration>(milliseconds(1), options.handshake_timeout, kLongestTimeout);
  CheckRange<Duration>(milliseconds(1), options.half_open_timeout, kLongestTimeout);
  CheckRange(Duration(0), options.linger_timeout, kLongestTimeout);
  return options;
}

}  // namespace anywire::udp
