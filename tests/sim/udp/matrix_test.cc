// Every cell of the matrix from a few seeds: safety in all of them, and all calls end in bounded
// virtual time. What fails prints its cell and seed, and the command that repeats it.
//
//   ANYWIRE_SIM_CELL=<name>  runs that cell alone
//   ANYWIRE_TEST_SEED=<n>    runs that seed alone
//   ANYWIRE_SIM_SEEDS=<n>    runs that many of each cell; 10 unless told
#include "tests/sim/udp/matrix.h"

#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <vector>

#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "tests/sim/environment.h"

namespace anywire::sim {
namespace {

std::vector<Cell> CellsToRun() {
  const char* const name = std::getenv("ANYWIRE_SIM_CELL");
  if (name == nullptr) return AllCells();
  const std::optional<Cell> cell = CellOf(name);
  EXPECT_TRUE(cell.has_value()) << name << " is no cell; one is " << Cell().name();
  return cell ? std::vector<Cell>{*cell} : std::vector<Cell>();
}

// gtest shards by test: each of these has every fourth cell.
class MatrixTest : public ::testing::TestWithParam<size_t> {};

TEST_P(MatrixTest, EveryCallEndsOnceAndHonestly) {
  const bool one = std::getenv("ANYWIRE_TEST_SEED") != nullptr;
  const uint64_t first = NumberFrom("ANYWIRE_TEST_SEED", 1);
  const uint64_t count = one ? 1 : NumberFrom("ANYWIRE_SIM_SEEDS", 10);
  uint64_t calls = 0, frames = 0, failed = 0, runs = 0;
  std::map<absl::StatusCode, uint64_t> ends;
  const std::vector<Cell> cells = CellsToRun();
  for (size_t i = GetParam(); i < cells.size() && failed < 5; i += 4) {
    for (uint64_t seed = first; seed < first + count; ++seed) {
      const Result result = RunCell(cells[i], seed);
      ++runs;
      calls += result.calls.size();
      frames += result.frames;
      for (const auto& [code, number] : result.ends) ends[code] += number;
      if (result.failures.empty()) continue;
      ++failed;
      ADD_FAILURE()
          << cells[i].name() << ", seed " << seed << ":\n  "
          << absl::StrJoin(result.failures, "\n  ")
          << "\nagain: bazel test //tests/sim/udp:matrix_test --test_env=ANYWIRE_SIM_CELL="
          << cells[i].name() << " --test_env=ANYWIRE_TEST_SEED=" << seed;
    }
  }
  for (const auto& [code, number] : ends) {
    std::cout << absl::StatusCodeToString(code) << " " << number << "\n";
  }
  std::cout << runs << " runs, " << calls << " calls, " << frames << " frames\n";
}
INSTANTIATE_TEST_SUITE_P(Quarter, MatrixTest, ::testing::Range<size_t>(0, 4));

}  // namespace
}  // namespace anywire::sim
