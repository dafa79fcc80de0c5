#include "transports/udp/reliability/endpoint_machine.h"

#include <optional>

#include "absl/base/macros.h"

namespace anywire::udp {

const EndpointOptions& Checked(const EndpointOptions& options) {
  Checked(options.connection);
  ABSL_HARDENING_ASSERT(options.max_connections >= 1 && options.max_half_open >= 1 &&
                        options.max_half_open_of_host >= 1);
  for (const int per_second :
       {options.retries_per_second, options.refusals_per_second, options.resets_per_second}) {
    ABSL_HARDENING_ASSERT(per_second >= 1 && per_second <= RateLimit::kMost);
  }
  return options;
}

EndpointMachine::EndpointMachine(const EndpointOptions& options, BufferPool& pool,
                                 const SipKey& seed)
    : options_(Checked(options)),
      pool_(pool),
      random_(seed),
      tokens_({random_.Next(), random_.Next()}),
      retries_(options.retries_per_second),
      refusals_(options.refusals_per_second),
      resets_(options.resets_per_second) {}

EndpointMachine::Outcome EndpointMachine::HandleDatagram(Instant now, const PeerAddress& from,
                                                         absl::Span<const uint8_t> datagram,
                                                         absl::Span<uint8_t> reply) {
  ABSL_HARDENING_ASSERT(reply.size() >= kLargestReplySize);
  const std::optional<PacketKind> kind = IdentifyPacket(datagram);
  if (kind == PacketKind::kData) {
    if (const std::optional<DataPacket> packet = ReadData(datagram)) {
      return HandleData(now, from, *packet, reply);
    }
  } else if (kind == PacketKind::kOpen) {
    if (const std::optional<OpenPacket> open = ReadOpen(datagram)) {
      return HandleOpen(now, from, *open, reply);
    }
  }
  return {};
}

EndpointMachine::Outcome EndpointMachine::HandleData(Instant now, const PeerAddress& from,
                                                     const DataPacket& packet,
                                                     absl::Span<uint8_t> reply) {
  const auto it = by_id_.find(packet.id);
  if (it == by_id_.end()) {
    Outcome outcome;
    if (resets_.Take(now)) outcome.reply_size = WriteReset({packet.id}, reply);
    return outcome;
  }
  Known& known = it->second;
  if (known.address != from) return {};
  known.connection->HandleData(now, packet);
  if (known.half_open && known.connection->state() != ConnectionMachine::State::kHalfOpen) {
    EndHalfOpen(known);
  }
  return {.connection = known.connection};
}

EndpointMachine::Outcome EndpointMachine::HandleOpen(Instant now, const PeerAddress& from,
                                                     const OpenPacket& open,
                                                     absl::Span<uint8_t> reply) {
  if (open.version != kVersion) return Refuse(now, open.client_id, RefuseReason::kVersion, reply);
  const Opening opening(from, open.client_id);
  const auto known = by_opening_.find(opening);
  if (known != by_opening_.end()) {
    ConnectionMachine* const connection = by_id_.find(known->second)->second.connection;
    connection->ResendAccept();
    return {.connection = connection};
  }
  if (!listening_) return Refuse(now, open.client_id, RefuseReason::kNotListening, reply);
  if (!open.token || !tokens_.IsValid(now, from, open.client_id, *open.token)) {
    Outcome outcome;
    if (retries_.Take(now)) {
      outcome.reply_size =
          WriteRetry({open.client_id, tokens_.Make(now, from, open.client_id)}, reply);
    }
    return outcome;
  }
  if (by_id_.size() >= options_.max_connections || half_open_ >= options_.max_half_open) {
    return Refuse(now, open.client_id, RefuseReason::kNoRoom, reply);
  }
  const auto of_host = half_open_of_.find(from.host());
  if (of_host != half_open_of_.end() && of_host->second >= options_.max_half_open_of_host) {
    return {};
  }
  const uint64_t id = random_.Next();
  const SipKey seed = {random_.Next(), random_.Next()};
  Outcome outcome;
  outcome.opened = ConnectionMachine::Accept(options_.connection, pool_, seed, now, open, id);
  outcome.connection = outcome.opened.get();
  by_id_.emplace(id, Known{outcome.connection, from, true});
  by_opening_.emplace(opening, id);
  ++half_open_;
  ++half_open_of_[from.host()];
  return outcome;
}

void EndpointMachine::EndHalfOpen(Known& known) {
  known.half_open = false;
  --half_open_;
  const auto of_host = half_open_of_.find(known.address.host());
  if (--of_host->second == 0) half_open_of_.erase(of_host);
}

EndpointMachine::Outcome EndpointMachine::Refuse(Instant now, uint64_t client_id,
                                                 RefuseReason reason, absl::Span<uint8_t> reply) {
  Outcome outcome;
  if (refusals_.Take(now)) outcome.reply_size = WriteRefuse({client_id, reason}, reply);
  return outcome;
}

void EndpointMachine::Remove(const ConnectionMachine& connection) {
  const auto it = by_id_.find(connection.local_id());
  if (it == by_id_.end()) return;
  if (it->second.half_open) EndHalfOpen(it->second);
  by_opening_.erase(Opening(it->second.address, connection.remote_id()));
  by_id_.erase(it);
}

}  // namespace anywire::udp
