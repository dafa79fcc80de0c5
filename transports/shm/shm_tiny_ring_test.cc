// The suite of the seam with rings so small that frames meet the ring's end, and a full one, all
// the time; everything copied, and large frames in place.
#include "tests/conformance/transport/transport_suite.h"
#include "transports/shm/shm_transport.h"

namespace anywire::test {
namespace {

using ::testing::ValuesIn;

TransportRegistry WithRings(size_t ring_size, InPlace in_place) {
  ShmOptions options;
  options.ring_size = ring_size;
  options.in_place = in_place;
  TransportRegistry registry;
  registry.Register(std::make_unique<ShmTransport>(options)).IgnoreError();
  return registry;
}
// The smallest that has room for the suite's frames, and whose frames can be large enough to be
// parsed in place.
TransportRegistry Tiny() { return WithRings(32 << 10, InPlace::kNever); }
TransportRegistry InPlaceRings() { return WithRings(32 << 10, InPlace::kAlways); }

const Handshakes kHandshakes = {{"shm", Handshake::kAnswered}};

INSTANTIATE_TEST_SUITE_P(Tiny, TransportSuite, ValuesIn(EachTransport(&Tiny, kHandshakes)),
                         CaseName);
INSTANTIATE_TEST_SUITE_P(Tiny, PressureSuite, ValuesIn(EachTransport(&Tiny, kHandshakes)),
                         CaseName);
INSTANTIATE_TEST_SUITE_P(InPlace, TransportSuite,
                         ValuesIn(EachTransport(&InPlaceRings, kHandshakes)), CaseName);
INSTANTIATE_TEST_SUITE_P(InPlace, PressureSuite,
                         ValuesIn(EachTransport(&InPlaceRings, kHandshakes)), CaseName);

}  // namespace
}  // namespace anywire::test
