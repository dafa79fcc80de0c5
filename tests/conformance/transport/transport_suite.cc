#include "tests/conformance/transport/transport_suite.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/seed.h"

namespace anywire::test {

std::vector<TransportCase> EachTransportInPieces(RegistryFactory make_registry, size_t piece,
                                                 const Handshakes& handshakes) {
  std::vector<TransportCase> cases;
  const TransportRegistry registry = make_registry();
  for (const Transport* transport : registry.transports()) {
    const std::string scheme(transport->scheme());
    const auto handshake = handshakes.find(scheme);
    cases.push_back({scheme, make_registry, piece,
                     handshake == handshakes.end() ? Handshake::kNone : handshake->second});
  }
  return cases;
}

std::vector<TransportCase> EachTransport(RegistryFactory make_registry,
                                         const Handshakes& handshakes) {
  return EachTransportInPieces(make_registry, 0, handshakes);
}

std::vector<TransportCase> BehindRelay(RegistryFactory make_registry,
                                       const std::vector<std::string>& schemes,
                                       const Handshakes& handshakes) {
  std::vector<TransportCase> cases;
  for (const TransportCase& each : EachTransport(make_registry, handshakes)) {
    if (std::count(schemes.begin(), schemes.end(), each.scheme) == 0) continue;
    cases.push_back(each);
    cases.back().behind_relay = true;
  }
  return cases;
}

std::string CaseName(const ::testing::TestParamInfo<TransportCase>& info) {
  std::string name = info.param.scheme;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !isalnum(c); }, '_');
  if (info.param.piece != 0) absl::StrAppend(&name, "_in_pieces_of_", info.param.piece);
  if (info.param.behind_relay) absl::StrAppend(&name, "_behind_relay");
  return name;
}

std::ostream& operator<<(std::ostream& out, const TransportCase& transport_case) {
  return out << transport_case.scheme;
}

struct TransportSuite::Pending::State {
  absl::Mutex mutex;
  bool done ABSL_GUARDED_BY(mutex) = false;
  Accepted result ABSL_GUARDED_BY(mutex) = absl::UnknownError("not yet");
  kj::Promise<void> promise = nullptr;  // the loop's
};

TransportSuite::Pending::Pending(EventLoop& loop,
                                 const std::function<kj::Promise<Accepted>()>& begin)
    : loop_(loop), state_(std::make_shared<State>()) {
  loop_.RunAndWait([this, &begin] {
    const std::shared_ptr<State> state = state_;
    state_->promise = begin()
                          .then([state](Accepted accepted) {
                            absl::MutexLock lock(&state->mutex);
                            state->result = std::move(accepted);
                            state->done = true;
                          })
                          .eagerlyEvaluate(nullptr);
  });
}

TransportSuite::Pending::~Pending() { Drop(); }

TransportSuite::Accepted TransportSuite::Pending::Get() {
  absl::MutexLock lock(&state_->mutex);
  if (!state_->mutex.AwaitWithTimeout(absl::Condition(&state_->done),
                                      absl::FromChrono(kPatience))) {
    return absl::DeadlineExceededError("Connect or Accept does not come to an end");
  }
  return std::move(state_->result);
}

bool TransportSuite::Pending::has_ended() const {
  absl::MutexLock lock(&state_->mutex);
  return state_->done;
}

void TransportSuite::Pending::Drop() {
  loop_.RunAndWait([this] {
    state_->promise = nullptr;
    absl::MutexLock lock(&state_->mutex);
    state_->result = absl::CancelledError();
  });
}

TransportSuite::TransportSuite()
    : short_io_(GetParam().piece != 0 ? std::make_unique<ShortIo>(GetParam().piece) : nullptr),
      registry_(GetParam().make_registry()) {
  if (GetParam().behind_relay) {
    // Another seed for each, or all would lose their first datagrams.
    static uint64_t seed = TestSeed(1);
    relays_ = std::make_unique<Relays>(LivePathOptions{.path = LossyPath(), .seed = seed++});
    registry_ = WithRelays(std::move(registry_), {GetParam().scheme}, *relays_);
  }
  for (Transport* transport : registry_.transports()) {
    if (transport->scheme() == GetParam().scheme) transport_ = transport;
  }
}

TransportSuite::~TransportSuite() { Destroy(std::move(listener_)); }

UdpRelay& TransportSuite::RelayBefore(const std::string& uri) {
  absl::StatusOr<UdpRelay*> relay = relays_->Before(registry_.Resolve(uri)->address);
  if (!relay.ok()) {
    ADD_FAILURE() << relay.status();
    abort();
  }
  return **relay;
}

absl::StatusOr<std::unique_ptr<Listener>> TransportSuite::Listen(
    const std::string& address, const Transport::ListenOptions& options) {
  absl::StatusOr<std::unique_ptr<Listener>> result = absl::UnknownError("");
  server_loop_.RunAndWait([this, &result, &address, &options] {
    result = transport_->Listen(server_loop_, address, options);
  });
  return result;
}

void TransportSuite::Close(Listener& listener) {
  server_loop_.RunAndWait([&listener] { listener.Close(); });
}

void TransportSuite::Destroy(std::unique_ptr<Listener> listener) {
  if (listener == nullptr) return;
  server_loop_.RunAndWait([&listener] { listener.reset(); });
}

TransportSuite::Accepted TransportSuite::Connect(const std::string& uri) {
  absl::StatusOr<TransportRegistry::Target> target = registry_.Resolve(uri);
  if (!target.ok()) return target.status();
  return BeginConnect(target->address)->Get();
}

std::unique_ptr<TransportSuite::Pending> TransportSuite::BeginConnect(const std::string& address) {
  return std::make_unique<Pending>(
      client_loop_, [this, &address] { return transport_->Connect(client_loop_, address, {}); });
}

std::unique_ptr<TransportSuite::Pending> TransportSuite::Accept(Listener& listener) {
  return std::make_unique<Pending>(server_loop_, [&listener] { return listener.Accept(); });
}

TransportSuite::Ends TransportSuite::ConnectEnds() {
  if (listener_ == nullptr) {
    absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(FreshAddress());
    if (!listener.ok()) {
      ADD_FAILURE() << listener.status();
      abort();
    }
    listener_ = std::move(*listener);
  }
  std::unique_ptr<Pending> accepting = Accept(*listener_);
  Accepted client = Connect(listener_->address());
  Accepted server = accepting->Get();
  if (!client.ok() || !server.ok()) {
    ADD_FAILURE() << client.status() << " and " << server.status();
    abort();
  }
  return {std::move(*client), std::move(*server)};
}

TransportSuite::Pair TransportSuite::ConnectPair() {
  Ends ends = ConnectEnds();
  return {std::make_unique<Peer>(client_loop_, std::move(ends.client)),
          std::make_unique<Peer>(server_loop_, std::move(ends.server))};
}

}  // namespace anywire::test
