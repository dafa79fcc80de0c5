// Replaces the global operator new, in all its forms, by one that counts.
#include <stdlib.h>

#include <atomic>
#include <new>

#include "tests/bench/allocation_count.h"

namespace anywire::bench {
namespace {

constinit std::atomic<uint64_t> count{0};

void* Count(void* memory) {
  count.fetch_add(1, std::memory_order_relaxed);
  if (memory == nullptr) abort();
  return memory;
}

}  // namespace

uint64_t AllocationCount() { return count.load(std::memory_order_relaxed); }

}  // namespace anywire::bench

using anywire::bench::Count;

// new[] and the forms with nothrow call these.
void* operator new(size_t size) { return Count(malloc(size == 0 ? 1 : size)); }
void* operator new(size_t size, std::align_val_t alignment) {
  const size_t unit = static_cast<size_t>(alignment);
  return Count(aligned_alloc(unit, (size + unit - 1) / unit * unit));
}
void operator delete(void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { free(memory); }
