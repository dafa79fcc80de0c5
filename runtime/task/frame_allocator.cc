#include "runtime/task/frame_allocator.h"

#include <array>
#include <cstdint>
#include <new>
#include <utility>

#if defined(__has_feature)
#define ANYWIRE_HAS_FEATURE(feature) __has_feature(feature)
#else
#define ANYWIRE_HAS_FEATURE(feature) 0
#endif

namespace anywire::internal {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                   \
    ANYWIRE_HAS_FEATURE(address_sanitizer) || ANYWIRE_HAS_FEATURE(thread_sanitizer) || \
    ANYWIRE_HAS_FEATURE(memory_sanitizer)
constexpr bool kPooled = false;
#else
constexpr bool kPooled = true;
#endif

constexpr size_t kClassStep = 64;
constexpr size_t kClasses = kLargestPooledFrame / kClassStep;

struct FreeFrameNode {
  FreeFrameNode* next;
};

struct SizeClass {
  FreeFrameNode* first = nullptr;
  uint32_t count = 0;
};

// Trivially destructible, so that frames which other thread-local objects free while the thread
// ends find it intact.
struct ThreadPool {
  enum State : uint8_t { kNew, kInUse, kEnded };
  std::array<SizeClass, kClasses> classes = {};
  State state = kNew;
};

thread_local constinit ThreadPool thread_pool;

void Drain() {
  for (SizeClass& size_class : thread_pool.classes) {
    while (size_class.first != nullptr) {
      ::operator delete(std::exchange(size_class.first, size_class.first->next));
    }
    size_class.count = 0;
  }
}

struct ThreadEnd {
  ~ThreadEnd() {
    thread_pool.state = ThreadPool::kEnded;
    Drain();
  }
};

// Whether frames may be kept on this thread; arranges for its end at the first.
bool MayKeep() {
  if (thread_pool.state == ThreadPool::kInUse) return true;
  if (thread_pool.state == ThreadPool::kEnded) return false;
  static thread_local ThreadEnd thread_end;
  static_cast<void>(&thread_end);
  thread_pool.state = ThreadPool::kInUse;
  return true;
}

constexpr size_t ClassOf(size_t size) { return (size - 1) / kClassStep; }
constexpr size_t ClassSize(size_t index) { return (index + 1) * kClassStep; }

}  // namespace

void* AllocateFrame(size_t size) {
  if (!kPooled || size == 0 || size > kLargestPooledFrame) return ::operator new(size);
  const size_t index = ClassOf(size);
  SizeClass& size_class = thread_pool.classes[index];
  if (size_class.first == nullptr) return ::operator new(ClassSize(index));
  --size_class.count;
  return std::exchange(size_class.first, size_class.first->next);
}

void FreeFrame(void* frame, size_t size) {
  if (kPooled && size != 0 && size <= kLargestPooledFrame) {
    const size_t index = ClassOf(size);
    SizeClass& size_class = thread_pool.classes[index];
    if ((size_class.count + 1) * ClassSize(index) <= kPooledBytesPerClass && MayKeep()) {
      size_class.first = new (frame) FreeFrameNode{size_class.first};
      ++size_class.count;
      return;
    }
  }
  ::operator delete(frame);
}

size_t PooledFrameBytes() {
  size_t bytes = 0;
  for (size_t index = 0; index < kClasses; ++index) {
    bytes += thread_pool.classes[index].count * ClassSize(index);
  }
  return bytes;
}

}  // namespace anywire::internal
