// How often this process called operator new. Two libraries define it: one that counts, and one
// that does not.
#ifndef ANYWIRE_TESTS_BENCH_ALLOCATION_COUNT_H_
#define ANYWIRE_TESTS_BENCH_ALLOCATION_COUNT_H_

#include <cstdint>

namespace anywire::bench {

// 0 in programs that do not count.
uint64_t AllocationCount();

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_ALLOCATION_COUNT_H_
