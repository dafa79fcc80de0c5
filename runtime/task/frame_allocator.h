// Memory for coroutine frames: per-thread free lists by size, so that a steady run of calls allocates nothing.
#ifndef ANYWIRE_RUNTIME_TASK_FRAME_ALLOCATOR_H_
#define ANYWIRE_RUNTIME_TASK_FRAME_ALLOCATOR_H_

#include <cstddef>

namespace anywire::internal {

// Any thread; a frame may be freed on another thread than the one that allocated it.
void* AllocateFrame(size_t size);
void FreeFrame(void* frame, size_t size);

}  // namespace anywire::internal

#endif  // ANYWIRE_RUNTIME_TASK_FRAME_ALLOCATOR_H_
