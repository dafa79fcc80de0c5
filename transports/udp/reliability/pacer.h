// Spreads a window's packets over the round trip (RFC 9002, section 7.7): a token bucket.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PACER_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PACER_H_

#include <cstddef>

#include "transports/udp/reliability/time.h"

namespace anywire::udp {

class Pacer {
 public:
  // A little faster than a window in each round trip, so that the window is used (N of RFC 9002).
  static constexpr double kGain = 1.25;
  // Bursts of so many datagrams, or of what the rate gives in so long, pass unhindered: timers are
  // no finer.
  static constexpr size_t kBurstDatagrams = 10;
  static constexpr Duration kBurstTime = std::chrono::milliseconds(2);

  // When a datagram may be sent; not after `now` means at once. Bytes and the path as they are.
  Instant ReadyAt(Instant now, size_t datagram_size, size_t window, Duration smoothed_rtt);
  void OnSent(size_t bytes) { tokens_ -= static_cast<double>(bytes); }

 private:
  bool started_ = false;
  Instant last_;
  double tokens_ = 0;  // bytes; below 0 after a datagram that was larger than what was left
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PACER_H_
