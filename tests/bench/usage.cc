#include "tests/bench/usage.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

#include "absl/strings/str_format.h"
#include "tests/bench/allocation_count.h"
#include "tests/bench/system.h"

namespace anywire::bench {

uint64_t CpuNanoseconds(pid_t pid) {
  clockid_t clock;
  timespec time;
  if (const int error = clock_getcpuclockid(pid, &clock); error != 0) {
    Die(absl::StrFormat("no processor time of process %d: %s", pid, strerror(error)));
  }
  if (clock_gettime(clock, &time) != 0) Die("the server process is gone");
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

Memory OwnMemory() {
  const struct mallinfo2 heap = mallinfo2();
  Memory memory;
  memory.heap = heap.uordblks + heap.hblkhd;
  if (FILE* const file = fopen("/proc/self/statm", "re"); file != nullptr) {
    unsigned long size = 0;
    unsigned long resident = 0;
    if (fscanf(file, "%lu %lu", &size, &resident) == 2) {
      memory.resident = resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    }
    fclose(file);
  }
  return memory;
}

void NoteUsage() {
  CALLGRIND_DUMP_STATS;
  const uint64_t allocations = AllocationCount();
  const Memory memory = OwnMemory();
  puts(absl::StrFormat(R"({"heap_bytes": %d, "resident_bytes": %d, "allocations": %d})",
                       memory.heap, memory.resident, allocations)
           .c_str());
  fflush(stdout);
}

}  // namespace anywire::bench
