// The server's side of a socket: tells which connection a datagram is for, makes new ones, and
// answers strangers without remembering them.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_ENDPOINT_MACHINE_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_ENDPOINT_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "transports/udp/reliability/address_token.h"
#include "transports/udp/reliability/buffer_pool.h"
#include "transports/udp/reliability/connection_machine.h"
#include "transports/udp/reliability/keyed_random.h"
#include "transports/udp/reliability/peer_address.h"
#include "transports/udp/reliability/rate_limit.h"

namespace anywire::udp {

struct EndpointOptions {
  Options connection;
  // Connections at a time, of all of this socket and of one host; more are refused. At least 1, as
  // all here.
  size_t max_connections = 100'000;
  size_t max_connections_of_host = 25'000;
  // How many of them may be half open. One more takes the place of the oldest ...
  size_t max_half_open = 4096;
  // ... but not one of a host that has so many: its OPEN is dropped, and comes again.
  size_t max_half_open_of_host = 256;
  // Answers to strangers in a second, up to RateLimit::kMost each; more are not sent. Clients wait
  // for RETRY and RESET, so these are many: whoever forges what they answer loses bytes by it.
  int retries_per_second = 20'000;
  int resets_per_second = 20'000;
  int refusals_per_second = 100;
};

// Aborts unless all are in their ranges.
const EndpointOptions& Checked(const EndpointOptions& options);

// Used by one thread at a time.
class EndpointMachine {
 public:
  // `pool` outlives it and its connections. `seed`: from the operating system, secret. Options out
  // of range abort.
  EndpointMachine(const EndpointOptions& options, BufferPool& pool, const SipKey& seed);

  struct Outcome {
    // The connection that took the datagram; null when none did.
    ConnectionMachine* connection = nullptr;
    // When that is new: it, which the caller owns from now on, and calls Remove before it goes.
    std::unique_ptr<ConnectionMachine> opened = nullptr;
    // Another one of ours that has ended to make room, and is no longer known here.
    ConnectionMachine* evicted = nullptr;
    // Bytes of an answer to the sender in `reply`; 0: none.
    size_t reply_size = 0;
  };
  // `reply` has kLargestReplySize bytes.
  Outcome HandleDatagram(Instant now, const PeerAddress& from, absl::Span<const uint8_t> datagram,
                         absl::Span<uint8_t> reply);

  // Forgets a connection of ours: what comes for it is a stranger's from now on.
  void Remove(const ConnectionMachine& connection);

  // Whether new connections are taken, or refused; those that are open go on. On at first.
  void SetListening(bool on) { listening_ = on; }
  void StopListening() { SetListening(false); }

  size_t connections() const { return by_id_.size(); }
  size_t half_open() const { return half_open_.size(); }

 private:
  using HalfOpen = std::list<ConnectionMachine*>;
  struct Known {
    ConnectionMachine* connection = nullptr;
    PeerAddress address;
    std::optional<HalfOpen::iterator> half_open = std::nullopt;  // while it is
  };
  struct OfHost {
    size_t connections = 0;
    size_t half_open = 0;
  };
  using Opening = std::pair<PeerAddress, uint64_t>;  // where a client is, and the id it chose

  // It is half open no more.
  void EndHalfOpen(Known& known);
  // Ends and forgets the oldest that is half open.
  ConnectionMachine* EvictHalfOpen();
  Outcome HandleOpen(Instant now, const PeerAddress& from, const OpenPacket& open,
                     absl::Span<uint8_t> reply);
  Outcome HandleData(Instant now, const PeerAddress& from, const DataPacket& packet,
                     absl::Span<uint8_t> reply);
  Outcome Refuse(Instant now, uint64_t client_id, RefuseReason reason, absl::Span<uint8_t> reply);

  const EndpointOptions options_;
  BufferPool& pool_;
  KeyedRandom random_;
  AddressTokens tokens_;
  RateLimit retries_;
  RateLimit refusals_;
  RateLimit resets_;
  bool listening_ = true;
  HalfOpen half_open_;                                      // the oldest first
  absl::flat_hash_map<PeerAddress::Host, OfHost> of_host_;  // those that have connections
  absl::flat_hash_map<uint64_t, Known> by_id_;
  absl::flat_hash_map<Opening, uint64_t> by_opening_;  // the id of the connection made for it
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_ENDPOINT_MACHINE_H_
