// Transports whose clients reach their servers by a bad path: for those that send UDP datagrams to
// the "host:port" of their addresses.
//
//   Relays relays({.path = {.loss = 1}});
//   TransportRegistry registry = WithRelays(std::move(ordinary), {"udp"}, relays);
//
// Servers listen where they are told to. Connect goes to a relay before the server, one for each
// server's address, so a server that starts again there is found by it.
#ifndef ANYWIRE_TESTS_SUPPORT_RELAYED_TRANSPORT_H_
#define ANYWIRE_TESTS_SUPPORT_RELAYED_TRANSPORT_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "anywire/registry.h"
#include "tests/support/udp_relay.h"

namespace anywire::test {

// Some of everything: a millisecond at most, and a few of a hundred lost, two in a row, overtaken,
// doubled, damaged.
PathOptions LossyPath();

// Outlives the registry that it is given to. Any thread.
class Relays {
 public:
  // Each relay's; the seed of each further one is one more.
  explicit Relays(const LivePathOptions& options) : options_(options) {}

  // The relay before a server ("127.0.0.1:4000"), made when it is first asked for.
  absl::StatusOr<UdpRelay*> Before(absl::string_view server) ABSL_LOCKS_EXCLUDED(mutex_);
  // Of all relays together.
  PathCounts counts(Towards towards) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const LivePathOptions options_;
  mutable absl::Mutex mutex_;
  std::map<std::string, std::unique_ptr<UdpRelay>, std::less<>> relays_ ABSL_GUARDED_BY(mutex_);
};

// The same transports; those of `schemes` by relays. Takes over `inner`.
TransportRegistry WithRelays(TransportRegistry inner, const std::vector<std::string>& schemes,
                             Relays& relays);

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_RELAYED_TRANSPORT_H_
