// How much may be on the way at a time. An algorithm hears what was acknowledged and what was lost
// and says how large the congestion window is; LossDetector counts what is in flight.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CONGESTION_CONTROLLER_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CONGESTION_CONTROLLER_H_

#include <algorithm>
#include <cstddef>
#include <memory>

#include "transports/udp/reliability/options.h"
#include "transports/udp/reliability/time.h"

namespace anywire::udp {

class CongestionController {
 public:
  virtual ~CongestionController() = default;

  // `bytes`, sent at `sent`, have been acknowledged. `limited`: the window was what held sending
  // back lately; otherwise it does not grow (RFC 9002, section 7.8).
  virtual void OnAcked(Instant now, Instant sent, size_t bytes, Duration smoothed_rtt,
                       bool limited) = 0;
  // Packets have been lost, the latest of which was sent at `sent`. Those sent before the window
  // was last reduced reduce it no further.
  virtual void OnLost(Instant now, Instant sent) = 0;
  // All packets of a long time have been lost (RFC 9002, section 7.6).
  virtual void OnPersistentCongestion() = 0;
  // The path's datagrams have become larger or smaller.
  virtual void SetDatagramSize(size_t size) = 0;

  // Bytes; at least two datagrams.
  virtual size_t window() const = 0;
};

// RFC 9002, section 7.2.
inline size_t InitialWindow(size_t datagram_size) {
  return std::min(10 * datagram_size, std::max<size_t>(14'720, 2 * datagram_size));
}
inline size_t MinimumWindow(size_t datagram_size) { return 2 * datagram_size; }
// No path that we know of needs more, and counters stay far from their ends.
inline constexpr size_t kLargestCongestionWindow = size_t{1} << 30;

std::unique_ptr<CongestionController> MakeCongestionController(CongestionControl algorithm,
                                                               size_t datagram_size);

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CONGESTION_CONTROLLER_H_
