// The machines are told the time; they never ask for it.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_TIME_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_TIME_H_

#include <chrono>

namespace anywire::udp {

using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::nanoseconds;

inline constexpr Instant kNever = Instant::max();

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_TIME_H_
