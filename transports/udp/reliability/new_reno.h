// NewReno as RFC 9002, section 7 and appendix B.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_NEW_RENO_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_NEW_RENO_H_

#include <limits>

#include "transports/udp/reliability/congestion_controller.h"

namespace anywire::udp {

class NewReno final : public CongestionController {
 public:
  explicit NewReno(size_t datagram_size)
      : datagram_size_(datagram_size), window_(InitialWindow(datagram_size)) {}

  void OnAcked(Instant now, Instant sent, size_t bytes, Duration smoothed_rtt,
               bool limited) override;
  void OnLost(Instant now, Instant sent) override;
  void OnPersistentCongestion() override;
  void SetDatagramSize(size_t size) override;
  size_t window() const override { return window_; }

 private:
  size_t datagram_size_;
  size_t window_;
  size_t slow_start_threshold_ = std::numeric_limits<size_t>::max();
  Instant recovery_start_ = Instant::min();
  size_t acked_bytes_ = 0;  // since the window last grew by a datagram, in congestion avoidance
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_NEW_RENO_H_
