// Runs the simulation from many seeds. A failing seed prints itself and the command that repeats
// it.
//
//   ANYWIRE_TEST_SEED=<n>    runs that seed alone
//   ANYWIRE_SIM_SEEDS=<n>    runs that many; 20,000 unless told
#include <cstdlib>
#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "tests/sim/environment.h"
#include "tests/sim/world.h"

namespace anywire::sim {
namespace {

TEST(SimTest, EveryCallEndsOnceAndHonestly) {
  const bool one = std::getenv("ANYWIRE_TEST_SEED") != nullptr;
  const uint64_t first = NumberFrom("ANYWIRE_TEST_SEED", 1);
  const uint64_t count = one ? 1 : NumberFrom("ANYWIRE_SIM_SEEDS", 20000);
  const uint64_t shards = NumberFrom("ANYWIRE_SIM_SHARDS", 1);
  const uint64_t shard = NumberFrom("ANYWIRE_SIM_SHARD", 0);
  uint64_t calls = 0, frames = 0, failed = 0, runs = 0;
  std::map<absl::StatusCode, uint64_t> ends;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    if (seed % shards != shard && !one) continue;
    const Result result = RunWorld(seed);
    ++runs;
    calls += result.calls.size();
    frames += result.frames;
    for (const auto& [code, number] : result.ends) ends[code] += number;
    if (result.failures.empty()) continue;
    ADD_FAILURE() << "seed " << seed << ":\n  " << absl::StrJoin(result.failures, "\n  ")
                  << "\nagain: bazel test //tests/sim:sim_test --test_env=ANYWIRE_TEST_SEED="
                  << seed;
    if (++failed == 5) break;  // enough to see
  }
  for (const auto& [code, number] : ends) {
    std::cout << absl::StatusCodeToString(code) << " " << number << "\n";
  }
  std::cout << runs << " seeds, " << calls << " calls, " << frames << " frames\n";
}

}  // namespace
}  // namespace anywire::sim
