// The suite of the calls with rings of one page.
#include <unistd.h>

#include "tests/conformance/rpc_suite.h"
#include "transports/shm/shm_transport.h"

namespace {

anywire::TransportRegistry TinyRings() {
  anywire::ShmOptions options;
  options.ring_size = static_cast<size_t>(getpagesize());
  options.in_place = anywire::InPlace::kNever;
  anywire::TransportRegistry registry;
  registry.Register(std::make_unique<anywire::ShmTransport>(options)).IgnoreError();
  return registry;
}

}  // namespace

int main(int argc, char** argv) {
  return anywire::test::RunRpcSuite(argc, argv, TinyRings, {.schemes_without_streams = {"shm"}});
}
