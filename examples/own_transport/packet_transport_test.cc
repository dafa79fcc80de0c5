// The suite of the seam, run from outside anywire's own tree of transports.
#include "examples/own_transport/packet_transport.h"

#include "anywire/registry.h"
#include "gtest/gtest.h"
#include "tests/conformance/transport/transport_suite.h"

namespace anywire::test {

TransportRegistry WithPackets() {
  TransportRegistry registry;
  EXPECT_TRUE(own_transport::RegisterPacketTransport(registry).ok());
  return registry;
}

INSTANTIATE_TEST_SUITE_P(OwnTransport, TransportSuite,
                         ::testing::ValuesIn(EachTransport(&WithPackets)), CaseName);
INSTANTIATE_TEST_SUITE_P(OwnTransport, PressureSuite,
                         ::testing::ValuesIn(EachTransport(&WithPackets)), CaseName);

}  // namespace anywire::test
