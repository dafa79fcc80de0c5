#include "transports/udp/reliability/endpoint_machine.h"

#include <iterator>
#include <optional>

#include "absl/base/macros.h"

namespace anywire::udp {

const EndpointOptions& Checked(const EndpointOptions& options) {
  Checked(options.connection);
  for (const size_t most : {options.max_connections, options.max_connections_of_host,
                            options.max_half_open, options.max_half_open_of_host}) {
    ABSL_HARDENING_ASSERT(most >= 1);
  }
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
    connection->SendAccept(now);
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
  const auto found = of_host_.find(from.host());
  const OfHost of_host = found == of_host_.end() ? OfHost() : found->second;
  if (by_id_.size() >= options_.max_connections ||
      of_host.connections >= options_.max_connections_of_host) {
    return Refuse(now, open.client_id, RefuseReason::kNoRoom, reply);
  }
  if (of_host.half_open >= options_.max_half_open_of_host) return {};
  const uint64_t id = random_.Next();
  const SipKey seed = {random_.Next(), random_.Next()};
  Outcome outcome;
  if (half_open_.size() >= options_.max_half_open) outcome.evicted = EvictHalfOpen();
  outcome.opened = ConnectionMachine::Accept(options_.connection, pool_, seed, now, open, id);
  outcome.connection = outcome.opened.get();
  half_open_.push_back(outcome.connection);
  by_id_.emplace(id, Known{outcome.connection, from, std::prev(half_open_.end())});
  by_opening_.emplace(opening, id);
  OfHost& counts = of_host_[from.host()];
  ++counts.connections;
  ++counts.half_open;
  return outcome;
}

void EndpointMachine::EndHalfOpen(Known& known) {
  half_open_.erase(*known.half_open);
  known.half_open.reset();
  --of_host_.find(known.address.host())->second.half_open;
}

ConnectionMachine* EndpointMachine::EvictHalfOpen() {
  ConnectionMachine* const oldest = half_open_.front();
  Remove(*oldest);
  oldest->Abort(absl::StatusCode::kResourceExhausted, "too many connect at once");
  return oldest;
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
  const auto of_host = of_host_.find(it->second.address.host());
  if (--of_host->second.connections == 0) of_host_.erase(of_host);
  by_opening_.erase(Opening(it->second.address, connection.remote_id()));
  by_id_.erase(it);
}

}  // namespace anywire::udp
