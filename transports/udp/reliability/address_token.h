// Proof that whoever opens a connection receives what is sent to its address, kept by the client
// so that the server keeps nothing (as the token of QUIC's Retry, RFC 9000, section 8.1.2).
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_ADDRESS_TOKEN_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_ADDRESS_TOKEN_H_

#include <cstdint>

#include "transports/udp/reliability/packet.h"
#include "transports/udp/reliability/peer_address.h"
#include "transports/udp/reliability/sip_hash.h"
#include "transports/udp/reliability/time.h"

namespace anywire::udp {

inline constexpr Duration kTokenLifetime = std::chrono::seconds(10);

// The key stays in memory and is new with each endpoint, so tokens of an earlier life of a server
// are not valid. It is not changed meanwhile: SipHash is safe for any number of inputs that a
// machine can hash, and what a token proves has passed ten seconds later.
class AddressTokens {
 public:
  explicit AddressTokens(const SipKey& key) : key_(key) {}

  Token Make(Instant now, const PeerAddress& address, uint64_t client_id) const;
  // Whether we made it for these, at most kTokenLifetime ago. Takes the same time whatever the
  // token is.
  bool IsValid(Instant now, const PeerAddress& address, uint64_t client_id,
               const Token& token) const;

 private:
  SipKey key_;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_ADDRESS_TOKEN_H_
