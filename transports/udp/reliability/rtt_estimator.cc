#include "transports/udp/reliability/rtt_estimator.h"

#include <algorithm>

namespace anywire::udp {

void RttEstimator::Update(Duration latest, Duration ack_delay) {
  latest_ = std::max(latest, Duration(0));
  if (!has_sample_) {
    has_sample_ = true;
    minimum_ = latest_;
    smoothed_ = latest_;
    variation_ = latest_ / 2;
    return;
  }
  minimum_ = std::min(minimum_, latest_);
  // What the peer waited is none of the path's, unless that would be faster than the path has
  // ever been.
  const Duration adjusted = latest_ >= minimum_ + ack_delay ? latest_ - ack_delay : latest_;
  const Duration difference = smoothed_ > adjusted ? smoothed_ - adjusted : adjusted - smoothed_;
  variation_ = (3 * variation_ + difference) / 4;
  smoothed_ = (7 * smoothed_ + adjusted) / 8;
}

Duration RttEstimator::LossDelay() const {
  // kTimeThreshold is 9/8.
  return std::max(std::max(latest_, smoothed_) * 9 / 8, granularity_);
}

Duration RttEstimator::ProbeTimeout(Duration max_ack_delay) const {
  return smoothed_ + std::max(4 * variation_, granularity_) + max_ack_delay;
}

}  // namespace anywire::udp
