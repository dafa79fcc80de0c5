// A bad path between real UDP sockets: clients send to the relay's address, it passes their
// datagrams on to the server, and the server's back, as far and as late as a NetworkPath says. As a
// NAT does, it has a socket towards the server for each client's address, so the server sees as
// many peers as there are.
//
//   absl::StatusOr<std::unique_ptr<UdpRelay>> relay =
//       UdpRelay::Start("127.0.0.1:4000", {.live = {.path = {.loss = 1}}});
//   ... clients of (*relay)->address() ...
//
// Datagrams are as large as one IP packet without fragments may be: 65,507 bytes, over IPv6 on the
// loopback 65,488. It works on a thread of its own. What the kernel drops before the relay has read
// it, for want of buffers, is lost uncounted.
#ifndef ANYWIRE_TESTS_SUPPORT_UDP_RELAY_H_
#define ANYWIRE_TESTS_SUPPORT_UDP_RELAY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/support/live_path.h"

namespace anywire::test {

// Its functions may be called by any thread at any time.
class UdpRelay {
 public:
  struct Options {
    LivePathOptions live = {};
    // Where clients send to, numeric; "": some port of the loopback, of the server's family.
    std::string listen = "";
    // At least one. When a further one comes, the one goes that has been silent in both directions
    // for longest.
    size_t max_clients = 1024;
  };

  // Relays to the server at this address ("127.0.0.1:4000", "[::1]:4000"), which may come and go.
  static absl::StatusOr<std::unique_ptr<UdpRelay>> Start(absl::string_view server,
                                                         const Options& options);
  // What is on its way arrives no more.
  virtual ~UdpRelay() = default;

  // Where clients send to: "127.0.0.1:5000".
  virtual const std::string& address() const = 0;

  virtual PathControl& path() = 0;
  // From now on the server sees every client at another port, and what it sends to the old ones is
  // nobody's: as when a NAT has forgotten them.
  virtual void ChangeClientAddresses() = 0;

  struct Counts {
    // Arrived at the path's end, but the system did not take them: its buffers were full, or there
    // was no socket.
    uint64_t unsent = 0;
    uint64_t clients = 0;    // that have come so far
    uint64_t forgotten = 0;  // of these, to make room for others
  };
  virtual Counts counts() const = 0;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_UDP_RELAY_H_
