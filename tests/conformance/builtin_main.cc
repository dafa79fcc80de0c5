// Runs the conformance cases that are linked in on the transports that come with anywire.
#include "anywire/builtin.h"
#include "tests/conformance/rpc_suite.h"

namespace {

anywire::TransportRegistry BuiltinTransports() {
  anywire::TransportRegistry registry;
  anywire::RegisterBuiltinTransports(registry);
  return registry;
}

}  // namespace

int main(int argc, char** argv) {
  return anywire::test::RunRpcSuite(
      argc, argv, BuiltinTransports,
      {.in_process_schemes = {"inproc"}, .schemes_without_streams = {"inproc", "shm", "udp"}});
}
