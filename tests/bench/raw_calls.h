// The floor under every RPC system between processes: hand-written loops over the same kind of
// socket or memory, without calls, deadlines, limits or errors.
//
//   - calls that wait: a length and the bytes there and back, no protobuf, one write and one read a
//     side; each thread has a connection of its own
//   - calls in flight: length, number and protobuf on one connection; what has come is answered
//     with one write
//   - streams: up, bytes alone; both ways, lengths and protobuf
#ifndef ANYWIRE_TESTS_BENCH_RAW_CALLS_H_
#define ANYWIRE_TESTS_BENCH_RAW_CALLS_H_

#include <memory>

#include "tests/bench/raw_connection.h"
#include "tests/bench/system.h"

namespace anywire::bench {

// For URIs of SocketUri. wait=block (the default) or spin: how both sides wait for bytes.
std::unique_ptr<System> MakeRawCalls(const RawTransport& transport);

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_RAW_CALLS_H_
