// The suite of the calls, run over a transport from outside anywire's own tree.
#include "anywire/registry.h"
#include "examples/own_transport/packet_transport.h"
#include "gtest/gtest.h"
#include "tests/conformance/rpc_suite.h"

namespace {

anywire::TransportRegistry WithPackets() {
  anywire::TransportRegistry registry;
  EXPECT_TRUE(own_transport::RegisterPacketTransport(registry).ok());
  return registry;
}

}  // namespace

int main(int argc, char** argv) {
  return anywire::test::RunRpcSuite(argc, argv, WithPackets,
                                    {.schemes_without_streams = {"packet"}});
}
