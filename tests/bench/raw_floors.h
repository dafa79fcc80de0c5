// The floors under every RPC system: hand-written loops over the same kind of socket or memory,
// without calls, deadlines, limits or errors.
#ifndef ANYWIRE_TESTS_BENCH_RAW_FLOORS_H_
#define ANYWIRE_TESTS_BENCH_RAW_FLOORS_H_

#include <memory>

#include "tests/bench/raw_connection.h"
#include "tests/bench/system.h"

namespace anywire::bench {

// Streams of bytes between processes.
//
//   - calls that wait: a length and the bytes there and back, no protobuf, one write and one read a
//     side; each thread has a connection of its own
//   - calls in flight: length, number and protobuf on one connection; what has come is answered
//     with one write
//   - streams: up, bytes alone; both ways, lengths and protobuf
//
// For URIs of SocketUri. wait=block (the default) or spin: how both sides wait for bytes.
std::unique_ptr<System> MakeRawCalls(const RawTransport& transport);

// Datagrams between processes: bytes there and back, a datagram each, and nothing that would notice
// a loss. It has calls that wait; there is no floor for more than that which is no protocol. URIs
// and wait are as above; each thread has a socket of its own.
std::unique_ptr<System> MakeRawDatagrams();

// Inside a process: the protobuf work of a call, by a direct function call. Calls that wait are
// made on the calling thread, those in flight on one of their own, as are streams: nothing waits
// for anything.
std::unique_ptr<System> MakeRawDirect();

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_RAW_FLOORS_H_
