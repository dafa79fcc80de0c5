// A bad path for everything that is made of IPv4 packets, the kernel's TCP included. A TUN device
// is a mirror: what leaves through it is sent through a NetworkPath and comes back with its source
// and destination exchanged. So both ends live in one network namespace, each behind the path from
// the other, and no checksum changes.
//
//   EnterNewNetworkNamespace();  // network_namespace.h
//   absl::StatusOr<std::unique_ptr<TunPath>> tun = TunPath::Start({.path = {.loss = 1}});
//   ... a server at kServerHost, port 4000; a client that connects to kServerSeenHost, port 4000
#ifndef ANYWIRE_TESTS_SUPPORT_TUN_PATH_H_
#define ANYWIRE_TESTS_SUPPORT_TUN_PATH_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tests/support/live_path.h"

namespace anywire::test {

class TunPath {
 public:
  // Of the range for measurements (RFC 2544, appendix C.2.2).
  static constexpr char kServerHost[] = "198.18.0.1";
  static constexpr char kServerSeenHost[] = "198.18.0.2";
  // Servers listen below, and the system gives clients ports above: that is how the path knows
  // which way a packet goes.
  static constexpr uint16_t kFirstClientPort = 32'768;
  static constexpr int kMtu = 1500;

  // Makes the device in the calling thread's network namespace, which must be its own, and serves
  // it by a thread. FAILED_PRECONDITION, in a line, where the system has none.
  static absl::StatusOr<std::unique_ptr<TunPath>> Start(const LivePathOptions& options);
  // Removes the device.
  virtual ~TunPath() = default;

  // What each packet meets, of IP header and all.
  virtual PathControl& path() = 0;
};

// Makes an IPv4 packet that was sent one that comes from where it was to go. Which way that is;
// none: it is not IPv4, or not whole, and unchanged.
std::optional<Towards> MirrorPacket(absl::Span<uint8_t> packet);

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_TUN_PATH_H_
