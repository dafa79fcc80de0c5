// The load: which calls are made when, what is timed, and how it is reported. The same for all
// systems.
#ifndef ANYWIRE_TESTS_BENCH_LOAD_H_
#define ANYWIRE_TESTS_BENCH_LOAD_H_

#include <sys/types.h>

#include <string>

#include "tests/bench/system.h"

namespace anywire::bench {

// Makes the load that `parameters` ask for, of a server at `address` in process `server`, and
// prints one line of JSON. Dies of a mistake in the parameters.
//
//   pattern=calls      unary calls; with in_flight=N as many at a time without waiting, else
//                      threads=N that wait. slow_every=N: one in N asks its handler for
//                      delay_us=N, and is not counted among the latencies.
//   pattern=open       unary calls at random times, rate=N a second on average (0: as soon as may
//                      be), whatever becomes of those before; latencies count from the time at
//                      which a call was due (seed=N)
//   pattern=mixed      one thread's waiting calls while bulk=N streams move messages of 1 MiB
//   pattern=upload     one stream of messages up
//   pattern=chat       one stream of messages up and back
//   pattern=connect    a connection and its first call, again and again
//   size=N             bytes of payload
//   seconds=N          how long to measure, after a fifth as long to warm up
//
// Two patterns are measured from outside. They print this process's usage (NoteUsage) at certain
// moments, and wait each time for a line on stdin:
//
//   pattern=idle       connections=N that have made one call each and do nothing: before and after
//   pattern=counted    calls=N of each form: one at a time waiting, with callbacks, in
//                      coroutines, and 16 N of them with callbacks, 64 at a time; before and
//                      after each. No clock is read.
//
// All other words are the system's.
void RunLoad(System& system, const std::string& address, pid_t server,
             const Parameters& parameters);

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_LOAD_H_
