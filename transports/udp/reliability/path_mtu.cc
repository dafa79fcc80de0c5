#include "transports/udp/reliability/path_mtu.h"

#include <algorithm>

namespace anywire::udp {

size_t PathMtu::NextSize() const {
  if (too_large_ - current_ <= kSearchStep && too_large_ <= upper_) return 0;
  if (current_ == upper_) return 0;
  return too_large_ > upper_ ? upper_ : current_ + (too_large_ - current_) / 2;
}

size_t PathMtu::ProbeDue(Instant now) const { return probing_ || now < next_ ? 0 : NextSize(); }

// What ends a search begins the next, later: the path may come to carry more.
void PathMtu::FinishIfFound(Instant now) {
  if (NextSize() != 0) return;
  too_large_ = upper_ + 1;
  next_ = current_ == upper_ ? kNever : now + kRaiseInterval;
}

void PathMtu::OnProbeAcked(Instant now, size_t size) {
  probing_ = false;
  lost_probes_ = 0;
  if (size > current_ && size < too_large_) current_ = size;
  OnDatagramAcked(size);
  FinishIfFound(now);
}

void PathMtu::OnProbeLost(Instant now, size_t size) {
  probing_ = false;
  if (++lost_probes_ < kMaxProbes) return;
  lost_probes_ = 0;
  if (size > current_ && size < too_large_) too_large_ = size;
  FinishIfFound(now);
}

void PathMtu::OnDatagramAcked(size_t size) {
  if (size >= least_lost_) EndDoubt();
}

bool PathMtu::OnDatagramLost(Instant now, Instant sent, size_t size) {
  if (size <= kBaseDatagramSize || current_ == kBaseDatagramSize) return false;
  // Congestion takes many at a time, too.
  if (sent < loss_found_) return false;
  loss_found_ = now;
  least_lost_ = std::min(least_lost_, size);
  if (++losses_ < kBlackHoleLosses) return false;
  EndDoubt();
  current_ = kBaseDatagramSize;
  too_large_ = upper_ + 1;
  lost_probes_ = 0;
  next_ = now + kBlackHolePause;
  return true;
}

void PathMtu::EndDoubt() {
  losses_ = 0;
  least_lost_ = kLargestDatagramSize + 1;
}

}  // namespace anywire::udp
