// What processes have used: processor time, memory.
#ifndef ANYWIRE_TESTS_BENCH_USAGE_H_
#define ANYWIRE_TESTS_BENCH_USAGE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace anywire::bench {

// Processor time of a process of this machine, user and system, of all its threads, in nanoseconds.
// So nobody has to ask a server by a call, which would cost it some.
uint64_t CpuNanoseconds(pid_t pid);

struct Memory {
  uint64_t heap = 0;      // bytes in use by mallinfo2
  uint64_t resident = 0;  // bytes
};
Memory OwnMemory();

// This process's memory and, in programs that count them, calls of operator new, as JSON.
std::string OwnUsageJson();

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_USAGE_H_
