// The client's way to a connection: OPEN, RETRY, OPEN with the token, ACCEPT.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CLIENT_HANDSHAKE_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CLIENT_HANDSHAKE_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "transports/udp/reliability/packet.h"
#include "transports/udp/reliability/time.h"

namespace anywire::udp {

class ClientHandshake {
 public:
  // The first OPEN is due at once.
  ClientHandshake(const Options& options, uint64_t client_id, Instant now);

  // When an OPEN is due, or the attempt has taken too long.
  Instant timer() const { return open_due_ < deadline_ ? open_due_ : deadline_; }
  // An OPEN if one is due, and its size; 0 otherwise.
  size_t WriteOpenIfDue(Instant now, absl::Span<uint8_t> to);

  // Packets of other attempts change nothing.
  void OnRetry(Instant now, const RetryPacket& packet);
  // UNAVAILABLE, RESOURCE_EXHAUSTED, FAILED_PRECONDITION; OK when it is not for us.
  absl::Status OnRefuse(const RefusePacket& packet) const;
  // Whether it is for us.
  bool OnAccept(Instant now, const AcceptPacket& packet);
  // UNAVAILABLE when the time is over.
  absl::Status OnTimer(Instant now) const;

  uint64_t client_id() const { return client_id_; }
  // From the last OPEN to its ACCEPT; none when several OPENs may have been meant.
  std::optional<Duration> round_trip() const { return round_trip_; }

 private:
  const Parameters parameters_;
  const uint64_t client_id_;
  const Duration first_pause_;
  const Instant deadline_;
  std::optional<Token> token_;
  Instant open_due_;
  Duration pause_;  // to the next OPEN
  Instant last_open_;
  int opens_with_token_ = 0;
  std::optional<Duration> round_trip_;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CLIENT_HANDSHAKE_H_
