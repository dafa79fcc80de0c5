#include "runtime/task/frame_allocator.h"

#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace anywire::internal {
namespace {

// Under a sanitizer nothing is kept.
bool Pooled() {
  FreeFrame(AllocateFrame(64), 64);
  return PooledFrameBytes() != 0;
}

TEST(FrameAllocatorTest, GivesUsableMemoryOfEverySize) {
  for (size_t size = 1; size <= kLargestPooledFrame + 65; ++size) {
    void* const frame = AllocateFrame(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(frame) % alignof(std::max_align_t), 0u);
    std::memset(frame, 0xa5, size);
    FreeFrame(frame, size);
  }
}

TEST(FrameAllocatorTest, ReusesAFrameOfTheSameClass) {
  if (!Pooled()) GTEST_SKIP() << "a sanitizer watches every frame";
  void* const first = AllocateFrame(200);
  FreeFrame(first, 200);
  void* const second = AllocateFrame(250);
  EXPECT_EQ(second, first);
  FreeFrame(second, 250);
}

TEST(FrameAllocatorTest, KeepsNoMoreThanItsLimit) {
  if (!Pooled()) GTEST_SKIP() << "a sanitizer watches every frame";
  std::thread([] {
    constexpr size_t kSize = 1024;
    constexpr size_t kLimit = kPooledBytesPerClass / kSize;
    std::vector<void*> frames;
    for (size_t i = 0; i < kLimit + 1; ++i) frames.push_back(AllocateFrame(kSize));
    for (size_t i = 0; i < kLimit - 1; ++i) FreeFrame(frames[i], kSize);
    EXPECT_EQ(PooledFrameBytes(), (kLimit - 1) * kSize);
    FreeFrame(frames[kLimit - 1], kSize);
    EXPECT_EQ(PooledFrameBytes(), kLimit * kSize);
    FreeFrame(frames[kLimit], kSize);
    EXPECT_EQ(PooledFrameBytes(), kLimit * kSize);
  }).join();
}

TEST(FrameAllocatorTest, DoesNotKeepLargeFrames) {
  std::thread([] {
    FreeFrame(AllocateFrame(kLargestPooledFrame + 1), kLargestPooledFrame + 1);
    EXPECT_EQ(PooledFrameBytes(), 0u);
  }).join();
}

TEST(FrameAllocatorTest, AFrameMayBeFreedOnAnotherThread) {
  std::vector<void*> frames;
  for (int i = 0; i < 1000; ++i) frames.push_back(AllocateFrame(128));
  std::thread([&frames] {
    for (void* frame : frames) FreeFrame(frame, 128);
  }).join();
}

TEST(FrameAllocatorTest, AFrameMayBeFreedWhileItsThreadEnds) {
  struct Last {
    void* frame = nullptr;
    ~Last() { FreeFrame(frame, 128); }
  };
  std::thread([] {
    static thread_local Last before;  // destroyed after the pool's own end
    before.frame = AllocateFrame(128);
    FreeFrame(AllocateFrame(64), 64);
    static thread_local Last after;  // destroyed before it
    after.frame = AllocateFrame(128);
  }).join();
}

}  // namespace
}  // namespace anywire::internal
