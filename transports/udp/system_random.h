// Keys that nobody can guess.
#ifndef ANYWIRE_TRANSPORTS_UDP_SYSTEM_RANDOM_H_
#define ANYWIRE_TRANSPORTS_UDP_SYSTEM_RANDOM_H_

#include <sys/random.h>

#include <cstdlib>

#include "transports/udp/reliability/sip_hash.h"

namespace anywire::udp {

inline SipKey SystemRandomKey() {
  SipKey key;
  // So few bytes come whole, or not at all on a system without them.
  if (getrandom(&key, sizeof(key), 0) != sizeof(key)) std::abort();
  return key;
}

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_SYSTEM_RANDOM_H_
