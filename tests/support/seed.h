// Seeds of random tests: printed when a test begins, and given back by ANYWIRE_TEST_SEED to repeat
// it.
#ifndef ANYWIRE_TESTS_SUPPORT_SEED_H_
#define ANYWIRE_TESTS_SUPPORT_SEED_H_

#include <cstdint>

namespace anywire::test {

// ANYWIRE_TEST_SEED when it is set, else `ordinary` (a constant, so that the ordinary run repeats
// itself).
uint64_t TestSeed(uint64_t ordinary);

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_SEED_H_
