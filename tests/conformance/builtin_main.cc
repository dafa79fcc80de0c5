// Runs the conformance cases that are linked in on the transports that come with anywire.
#include <chrono>
#include <memory>

#include "anywire/builtin.h"
#include "tests/conformance/rpc_suite.h"
#include "transports/udp/udp_transport.h"

namespace {

anywire::TransportRegistry BuiltinTransports() {
  anywire::TransportRegistry registry;
  // As it is, but for how long it takes to notice a peer that was killed without a word: within the
  // patience of a test, but not while a busy machine lets a process of it stand for a few seconds.
  anywire::udp::UdpOptions udp;
  udp.endpoint.connection.keepalive_interval = std::chrono::milliseconds(500);
  udp.endpoint.connection.idle_timeout = std::chrono::seconds(5);
  registry.Register(std::make_unique<anywire::UdpTransport>(udp)).IgnoreError();
  anywire::RegisterBuiltinTransports(registry);
  return registry;
}

}  // namespace

int main(int argc, char** argv) {
  return anywire::test::RunRpcSuite(argc, argv, BuiltinTransports,
                                    {.in_process_schemes = {"inproc"},
                                     .schemes_without_streams = {"inproc", "shm", "udp"},
                                     .datagram_schemes = {"udp"}});
}
