// Machines on a modelled network in virtual time: one server's endpoint, and clients. Datagrams are
// delayed, reordered, lost, doubled, damaged and too large, as a seed says. Nothing waits.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_VIRTUAL_NETWORK_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_VIRTUAL_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "transports/udp/reliability/buffer_pool.h"
#include "transports/udp/reliability/connection_machine.h"
#include "transports/udp/reliability/endpoint_machine.h"

namespace anywire::udp::test {

using Datagram = std::vector<uint8_t>;

// Of each direction; shares are percentages of datagrams.
struct PathOptions {
  Duration delay = std::chrono::milliseconds(1);
  Duration jitter{0};  // up to so much more, which alone does not reorder
  int reorder = 0;     // are delayed by up to four times as much again
  int loss = 0;        // are lost ...
  int burst = 1;       // ... so many in a row
  int duplicate = 0;
  int corrupt = 0;      // have some bits flipped
  size_t mtu = 65'535;  // larger ones are lost
  // Bytes a second and the most that wait for that; 0: without limit.
  double bandwidth = 0;
  size_t queue = 64 << 10;
};

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
  // As if a datagram had come to the server from there.
  void Inject(const PeerAddress& from, const Datagram& datagram);

  Instant now() const { return now_; }
  std::mt19937_64& random() { return random_; }
  EndpointMachine& endpoint() { return *endpoint_; }
  Client& client(size_t i) { return *clients_[i]; }
  size_t datagrams() const { return datagrams_; }
  uint64_t bytes(bool to_server) const { return bytes_[to_server ? 1 : 0]; }
  PathOptions& path() { return path_; }

 private:
  struct OnItsWay {
    bool to_server;
    PeerAddress client;
    Datagram bytes;
  };
  struct Direction {
    Instant last;  // arrival of the latest that was not reordered
    Instant line_free;
    int losing = 0;
  };

  bool Percent(int share) { return static_cast<int>(random_() % 100) < share; }
  // Whether the next datagram begins a row of losses.
  bool BeginsLoss();
  void Submit(bool to_server, const PeerAddress& client, Datagram datagram);
  void Deliver(const OnItsWay& datagram);
  void Poll();
  void DropEnded();
  Instant NextEvent() const;
  Client* ClientAt(const PeerAddress& address);

  std::mt19937_64 random_;
  const EndpointOptions server_options_;
  PathOptions path_;
  Instant now_{std::chrono::hours(1)};
  BufferPool pool_;
  std::unique_ptr<EndpointMachine> endpoint_;
  struct Accepted {
    PeerAddress client;
    std::unique_ptr<ConnectionMachine> machine;
  };
  std::vector<Accepted> accepted_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::multimap<Instant, OnItsWay> on_their_way_;
  Direction directions_[2];
  size_t datagrams_ = 0;
  uint64_t bytes_[2] = {};
};

}  // namespace anywire::udp::test

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_VIRTUAL_NETWORK_H_
