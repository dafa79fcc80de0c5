#include "transports/udp/reliability/pacer.h"

#include <algorithm>

namespace anywire::udp {

using Seconds = std::chrono::duration<double>;

Instant Pacer::ReadyAt(Instant now, size_t datagram_size, size_t window, Duration smoothed_rtt) {
  constexpr Duration kShortest = std::chrono::microseconds(1);
  const double rate = kGain * static_cast<double>(window) /
                      Seconds(std::max(smoothed_rtt, kShortest)).count();  // bytes a second
  const double most = std::max(static_cast<double>(kBurstDatagrams * datagram_size),
                               rate * Seconds(kBurstTime).count());
  if (!started_) {
    started_ = true;
    tokens_ = most;
  } else if (now > last_) {
    tokens_ += rate * Seconds(now - last_).count();
  }
  last_ = std::max(last_, now);
  tokens_ = std::min(tokens_, most);
  const double missing = static_cast<double>(datagram_size) - tokens_;
  if (missing <= 0) return now;
  // Rounded up, so that by then there is enough.
  return now + std::chrono::ceil<Duration>(Seconds(missing / rate));
}

}  // namespace anywire::udp
