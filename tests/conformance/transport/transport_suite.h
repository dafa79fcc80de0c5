// What every transport has to keep of transports/transport.h, as GoogleTest's parameterised tests.
// A transport, also one outside this tree, runs them by linking //tests/conformance:transport_suite
// and writing, in a source of its own test:
//
//   anywire::TransportRegistry Registry() { ... registry.Register(...) ... }
//   INSTANTIATE_TEST_SUITE_P(Mine, TransportSuite, ValuesIn(EachTransport(&Registry)), CaseName);
//   INSTANTIATE_TEST_SUITE_P(Mine, PressureSuite, ValuesIn(EachTransport(&Registry)), CaseName);
//
// A suite that is left out fails as not instantiated.
// Both ends live in one process, each with an EventLoop of its own.
#ifndef ANYWIRE_TESTS_CONFORMANCE_TRANSPORT_TRANSPORT_SUITE_H_
#define ANYWIRE_TESTS_CONFORMANCE_TRANSPORT_TRANSPORT_SUITE_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "anywire/registry.h"
#include "gtest/gtest.h"
#include "tests/conformance/transport/peer.h"
#include "tests/support/own_loopback.h"
#include "tests/support/relayed_transport.h"
#include "tests/support/short_io.h"
#include "tests/support/temp_dir.h"

namespace anywire::test {

using RegistryFactory = TransportRegistry (*)();

// What it takes for Connect to end.
enum class Handshake {
  kNone,
  kAnswered,   // the listening side's loop has to answer
  kStateless,  // likewise, and before that it does not know of who connects: it may close meanwhile
};
using Handshakes = std::map<std::string, Handshake>;  // by scheme; others have none

struct TransportCase {
  std::string scheme;
  RegistryFactory make_registry;
  size_t piece = 0;  // not 0: stream sockets and pipes move at most so many bytes a call
  Handshake handshake = Handshake::kNone;
  bool behind_relay = false;  // that has a LossyPath
};

// One case for each transport that the factory's registry has, so that none can be left out.
std::vector<TransportCase> EachTransport(RegistryFactory make_registry,
                                         const Handshakes& handshakes = {});
// The same with byte streams in pieces. Transports that use none run as usual.
std::vector<TransportCase> EachTransportInPieces(RegistryFactory make_registry, size_t piece,
                                                 const Handshakes& handshakes = {});
// One for each of `schemes`, which send UDP datagrams to the "host:port" of their addresses, behind
// relays.
std::vector<TransportCase> BehindRelay(RegistryFactory make_registry,
                                       const std::vector<std::string>& schemes,
                                       const Handshakes& handshakes = {});
std::string CaseName(const ::testing::TestParamInfo<TransportCase>& info);
std::ostream& operator<<(std::ostream& out, const TransportCase& transport_case);

class TransportSuite : public ::testing::TestWithParam<TransportCase> {
 protected:
  TransportSuite();
  ~TransportSuite() override;

  Transport& transport() { return *transport_; }
  EventLoop& client_loop() { return client_loop_; }
  EventLoop& server_loop() { return server_loop_; }
  // Whether sending is so slow that a test should do with less.
  bool in_pieces() const { return GetParam().piece != 0; }

  // At which nobody else listens when this process does no more.
  std::string FreshAddress() { return OnOwnLoopback(transport_->FreshAddress(scratch_.path())); }

  // Behind a relay: the one before the server at `uri`.
  UdpRelay& RelayBefore(const std::string& uri);

  // ---- each on its loop, bounded in time; an error ends the test by its status

  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& address,
                                                   const Transport::ListenOptions& options = {});
  using Accepted = absl::StatusOr<std::unique_ptr<Connection>>;
  Accepted Connect(const std::string& uri);
  // Begin to connect and to accept. The future holds the result; with Drop the promise is dropped
  // instead.
  class Pending;
  std::unique_ptr<Pending> BeginConnect(const std::string& address);
  std::unique_ptr<Pending> Accept(Listener& listener);
  void Close(Listener& listener);
  void Destroy(std::unique_ptr<Listener> listener);

  // A connection, not started yet.
  struct Ends {
    std::unique_ptr<Connection> client;
    std::unique_ptr<Connection> server;
  };
  Ends ConnectEnds();
  // A started connection. Destroyed by whoever has it, or at the end.
  struct Pair {
    std::unique_ptr<Peer> client;
    std::unique_ptr<Peer> server;
  };
  Pair ConnectPair();

 private:
  std::unique_ptr<ShortIo> short_io_;
  std::unique_ptr<Relays> relays_;
  TempDir scratch_;
  TransportRegistry registry_;
  Transport* transport_ = nullptr;
  EventLoop client_loop_{"client"};
  EventLoop server_loop_{"server"};
  std::unique_ptr<Listener> listener_;  // of ConnectEnds
};

// The tests that fill what lies between the two ends. They run as the transport is: a full buffer
// is no different in pieces.
class PressureSuite : public TransportSuite {};

class TransportSuite::Pending {
 public:
  // `begin` makes the promise on the loop's thread.
  Pending(EventLoop& loop, const std::function<kj::Promise<Accepted>()>& begin);
  ~Pending();
  // The result, waited for.
  Accepted Get();
  bool has_ended() const;
  // Drops the promise; a result that was there is lost.
  void Drop();

 private:
  struct State;
  EventLoop& loop_;
  std::shared_ptr<State> state_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_CONFORMANCE_TRANSPORT_TRANSPORT_SUITE_H_
