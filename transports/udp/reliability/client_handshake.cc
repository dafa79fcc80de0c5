#include "transports/udp/reliability/client_handshake.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace anywire::udp {
namespace {

// An OPEN costs little and there is nothing that it could congest.
constexpr Duration kLongestPause = std::chrono::seconds(3);

// A probe timeout of a path that nobody has measured (RFC 9002, section 6.2.2).
Duration FirstPause(const Options& options) { return 3 * options.initial_rtt; }

}  // namespace

ClientHandshake::ClientHandshake(const Options& options, uint64_t client_id, Instant now)
    : parameters_(ParametersOf(options)),
      client_id_(client_id),
      first_pause_(FirstPause(options)),
      deadline_(now + options.handshake_timeout),
      open_due_(now),
      pause_(first_pause_) {}

size_t ClientHandshake::WriteOpenIfDue(Instant now, absl::Span<uint8_t> to) {
  if (now < open_due_) return 0;
  last_open_ = now;
  open_due_ = now + pause_;
  pause_ = std::min(2 * pause_, kLongestPause);
  if (token_) ++opens_with_token_;
  return WriteOpen({.client_id = client_id_, .parameters = parameters_, .token = token_}, to);
}

void ClientHandshake::OnRetry(Instant now, const RetryPacket& packet) {
  if (packet.client_id != client_id_) return;
  const bool is_first = !token_;
  token_ = packet.token;
  // Later ones wait for their turn, or each repeated OPEN would be answered by one more.
  if (!is_first) return;
  open_due_ = now;
  pause_ = first_pause_;
}

absl::Status ClientHandshake::OnRefuse(const RefusePacket& packet) const {
  if (packet.client_id != client_id_) return absl::OkStatus();
  switch (packet.reason) {
    case RefuseReason::kVersion:
      return absl::FailedPreconditionError(
          absl::StrCat("the server speaks versions ", packet.lowest_version, " to ",
                       packet.highest_version, " of the datagram protocol, and we ", kVersion));
    case RefuseReason::kNoRoom:
      return absl::ResourceExhaustedError("the server has too many connections");
    case RefuseReason::kNotListening:
      break;
  }
  return absl::UnavailableError("the server takes no more connections");
}

bool ClientHandshake::OnAccept(Instant now, const AcceptPacket& packet) {
  if (packet.client_id != client_id_) return false;
  if (opens_with_token_ == 1) round_trip_ = now - last_open_;
  return true;
}

absl::Status ClientHandshake::OnTimer(Instant now) const {
  if (now < deadline_) return absl::OkStatus();
  return absl::UnavailableError(token_ ? "the server did not accept in time"
                                       : "there was no answer");
}

}  // namespace anywire::udp
