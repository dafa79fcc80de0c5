#include "tests/sim/udp/mutants/mutant.h"

#include <cstdlib>

namespace anywire::udp {

const int mutant = [] {
  const char* const number = std::getenv("ANYWIRE_MUTANT");
  return number != nullptr ? std::atoi(number) : 0;
}();

}  // namespace anywire::udp
