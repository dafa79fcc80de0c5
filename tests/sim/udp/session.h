// One connection of the udp machines from its opening to its end, and the calls on it.
#ifndef ANYWIRE_TESTS_SIM_UDP_SESSION_H_
#define ANYWIRE_TESTS_SIM_UDP_SESSION_H_

#include <functional>

#include "tests/sim/agenda.h"
#include "tests/sim/plan.h"
#include "tests/sim/random.h"
#include "tests/sim/world.h"
#include "transports/udp/reliability/options.h"
#include "transports/udp/reliability/virtual_network.h"

namespace anywire::sim {

// Longer than any scenario.
inline constexpr Duration kPatience = std::chrono::hours(1);

// As they are by default, or as small as can be, or nearly. No timeout ends a connection.
udp::Options RandomMachineOptions(Random& random);

// Calls whose deadlines are of a path with such a round trip. No timeout of the RPC protocol ends
// the connection.
Scenario MakePatientScenario(Random& random, Duration round_trip);

// Waits for `client` to open, at most `options.bound`, and runs the scenario. `arrange` puts on the
// agenda what happens to the network meanwhile; the connection may be lost only if `options` say
// so.
Result RunSession(Random& random, const Scenario& scenario, udp::test::VirtualNetwork& network,
                  udp::test::VirtualNetwork::Client& client, const WorldOptions& options,
                  const std::function<void(Agenda&)>& arrange = nullptr);

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_UDP_SESSION_H_
