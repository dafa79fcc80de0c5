#include "tests/bench/allocation_count.h"

namespace anywire::bench {

uint64_t AllocationCount() { return 0; }

}  // namespace anywire::bench
