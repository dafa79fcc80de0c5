#include "transports/stream/io_block.h"

#include "anywire/poison.h"

namespace anywire {
namespace {

// A peer that sends frames of one byte makes the list of them long; that is not kept.
constexpr size_t kFramesToKeep = 2048;

// A thread's. Trivially destructible, so that it can still be asked by connections that are
// destroyed after it.
template <typename Block, int kMost>
class Pool {
 public:
  Block* Take() {
    if (count_ == 0) return New();
    Block* const block = blocks_[--count_];
    UnpoisonMemory(block->bytes, Block::kSize);
    return block;
  }

  void Put(Block* block) {
    if (count_ == capacity_) {
      delete block;
      return;
    }
    PoisonMemory(block->bytes, Block::kSize);
    blocks_[count_++] = block;
  }

  int count() const { return count_; }

 private:
  struct ThreadEnd {
    explicit ThreadEnd(Pool& pool) : pool(pool) { pool.capacity_ = kMost; }
    ~ThreadEnd() {
      pool.capacity_ = 0;
      while (pool.count_ > 0) delete pool.Take();
    }
    Pool& pool;
  };

  Block* New() {
    static thread_local ThreadEnd at_end(*this);
    static_cast<void>(&at_end);
    return new Block;
  }

  Block* blocks_[kMost] = {};
  int count_ = 0;
  int capacity_ = 0;  // kMost between the thread's first block and its end
};

thread_local constinit Pool<InputBlock, kInputBlocksPerThread> input_blocks;
thread_local constinit Pool<IoBlock, kBlocksPerThread> blocks;
thread_local constinit Pool<SmallBlock, kSmallBlocksPerThread> small_blocks;

}  // namespace

InputBlockPtr BorrowInputBlock() { return InputBlockPtr(input_blocks.Take()); }

IoBlockPtr BorrowIoBlock() { return IoBlockPtr(blocks.Take()); }

SmallBlockPtr BorrowSmallBlock() { return SmallBlockPtr(small_blocks.Take()); }

void ReturnInputBlock::operator()(InputBlock* block) const {
  block->frames.clear();
  if (block->frames.capacity() > kFramesToKeep) block->frames.shrink_to_fit();
  input_blocks.Put(block);
}

void ReturnIoBlock::operator()(IoBlock* block) const { blocks.Put(block); }

void ReturnSmallBlock::operator()(SmallBlock* block) const { small_blocks.Put(block); }

int IdleInputBlocks() { return input_blocks.count(); }

int IdleIoBlocks() { return blocks.count(); }

int IdleSmallBlocks() { return small_blocks.count(); }

}  // namespace anywire
