// What a run is told by its environment.
#ifndef ANYWIRE_TESTS_SIM_ENVIRONMENT_H_
#define ANYWIRE_TESTS_SIM_ENVIRONMENT_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/numbers.h"

namespace anywire::sim {

// The variable's number, or `otherwise` when it is not set.
inline uint64_t NumberFrom(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  uint64_t number = otherwise;
  if (text != nullptr && !absl::SimpleAtoi(text, &number)) {
    std::fprintf(stderr, "%s is not a number: \"%s\"\n", variable, text);
    std::abort();
  }
  return number;
}

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_ENVIRONMENT_H_
