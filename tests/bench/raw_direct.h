// The floor inside a process: the protobuf work of a call, by a direct function call.
#ifndef ANYWIRE_TESTS_BENCH_RAW_DIRECT_H_
#define ANYWIRE_TESTS_BENCH_RAW_DIRECT_H_

#include <memory>

#include "tests/bench/system.h"

namespace anywire::bench {

// Calls that wait are made on the calling thread, those in flight on one of their own, as are
// streams: nothing waits for anything.
std::unique_ptr<System> MakeRawDirect();

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_RAW_DIRECT_H_
