// The floor of shared memory: a ring of bytes each way, with one writer and one reader.
//
// The client makes the memory and passes it over the socket it has connected. Nothing else goes
// that way: the socket stays open only to tell that the peer is gone. While both are awake no
// system call is made; who blocks sleeps on a futex in the memory.
#ifndef ANYWIRE_TESTS_BENCH_RAW_SHM_H_
#define ANYWIRE_TESTS_BENCH_RAW_SHM_H_

#include <memory>

#include "tests/bench/raw_connection.h"

namespace anywire::bench {

// The connections of the two sides of the Unix socket `fd`, which they own. Both sides have to
// wait in the same way.
std::unique_ptr<RawConnection> OfferMemory(int fd, bool spins);
std::unique_ptr<RawConnection> TakeMemory(int fd, bool spins);

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_RAW_SHM_H_
