// A client's machine, a server's machine, the path between them and the programs on them.
#ifndef ANYWIRE_TESTS_SIM_WORLD_H_
#define ANYWIRE_TESTS_SIM_WORLD_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/sim/agenda.h"
#include "tests/sim/checker.h"
#include "tests/sim/path.h"
#include "tests/sim/plan.h"
#include "tests/sim/random.h"

namespace anywire::sim {

struct Result {
  std::vector<std::string> failures;  // empty: all is well
  std::vector<CallResult> calls;      // of each plan
  uint64_t frames = 0;
  std::map<absl::StatusCode, uint64_t> ends;
  // OK while the path has not been lost.
  absl::Status client_lost, server_lost;
};

struct WorldOptions {
  // Nothing takes longer; what has not ended by then never will.
  Duration bound = std::chrono::hours(2);
  // Whether the path may be lost though nobody has cut it; it is a failure otherwise.
  bool may_lose_path = false;
};

// Both over links that are as the seed says.
Result RunWorld(uint64_t seed);
// Over any path. All are from one seed, and live on.
Result RunWorld(Agenda& agenda, Random& random, const Scenario& scenario, Path& path,
                const WorldOptions& options);

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_WORLD_H_
