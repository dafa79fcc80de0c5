#include "transports/stream/io_block.h"

#if defined(__SANITIZE_ADDRESS__)
#define ANYWIRE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ANYWIRE_ASAN 1
#endif
#endif
#ifdef ANYWIRE_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace anywire {
namespace {

// A peer that sends frames of one byte makes the list of them long; that is not kept.
constexpr size_t kFramesToKeep = 2048;

// Views into a block that has been given back are mistakes that a sanitizer shall see.
void MarkIdle([[maybe_unused]] IoBlock* block) {
#ifdef ANYWIRE_ASAN
  ASAN_POISON_MEMORY_REGION(block->bytes, IoBlock::kSize);
#endif
}

void MarkUsed([[maybe_unused]] IoBlock* block) {
#ifdef ANYWIRE_ASAN
  ASAN_UNPOISON_MEMORY_REGION(block->bytes, IoBlock::kSize);
#endif
}

struct Pool;
// Outlives the pool of the thread, for connections that are destroyed after it.
thread_local bool pool_is_gone = false;

struct Pool {
  ~Pool() {
    pool_is_gone = true;
    while (count > 0) {
      IoBlock* block = blocks[--count];
      MarkUsed(block);
      delete block;
    }
  }
  IoBlock* blocks[kBlocksPerThread];
  int count = 0;
};

thread_local Pool pool;

}  // namespace

IoBlockPtr BorrowIoBlock() {
  if (!pool_is_gone && pool.count > 0) {
    IoBlock* block = pool.blocks[--pool.count];
    MarkUsed(block);
    return IoBlockPtr(block);
  }
  return IoBlockPtr(new IoBlock);
}

void ReturnIoBlock::operator()(IoBlock* block) const {
  if (pool_is_gone || pool.count == kBlocksPerThread) {
    delete block;
    return;
  }
  block->frames.clear();
  if (block->frames.capacity() > kFramesToKeep) block->frames.shrink_to_fit();
  MarkIdle(block);
  pool.blocks[pool.count++] = block;
}

int IdleIoBlocks() { return pool_is_gone ? 0 : pool.count; }

}  // namespace anywire
