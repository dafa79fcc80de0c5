#include "transports/udp/reliability/new_reno.h"

#include <algorithm>

namespace anywire::udp {

void NewReno::OnAcked(Instant /*now*/, Instant sent, size_t bytes, Duration /*smoothed_rtt*/,
                      bool limited) {
  if (!limited || sent <= recovery_start_) return;
  if (window_ < slow_start_threshold_) {
    window_ = std::min(window_ + bytes, kLargestCongestionWindow);
    return;
  }
  acked_bytes_ += bytes;
  if (acked_bytes_ < window_) return;
  acked_bytes_ -= window_;
  window_ = std::min(window_ + datagram_size_, kLargestCongestionWindow);
}

void NewReno::OnLost(Instant now, Instant sent) {
  if (sent <= recovery_start_) return;
  recovery_start_ = now;
  // kLossReductionFactor is a half.
  slow_start_threshold_ = std::max(window_ / 2, MinimumWindow(datagram_size_));
  window_ = slow_start_threshold_;
  acked_bytes_ = 0;
}

void NewReno::OnPersistentCongestion() {
  window_ = MinimumWindow(datagram_size_);
  recovery_start_ = Instant::min();
}

void NewReno::SetDatagramSize(size_t size) {
  datagram_size_ = size;
  window_ = std::max(window_, MinimumWindow(size));
}

}  // namespace anywire::udp
