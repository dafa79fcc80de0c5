// The floor of datagrams: bytes there and back by hand, a datagram each, and nothing that would
// notice a loss. It has calls that wait; there is no floor for more than that which is no protocol.
#ifndef ANYWIRE_TESTS_BENCH_RAW_UDP_H_
#define ANYWIRE_TESTS_BENCH_RAW_UDP_H_

#include <memory>

#include "tests/bench/system.h"

namespace anywire::bench {

// For URIs of SocketUri. wait=block (the default) or spin: how both sides wait. Each thread has a
// socket of its own.
std::unique_ptr<System> MakeRawDatagrams();

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_RAW_UDP_H_
