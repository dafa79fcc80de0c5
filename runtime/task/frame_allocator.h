// Memory for coroutine frames and other things that live as long as a call: per-thread free lists
// by size, so that a steady run of calls allocates nothing.
#ifndef ANYWIRE_RUNTIME_TASK_FRAME_ALLOCATOR_H_
#define ANYWIRE_RUNTIME_TASK_FRAME_ALLOCATOR_H_

#include <cstddef>

namespace anywire::internal {

// Sizes up to this are kept for reuse; larger ones come from the heap each time.
inline constexpr size_t kLargestPooledFrame = 2048;
// What a thread keeps of each of its size classes at most, in bytes.
inline constexpr size_t kPooledBytesPerClass = 64 << 10;

// Memory aligned for any ordinary type. Any thread; a frame may be freed on another thread than the
// one that allocated it, where `size` is what it was allocated with. Under a sanitizer every frame
// is the heap's, so that it is watched.
void* AllocateFrame(size_t size);
void FreeFrame(void* frame, size_t size);

// The base of classes whose objects, made with new, live in such memory. They have no virtual
// destructor, or are deleted as what they are.
class FrameAllocated {
 public:
  static void* operator new(size_t size) { return AllocateFrame(size); }
  static void operator delete(void* frame, size_t size) { FreeFrame(frame, size); }
};

// How many bytes the calling thread keeps for reuse.
size_t PooledFrameBytes();

}  // namespace anywire::internal

#endif  // ANYWIRE_RUNTIME_TASK_FRAME_ALLOCATOR_H_
