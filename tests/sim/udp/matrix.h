// The matrix: how bad a path is, in all combinations, and how long calls may take on it.
#ifndef ANYWIRE_TESTS_SIM_UDP_MATRIX_H_
#define ANYWIRE_TESTS_SIM_UDP_MATRIX_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/sim/agenda.h"
#include "tests/sim/plan.h"
#include "tests/sim/world.h"
#include "transports/udp/reliability/virtual_network.h"

namespace anywire::sim {

// Percent of datagrams, of each direction.
struct Cell {
  int loss = 0;
  int reorder = 0;
  int duplicate = 0;
  int corrupt = 0;
  int delay_ms = 0;  // each way; a quarter more is jitter
  int burst = 1;     // losses come so many in a row

  std::string name() const;  // "loss=1,reorder=10,..."
  udp::test::PathOptions path() const;
};

// All 900.
std::vector<Cell> AllCells();
// The cell of that name; none when there is no such.
std::optional<Cell> CellOf(absl::string_view name);

// Calls of all shapes over a connection on such a path, both ways, from its OPEN to its CLOSE.
Result RunCell(const Cell& cell, uint64_t seed);

// In which a connection opens, and in which all calls of a scenario are over after that:
//
//   2 s                                           what the programs do by themselves
//   + rounds * R * (1 + 3 * (1 - s) / s)          a frame at a time, three R more each time it
//   fails
//   + the sum of min(P * 2^i, 10 s) for i < k     the longest row of probes that fail
//
// R is the slowest round trip and 10 ms, s the share of round trips in which nothing is lost or
// damaged, rounds 40, one for each message and one for each KiB of them (the least frame, and the
// least window is one), P three times R and at least a second (probe timeout, pause between OPENs),
// and k so many failures in a row as happen once in a million.
Duration Bound(const Cell& cell, const Scenario& scenario);

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_UDP_MATRIX_H_
