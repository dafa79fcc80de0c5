#include "transports/udp/waiter.h"

#include <sys/resource.h>

#include <chrono>

#include "gtest/gtest.h"

namespace anywire::udp {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// No descriptors are to be had while it lives.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors() {
    EXPECT_EQ(0, getrlimit(RLIMIT_NOFILE, &before_));
    const rlimit none = {0, before_.rlim_max};
    EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
  }
  ~NoMoreDescriptors() { EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &before_)); }

 private:
  rlimit before_;
};

TEST(Waiter, IsWokenThoughItDoesNotWaitYet) {
  WaiterPool pool;
  const WaiterPool::Borrowed waiter(pool);
  waiter->Wake();
  waiter->Wait(-1, Instant::max());
}

TEST(Waiter, LooksForItselfWithoutADescriptor) {
  WaiterPool pool;
  const NoMoreDescriptors none;
  const WaiterPool::Borrowed waiter(pool);
  waiter->Wait(-1, Instant::max());
}

TEST(Waiter, SleepsAgainWhenThereAreDescriptors) {
  WaiterPool pool;
  {
    const NoMoreDescriptors none;
    const WaiterPool::Borrowed waiter(pool);
  }
  const WaiterPool::Borrowed waiter(pool);
  const Instant until = Clock::now() + milliseconds(50);
  waiter->Wait(-1, until);
  EXPECT_GE(Clock::now(), until) << "it looks for itself";
}

}  // namespace
}  // namespace anywire::udp
