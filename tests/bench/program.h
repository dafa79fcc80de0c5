// The command line that all measured programs share, and how they talk to who runs them.
//
//   PROGRAM server URI [KEY=VALUE ...]
//     Says "ready ADDRESS" on stdout, and serves until stdin is closed, so that no server outlives
//     its driver. To each line on stdin it answers with its usage, a line of JSON.
//   PROGRAM client ADDRESS SERVER_PID [KEY=VALUE ...]
//     Makes the load that the words ask for (load.h) and prints what came of it, a line of JSON.
//   PROGRAM both URI [KEY=VALUE ...]
//     Server and client in one process.
//   PROGRAM transports FOLDER
//     What it can be measured over.
#ifndef ANYWIRE_TESTS_BENCH_PROGRAM_H_
#define ANYWIRE_TESTS_BENCH_PROGRAM_H_

#include "tests/bench/system.h"

namespace anywire::bench {

// For main: does what the command line says; the exit code.
int RunProgram(System& system, int argc, char** argv);

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_PROGRAM_H_
