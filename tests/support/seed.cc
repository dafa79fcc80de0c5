#include "tests/support/seed.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/numbers.h"

namespace anywire::test {

uint64_t TestSeed(uint64_t ordinary) {
  uint64_t seed = ordinary;
  const char* given = std::getenv("ANYWIRE_TEST_SEED");
  if (given != nullptr && !absl::SimpleAtoi(given, &seed)) {
    std::fprintf(stderr, "ANYWIRE_TEST_SEED is not a number: \"%s\"\n", given);
    std::abort();
  }
  std::printf("repeat with ANYWIRE_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace anywire::test
