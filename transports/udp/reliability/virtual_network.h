// Machines on a modelled network in virtual time: one server's endpoint, and clients. Datagrams are
// delayed, reordered, lost, doubled, damaged and too large, as a seed says. Nothing waits.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_VIRTUAL_NETWORK_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_VIRTUAL_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "tests/support/network_path.h"
#include "transports/udp/reliability/buffer_pool.h"
#include "transports/udp/reliability/connection_machine.h"
#include "transports/udp/reliability/endpoint_machine.h"

namespace anywire::udp::test {

using Datagram = std::vector<uint8_t>;

using anywire::test::PathOptions;

class VirtualNetwork {
 public:
  struct Client {
    PeerAddress address;
    BufferPool pool;
    std::unique_ptr<ConnectionMachine> machine;
    ConnectionMachine* peer = nullptr;  // the server's, while there is one
  };

  VirtualNetwork(uint64_t seed, const EndpointOptions& server, const PathOptions& path);
  ~VirtualNetwork();

  Client& AddClient(const Options& options);
  // Another server takes the address, which knows nothing of the first one's connections.
  void RestartServer();
  // The client's packets come from another address from now on, and what is sent to the old one is
  // nobody's.
  void MoveClient(Client& client);
  // While on, what is sent that way does not arrive.
  void Partition(bool to_server, bool on) { path_.Partition(TowardsOf(to_server), on); }

  // The owners' part: called whenever something has happened, before packets are fetched.
  std::function<void()> on_step;
  // Sees every datagram that is sent, and may change it; false: it is lost.
  std::function<bool(bool to_server, Datagram&)> on_datagram;

  // Goes on until `done`, or false when virtual time has come to `limit` after now, or nothing will
  // happen any more.
  bool RunUntil(const std::function<bool()>& done, Duration limit);
  void RunFor(Duration time) {
    RunUntil([] { return false; }, time);
  }
  // When something happens next; kNever when nothing will.
  Instant NextEvent() const;
  // As if a datagram had come to the server from there.
  void Inject(const PeerAddress& from, const Datagram& datagram);

  Instant now() const { return now_; }
  std::mt19937_64& random() { return random_; }
  EndpointMachine& endpoint() { return *endpoint_; }
  Client& client(size_t i) { return *clients_[i]; }
  size_t datagrams() const { return datagrams_; }
  uint64_t bytes(bool to_server) const { return bytes_[to_server ? 1 : 0]; }
  PathOptions& path() { return path_.options(); }
  const anywire::test::PathCounts& counts(bool to_server) const {
    return path_.counts(TowardsOf(to_server));
  }

 private:
  using Path = anywire::test::NetworkPath<PeerAddress>;

  static anywire::test::Towards TowardsOf(bool to_server) {
    return to_server ? anywire::test::Towards::kServer : anywire::test::Towards::kClient;
  }
  void Submit(bool to_server, const PeerAddress& client, Datagram datagram);
  void Deliver(const Path::Packet& packet);
  void Poll();
  void DropEnded();
  // One that no client has had.
  PeerAddress NewAddress();
  Client* ClientAt(const PeerAddress& address);

  std::mt19937_64 random_;
  const EndpointOptions server_options_;
  Path path_;
  Instant now_{std::chrono::hours(1)};
  BufferPool pool_;
  std::unique_ptr<EndpointMachine> endpoint_;
  struct Accepted {
    PeerAddress client;
    std::unique_ptr<ConnectionMachine> machine;
  };
  std::vector<Accepted> accepted_;
  std::vector<std::unique_ptr<Client>> clients_;
  uint64_t addresses_ = 0;
  Datagram room_ = Datagram(kLargestDatagramSize);  // for one that is fetched
  size_t datagrams_ = 0;
  uint64_t bytes_[2] = {};
};

}  // namespace anywire::udp::test

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_VIRTUAL_NETWORK_H_
