// A client's machine, a server's machine, the network between them and the programs on them, run
// from a seed.
#ifndef ANYWIRE_TESTS_SIM_WORLD_H_
#define ANYWIRE_TESTS_SIM_WORLD_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace anywire::sim {

struct Result {
  std::vector<std::string> failures;  // empty: all is well
  uint64_t calls = 0;
  uint64_t frames = 0;
  std::map<absl::StatusCode, uint64_t> ends;
};

Result RunWorld(uint64_t seed);

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_WORLD_H_
