// CUBIC (RFC 9438): after a loss the window comes back along a cubic curve of time, flat where the
// loss was, so that long paths fill without overshooting.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CUBIC_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CUBIC_H_

#include <limits>

#include "transports/udp/reliability/congestion_controller.h"

namespace anywire::udp {

class Cubic final : public CongestionController {
 public:
  // RFC 9438, sections 4.6 and 5.
  static constexpr double kBeta = 0.7;
  static constexpr double kC = 0.4;  // datagrams per cubic second
  // Of section 4.3: what makes the additive increase as aggressive as Reno's with kBeta.
  static constexpr double kAlpha = 3 * (1 - kBeta) / (1 + kBeta);

  explicit Cubic(size_t datagram_size)
      : datagram_size_(datagram_size), window_(static_cast<double>(InitialWindow(datagram_size))) {}

  void OnAcked(Instant now, Instant sent, size_t bytes, Duration smoothed_rtt,
               bool limited) override;
  void OnLost(Instant now, Instant sent) override;
  void OnPersistentCongestion() override;
  void SetDatagramSize(size_t size) override;
  size_t window() const override { return static_cast<size_t>(window_); }

 private:
  void BeginEpoch(Instant now);

  size_t datagram_size_;
  // Bytes, in fractions, since it may grow by less than one with an acknowledgement.
  double window_;
  double slow_start_threshold_ = std::numeric_limits<double>::infinity();
  Instant recovery_start_ = Instant::min();

  // W_max: where the window was at the last loss.
  double most_ = 0;
  double before_loss_ = 0;  // cwnd_prior: the window itself, when most_ is less
  // The epoch, from the first acknowledgement after a loss. While the window is not what limits
  // sending, the epoch's time stands still (section 5.8).
  bool in_epoch_ = false;
  Instant epoch_start_;
  Instant last_ack_;
  double seconds_to_most_ = 0;  // K
  double reno_window_ = 0;      // W_est
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CUBIC_H_
