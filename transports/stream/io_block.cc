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

// Trivially destructible, so that it can still be asked by connections that are destroyed after it.
struct Pool {
  IoBlock* blocks[kBlocksPerThread] = {};
  int count = 0;
  int capacity = 0;  // kBlocksPerThread between the thread's first block and its end
};

thread_local constinit Pool pool;

struct ThreadEnd {
  ThreadEnd() { pool.capacity = kBlocksPerThread; }
  ~ThreadEnd() {
    pool.capacity = 0;
    while (pool.count > 0) {
      IoBlock* const block = pool.blocks[--pool.count];
      MarkUsed(block);
      delete block;
    }
  }
};

IoBlock* NewIoBlock() {
  static thread_local ThreadEnd at_end;
  static_cast<void>(&at_end);
  return new IoBlock;
}

}  // namespace

IoBlockPtr BorrowIoBlock() {
  if (pool.count == 0) return IoBlockPtr(NewIoBlock());
  IoBlock* const block = pool.blocks[--pool.count];
  MarkUsed(block);
  return IoBlockPtr(block);
}

void ReturnIoBlock::operator()(IoBlock* block) const {
  if (pool.count == pool.capacity) {
    delete block;
    return;
  }
  block->frames.clear();
  if (block->frames.capacity() > kFramesToKeep) block->frames.shrink_to_fit();
  MarkIdle(block);
  pool.blocks[pool.count++] = block;
}

int IdleIoBlocks() { return pool.count; }

}  // namespace anywire
