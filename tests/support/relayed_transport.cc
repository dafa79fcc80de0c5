#include "tests/support/relayed_transport.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "anywire/transport.h"

namespace anywire::test {
namespace {

using ConnectionOr = absl::StatusOr<std::unique_ptr<Connection>>;

class RelayedTransport final : public Transport {
 public:
  // The wrapped transport lives as long as the registry that owns it. No relays: as it is.
  RelayedTransport(std::shared_ptr<TransportRegistry> owner, Transport& inner, Relays* relays)
      : owner_(std::move(owner)), inner_(inner), relays_(relays) {}

  absl::string_view scheme() const override { return inner_.scheme(); }
  absl::Status CheckAddress(absl::string_view address) const override {
    return inner_.CheckAddress(address);
  }
  kj::Promise<ConnectionOr> Connect(EventLoop& loop, absl::string_view address,
                                    const ConnectOptions& options) override {
    if (relays_ == nullptr) return inner_.Connect(loop, address, options);
    const absl::StatusOr<UdpRelay*> relay = relays_->Before(address);
    if (!relay.ok()) return ConnectionOr(relay.status());
    return inner_.Connect(loop, (*relay)->address(), options);
  }
  absl::StatusOr<std::unique_ptr<Listener>> Listen(EventLoop& loop, absl::string_view address,
                                                   const ListenOptions& options) override {
    return inner_.Listen(loop, address, options);
  }
  std::string FreshAddress(absl::string_view scratch_dir) override {
    return inner_.FreshAddress(scratch_dir);
  }

 private:
  const std::shared_ptr<TransportRegistry> owner_;
  Transport& inner_;
  Relays* const relays_;
};

void Add(PathCounts& sum, const PathCounts& more) {
  sum.sent += more.sent;
  sum.partitioned += more.partitioned;
  sum.lost += more.lost;
  sum.too_large += more.too_large;
  sum.overflowed += more.overflowed;
  sum.reordered += more.reordered;
  sum.duplicated += more.duplicated;
  sum.corrupted += more.corrupted;
}

}  // namespace

PathOptions LossyPath() {
  return {.delay = std::chrono::nanoseconds(0),
          .jitter = std::chrono::milliseconds(1),
          .reorder = 5,
          .loss = 2,
          .burst = 2,
          .duplicate = 2,
          .corrupt = 2};
}

absl::StatusOr<UdpRelay*> Relays::Before(absl::string_view server) {
  absl::MutexLock lock(&mutex_);
  if (const auto known = relays_.find(server); known != relays_.end()) return known->second.get();
  LivePathOptions options = options_;
  options.seed += relays_.size();
  absl::StatusOr<std::unique_ptr<UdpRelay>> relay = UdpRelay::Start(server, {.live = options});
  if (!relay.ok()) return relay.status();
  return relays_.emplace(server, *std::move(relay)).first->second.get();
}

PathCounts Relays::counts(Towards towards) const {
  absl::MutexLock lock(&mutex_);
  PathCounts sum;
  for (const auto& [server, relay] : relays_) Add(sum, relay->path().counts(towards));
  return sum;
}

TransportRegistry WithRelays(TransportRegistry inner, const std::vector<std::string>& schemes,
                             Relays& relays) {
  const auto owner = std::make_shared<TransportRegistry>(std::move(inner));
  TransportRegistry wrapped;
  for (Transport* transport : owner->transports()) {
    const bool relayed = std::count(schemes.begin(), schemes.end(), transport->scheme()) != 0;
    const absl::Status registered = wrapped.Register(
        std::make_unique<RelayedTransport>(owner, *transport, relayed ? &relays : nullptr));
    if (!registered.ok()) std::abort();  // the schemes were unique before
  }
  return wrapped;
}

}  // namespace anywire::test
