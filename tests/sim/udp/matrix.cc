#include "tests/sim/udp/matrix.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "tests/sim/udp/session.h"

namespace anywire::sim {

using udp::test::PathOptions;
using udp::test::VirtualNetwork;

namespace {

// Each cell has its own scenarios.
Random RandomOf(const Cell& cell, uint64_t seed) {
  for (const int knob :
       {cell.loss, cell.reorder, cell.duplicate, cell.corrupt, cell.delay_ms, cell.burst}) {
    seed = Random(seed).Next() + static_cast<uint64_t>(knob);
  }
  return Random(seed);
}

// Without reordering.
Duration RoundTrip(const Cell& cell) {
  const PathOptions path = cell.path();
  return 2 * (path.delay + path.jitter);
}

}  // namespace

std::string Cell::name() const {
  return absl::StrCat("loss=", loss, ",reorder=", reorder, ",duplicate=", duplicate,
                      ",corrupt=", corrupt, ",delay=", delay_ms, ",burst=", burst);
}

PathOptions Cell::path() const {
  const Duration delay = std::chrono::milliseconds(delay_ms);
  return {.delay = delay,
          .jitter = delay / 4,
          .reorder = reorder,
          .loss = loss,
          .burst = burst,
          .duplicate = duplicate,
          .corrupt = corrupt};
}

std::vector<Cell> AllCells() {
  std::vector<Cell> cells;
  for (const int loss : {0, 1, 5, 10, 30}) {
    for (const int reorder : {0, 10, 50}) {
      for (const int duplicate : {0, 10}) {
        for (const int corrupt : {0, 1, 10}) {
          for (const int delay : {0, 1, 15, 100, 750}) {
            for (const int burst : {1, 3}) {
              cells.push_back({loss, reorder, duplicate, corrupt, delay, burst});
            }
          }
        }
      }
    }
  }
  return cells;
}

std::optional<Cell> CellOf(absl::string_view name) {
  for (const Cell& cell : AllCells()) {
    if (cell.name() == name) return cell;
  }
  return std::nullopt;
}

Duration Bound(const Cell& cell, const Scenario& scenario) {
  using Seconds = std::chrono::duration<double>;
  size_t bytes = 0, messages = 0;
  for (const Plan& plan : scenario.plans) {
    for (const std::vector<size_t>* sizes : {&plan.requests, &plan.replies}) {
      messages += sizes->size();
      bytes += std::accumulate(sizes->begin(), sizes->end(), size_t{0});
    }
  }
  const size_t rounds = 40 + messages + bytes / 1024;
  // What is reordered takes up to four times as long again.
  const Duration slowest = RoundTrip(cell) * (cell.reorder > 0 ? 5 : 1);
  const double round_trip = Seconds(slowest + std::chrono::milliseconds(10)).count();
  const double arrives = (1 - cell.loss / 100.0) * (1 - cell.corrupt / 100.0);
  const double succeeds = arrives * arrives;
  double seconds =
      2 + static_cast<double>(rounds) * round_trip * (1 + 3 * (1 - succeeds) / succeeds);
  double pause = std::max(3 * round_trip, 1.0);
  double likelihood = 1 - succeeds;  // of a row of failures
  while (likelihood > 1e-6) {
    seconds += std::min(pause, Seconds(udp::LossDetector::kMaxProbeTimeout).count());
    likelihood *= 1 - succeeds;
    pause *= 2;
  }
  return std::chrono::duration_cast<Duration>(Seconds(seconds));
}

Result RunCell(const Cell& cell, uint64_t seed) {
  Random random = RandomOf(cell, seed);
  const Scenario scenario = MakePatientScenario(random, RoundTrip(cell));
  udp::EndpointOptions server;
  server.connection = RandomMachineOptions(random);
  VirtualNetwork network(random.Next(), server, cell.path());
  VirtualNetwork::Client& client = network.AddClient(RandomMachineOptions(random));
  return RunSession(random, scenario, network, client, {.bound = Bound(cell, scenario)});
}

}  // namespace anywire::sim
