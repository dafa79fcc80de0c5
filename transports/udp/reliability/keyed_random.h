// Random numbers that nobody without the seed can predict, and that are the same for the same seed:
// SipHash of a counter. The seed comes from the operating system, or from a test.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_KEYED_RANDOM_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_KEYED_RANDOM_H_

#include <cstdint>
#include <cstring>

#include "transports/udp/reliability/sip_hash.h"

namespace anywire::udp {

class KeyedRandom {
 public:
  explicit KeyedRandom(const SipKey& seed) : seed_(seed) {}

  uint64_t Next() {
    const uint64_t input = ++count_;
    const SipDigest digest =
        SipHash128(seed_, {reinterpret_cast<const uint8_t*>(&input), sizeof(input)});
    uint64_t result;
    std::memcpy(&result, digest.data(), sizeof(result));
    return result;
  }

 private:
  SipKey seed_;
  uint64_t count_ = 0;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_KEYED_RANDOM_H_
