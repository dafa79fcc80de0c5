// What a burst leaves behind.
#include <malloc.h>
#include <sys/stat.h>

#include <string>

#include "gtest/gtest.h"
#include "tests/support/watchdog.h"
#include "transports/shm/ring_fixture.h"

namespace anywire {
namespace {

size_t HeapInUse() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

size_t PagesOf(const Ring& ring) {
  struct stat file;
  EXPECT_EQ(0, fstat(ring.made.fd.get(), &file));
  return static_cast<size_t>(file.st_blocks) * 512;
}

// So many small frames at once, and then nothing. What is held then beyond what was before.
size_t HeldAfter(int frames) {
  Ring ring(1 << 20);
  EXPECT_TRUE(ring.Send(1, "first"));
  EXPECT_EQ(1u, ring.input.Take().size());
  ring.input.Release();
  const size_t before = HeapInUse();
  for (int i = 0; i < frames; ++i) EXPECT_TRUE(ring.Send(1, "12345678"));
  for (size_t taken = 0; taken < static_cast<size_t>(frames); ring.input.Release()) {
    taken += ring.input.Take().size();
  }
  EXPECT_TRUE(ring.input.Take().empty());
  ring.input.Shrink();
  const size_t after = HeapInUse();
  return after > before ? after - before : 0;
}

TEST(RingMemoryTest, ListsAreGivenBackAfterABurst) {
  if (test::BuildSlowness() > 1) GTEST_SKIP() << "a sanitizer has a heap of its own";
  HeldAfter(2000);  // the block of copies, which the process keeps
  EXPECT_LE(HeldAfter(2000), 0u);
  EXPECT_LE(HeldAfter(20'000), 0u);
  // A list of few frames is kept.
  EXPECT_LE(HeldAfter(64), 64 * sizeof(ReceivedFrame) + 64);
}

// The bound that README.md names.
TEST(RingMemoryTest, PagesOfABurstAreAtMostTheRing) {
  constexpr size_t kSize = 1 << 20;
  Ring ring(kSize);
  const std::string large(ShmMaxFrameSize(kSize), 'x');
  for (int i = 0; i < 100; ++i) {
    while (ring.Send(1, large)) {
    }
    while (!ring.Receive().empty()) {
    }
  }
  EXPECT_GE(PagesOf(ring), kSize);
  EXPECT_LE(PagesOf(ring), kSize + 4096);
}

}  // namespace
}  // namespace anywire
