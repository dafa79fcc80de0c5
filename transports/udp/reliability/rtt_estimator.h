// The round trip's estimate (RFC 9002, section 5).
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_RTT_ESTIMATOR_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_RTT_ESTIMATOR_H_

#include "transports/udp/reliability/options.h"
#include "transports/udp/reliability/time.h"

namespace anywire::udp {

class RttEstimator {
 public:
  explicit RttEstimator(const Options& options)
      : granularity_(options.granularity),
        smoothed_(options.initial_rtt),
        variation_(options.initial_rtt / 2) {}

  // `latest`: from sending the largest packet of an ACK to that ACK, if it was new and some new
  // packet of that ACK was ack-eliciting; `ack_delay`: what the peer says it waited, at most what
  // it announced.
  void Update(Duration latest, Duration ack_delay);

  bool has_sample() const { return has_sample_; }
  Duration smoothed() const { return smoothed_; }
  Duration variation() const { return variation_; }
  Duration latest() const { return latest_; }
  Duration minimum() const { return minimum_; }

  // How long after a later packet was acknowledged one is lost (RFC 9002, section 6.1.2).
  Duration LossDelay() const;
  // The probe timeout before any back-off (RFC 9002, section 6.2.1).
  Duration ProbeTimeout(Duration max_ack_delay) const;

 private:
  const Duration granularity_;
  bool has_sample_ = false;
  Duration smoothed_;
  Duration variation_;
  Duration latest_{0};
  Duration minimum_{0};
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_RTT_ESTIMATOR_H_
