#include "tests/sim/udp/session.h"

#include "absl/strings/str_cat.h"
#include "tests/sim/udp/udp_path.h"

namespace anywire::sim {

using udp::ConnectionMachine;
using udp::test::VirtualNetwork;

udp::Options RandomMachineOptions(Random& random) {
  udp::Options options;
  options.handshake_timeout = options.half_open_timeout = options.idle_timeout =
      options.linger_timeout = kPatience;
  options.congestion_control =
      random.Choose({udp::CongestionControl::kCubic, udp::CongestionControl::kNewReno});
  if (random.OneIn(2)) return options;
  options.max_frame_size = udp::kSmallestMaxFrameSize << random.Below(7);
  options.receive_window = options.max_frame_size + udp::kFrameCost + random.Below(100'000);
  options.send_buffer = 1 + random.Below(100'000);
  options.stream_window = 1 + random.Below(50'000);
  options.ack_every = 1 + static_cast<int>(random.Below(20));
  return options;
}

Scenario MakePatientScenario(Random& random, Duration round_trip) {
  Scenario scenario = MakeScenario(random, {.round_trip = round_trip, .may_be_cut = false});
  for (protocol::Limits* limits : {&scenario.client_limits, &scenario.server_limits}) {
    limits->handshake_timeout = limits->keepalive_time = limits->keepalive_timeout = kPatience;
  }
  return scenario;
}

Result RunSession(Random& random, const Scenario& scenario, VirtualNetwork& network,
                  VirtualNetwork::Client& client, const WorldOptions& options,
                  const std::function<void(Agenda&)>& arrange) {
  network.RunUntil(
      [&client] { return client.machine->state() != ConnectionMachine::State::kOpening; },
      options.bound);
  if (client.machine->state() != ConnectionMachine::State::kOpen) {
    Result result;
    result.failures.push_back(absl::StrCat("no connection: ", client.machine->status().ToString()));
    return result;
  }
  Agenda agenda;
  agenda.AdvanceTo(network.now());
  if (arrange) arrange(agenda);
  UdpPath path(agenda, random, network, client);
  return RunWorld(agenda, random, scenario, path, options);
}

}  // namespace anywire::sim
