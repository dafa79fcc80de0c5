#include "transports/udp/waiter.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace anywire::udp {
namespace {

constexpr std::chrono::milliseconds kLookUp(10);

}  // namespace

Waiter::Waiter() : wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Waiter::Wait(int fd, Instant until) {
  const Instant now = std::chrono::steady_clock::now();
  if (!has_descriptor()) until = std::min(until, now + kLookUp);
  // poll(2) leaves out those that are negative.
  pollfd ready[] = {{fd, POLLIN, 0}, {wake_fd_.get(), POLLIN, 0}};
  const int64_t left = until <= now ? 0 : std::chrono::nanoseconds(until - now).count();
  const timespec timeout = {static_cast<time_t>(left / 1'000'000'000),
                            static_cast<long>(left % 1'000'000'000)};
  if (ppoll(ready, 2, until == Instant::max() ? nullptr : &timeout, nullptr) <= 0) return;
  if (ready[1].revents == 0) return;
  uint64_t unused;
  (void)!read(wake_fd_.get(), &unused, sizeof(unused));
}

void Waiter::Wake() const {
  const uint64_t one = 1;
  (void)!write(wake_fd_.get(), &one, sizeof(one));
}

std::unique_ptr<Waiter> WaiterPool::Take() {
  {
    MutexLock lock(&mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Waiter> waiter = std::move(idle_.back());
      idle_.pop_back();
      return waiter;
    }
  }
  return std::make_unique<Waiter>();
}

void WaiterPool::Return(std::unique_ptr<Waiter> waiter) {
  // One without is for a time of need. Kept, it would be the next one's, too.
  if (!waiter->has_descriptor()) return;
  MutexLock lock(&mutex_);
  if (idle_.size() < kMostKept) idle_.push_back(std::move(waiter));
}

}  // namespace anywire::udp
