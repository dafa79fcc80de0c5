#include "transports/udp/reliability/buffer_pool.h"

#include <new>
#include <utility>

#include "absl/base/macros.h"
#include "anywire/poison.h"

namespace anywire::udp {

BufferPool::~BufferPool() { Trim(); }

void BufferPool::Trim() {
  for (size_t size_class = 0; size_class < kClasses; ++size_class) {
    for (Idle* idle = std::exchange(idle_[size_class], nullptr); idle != nullptr;) {
      UnpoisonMemory(idle, kSmallest << size_class);
      Idle* const next = idle->next;
      delete[] reinterpret_cast<uint8_t*>(idle);
      idle = next;
    }
  }
  kept_ = 0;
}

BufferPool::Buffer BufferPool::Take(size_t size) {
  ABSL_HARDENING_ASSERT(size >= 1 && size <= kLargestMaxFrameSize);
  const uint8_t size_class = SizeClass(size);
  Idle*& first = idle_[size_class];
  const size_t capacity = kSmallest << size_class;
  if (first == nullptr) return Buffer(new uint8_t[capacity], Return{this, size_class});
  UnpoisonMemory(first, capacity);
  auto* const memory = reinterpret_cast<uint8_t*>(first);
  first = first->next;
  kept_ -= capacity;
  return Buffer(memory, Return{this, size_class});
}

void BufferPool::Put(uint8_t* memory, uint8_t size_class) {
  const size_t capacity = kSmallest << size_class;
  if (kept_ + capacity > kMostKept) {
    delete[] memory;
    return;
  }
  idle_[size_class] = new (memory) Idle{idle_[size_class]};
  kept_ += capacity;
  PoisonMemory(memory, capacity);
}

}  // namespace anywire::udp
