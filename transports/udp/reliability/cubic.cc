#include "transports/udp/reliability/cubic.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "transports/udp/reliability/new_reno.h"

namespace anywire::udp {

using Seconds = std::chrono::duration<double>;

// Section 4.2. Windows of the formulas are in datagrams.
void Cubic::BeginEpoch(Instant now) {
  in_epoch_ = true;
  epoch_start_ = now;
  const double missing = std::max(most_ - window_, 0.0) / static_cast<double>(datagram_size_);
  seconds_to_most_ = std::cbrt(missing / kC);
  most_ = std::max(most_, window_);
  reno_window_ = window_;
}

void Cubic::OnAcked(Instant now, Instant sent, size_t bytes, Duration smoothed_rtt, bool limited) {
  const Instant before = last_ack_;
  last_ack_ = now;
  if (sent <= recovery_start_) return;
  if (!limited) {
    // The time since the last acknowledgement does not count.
    if (in_epoch_) epoch_start_ += now - before;
    return;
  }
  constexpr auto kMost = static_cast<double>(kLargestCongestionWindow);
  const auto acked = static_cast<double>(bytes);
  if (window_ < slow_start_threshold_) {
    window_ = std::min(window_ + acked, kMost);
    return;
  }
  if (!in_epoch_) BeginEpoch(now);
  const auto datagram = static_cast<double>(datagram_size_);

  // Section 4.3: what Reno would have by now. Above where it was, it grows as Reno does.
  const double alpha = reno_window_ < before_loss_ ? kAlpha : 1.0;
  reno_window_ = std::min(reno_window_ + alpha * datagram * acked / window_, kMost);

  // Section 4.2: W_cubic, a round trip from now, in at most half as much again.
  const double time = Seconds(now - epoch_start_ + smoothed_rtt).count() - seconds_to_most_;
  const double cubic = most_ + kC * time * time * time * datagram;
  const double target = std::clamp(cubic, window_, 1.5 * window_);
  window_ += (target - window_) * acked / window_;
  window_ = std::min(std::max(window_, reno_window_), kMost);
}

void Cubic::OnLost(Instant now, Instant sent) {
  if (sent <= recovery_start_) return;
  recovery_start_ = now;
  in_epoch_ = false;
  before_loss_ = window_;
  // Section 4.7, fast convergence: whoever did not get back to where it was makes room.
  most_ = window_ < most_ ? window_ * (1 + kBeta) / 2 : window_;
  slow_start_threshold_ =
      std::max(window_ * kBeta, static_cast<double>(MinimumWindow(datagram_size_)));
  window_ = slow_start_threshold_;
}

void Cubic::OnPersistentCongestion() {
  window_ = static_cast<double>(MinimumWindow(datagram_size_));
  recovery_start_ = Instant::min();
  in_epoch_ = false;
}

void Cubic::SetDatagramSize(size_t size) {
  datagram_size_ = size;
  window_ = std::max(window_, static_cast<double>(MinimumWindow(size)));
}

std::unique_ptr<CongestionController> MakeCongestionController(CongestionControl algorithm,
                                                               size_t datagram_size) {
  switch (algorithm) {
    case CongestionControl::kNewReno:
      return std::make_unique<NewReno>(datagram_size);
    case CongestionControl::kCubic:
      break;
  }
  return std::make_unique<Cubic>(datagram_size);
}

}  // namespace anywire::udp
