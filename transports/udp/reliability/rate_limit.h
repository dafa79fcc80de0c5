// So many in a second, and no more than that at once: a token bucket.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_RATE_LIMIT_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_RATE_LIMIT_H_

#include <algorithm>
#include <cstdint>

#include "transports/udp/reliability/time.h"

namespace anywire::udp {

class RateLimit {
 public:
  static constexpr int kMost = 1'000'000;

  // 1 to kMost.
  explicit RateLimit(int per_second)
      : interval_(std::chrono::nanoseconds(std::chrono::seconds(1)) / per_second) {}

  // Whether one more may pass, and counts it.
  bool Take(Instant now) {
    // The time up to which is used; never more than a second behind.
    used_until_ = std::max(used_until_, now - std::chrono::seconds(1));
    if (used_until_ + interval_ > now) return false;
    used_until_ += interval_;
    return true;
  }

 private:
  const Duration interval_;
  Instant used_until_{};
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_RATE_LIMIT_H_
