// Every transport that comes with anywire, as it is, with its byte streams in pieces, and with its
// datagrams behind a relay.
#include "anywire/builtin.h"
#include "tests/conformance/transport/transport_suite.h"

namespace anywire::test {
namespace {

using ::testing::ValuesIn;

TransportRegistry Builtin() {
  TransportRegistry registry;
  RegisterBuiltinTransports(registry);
  return registry;
}

const Handshakes kHandshakes = {{"shm", Handshake::kAnswered}, {"udp", Handshake::kStateless}};

INSTANTIATE_TEST_SUITE_P(Builtin, TransportSuite, ValuesIn(EachTransport(&Builtin, kHandshakes)),
                         CaseName);
INSTANTIATE_TEST_SUITE_P(Builtin, PressureSuite, ValuesIn(EachTransport(&Builtin, kHandshakes)),
                         CaseName);
INSTANTIATE_TEST_SUITE_P(BuiltinBytewise, TransportSuite,
                         ValuesIn(EachTransportInPieces(&Builtin, 1, kHandshakes)), CaseName);
INSTANTIATE_TEST_SUITE_P(BuiltinInSevens, TransportSuite,
                         ValuesIn(EachTransportInPieces(&Builtin, 7, kHandshakes)), CaseName);

INSTANTIATE_TEST_SUITE_P(BuiltinBehindRelay, TransportSuite,
                         ValuesIn(BehindRelay(&Builtin, {"udp"}, kHandshakes)), CaseName);
INSTANTIATE_TEST_SUITE_P(BuiltinBehindRelay, PressureSuite,
                         ValuesIn(BehindRelay(&Builtin, {"udp"}, kHandshakes)), CaseName);

}  // namespace
}  // namespace anywire::test
