// What processes have used: processor time, memory.
#ifndef ANYWIRE_TESTS_BENCH_USAGE_H_
#define ANYWIRE_TESTS_BENCH_USAGE_H_

#include <sys/types.h>

#include <cstdint>

namespace anywire::bench {

// Processor time of a process of this machine, user and system, of all its threads, in nanoseconds.
// So nobody has to ask a server by a call, which would cost it some.
uint64_t CpuNanoseconds(pid_t pid);

struct Memory {
  uint64_t heap = 0;      // bytes in use by mallinfo2
  uint64_t resident = 0;  // bytes
};
Memory OwnMemory();

// Prints a line of JSON: this process's memory and, in programs that count them, calls of operator
// new. Under callgrind, what was executed since the last time becomes a file of its own.
void NoteUsage();

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_USAGE_H_
