#include "runtime/server/termination_signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "absl/base/const_init.h"
#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace anywire {
namespace {

constexpr std::array<int, 2> kSignals = {SIGTERM, SIGINT};

// What the signal handler touches: lock-free atomics only. Of the waiters beyond so many, each
// looks up now and then.
constinit std::array<std::atomic<int>, 8> wake_fds = {-1, -1, -1, -1, -1, -1, -1, -1};
constinit std::atomic<int> signals_seen{0};
static_assert(std::atomic<int>::is_always_lock_free);
constexpr absl::Duration kWithoutSlot = absl::Milliseconds(100);

// The first waiter installs the handlers, the last puts the program's own back.
constinit absl::Mutex mutex(absl::kConstInit);
constinit int waiters ABSL_GUARDED_BY(mutex) = 0;
struct sigaction previous[kSignals.size()] ABSL_GUARDED_BY(mutex);

void WriteTo(int fd) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(fd, &one, sizeof(one));
}

void OnSignal(int) {
  const int saved_errno = errno;
  signals_seen.fetch_add(1);
  for (const std::atomic<int>& slot : wake_fds) {
    if (const int fd = slot.load(); fd >= 0) WriteTo(fd);
  }
  errno = saved_errno;
}

void Install() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
  struct sigaction ours = {};
  ours.sa_handler = OnSignal;
  ours.sa_flags = SA_RESTART;
  sigemptyset(&ours.sa_mask);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &previous[i]);
    if (previous[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &ours, nullptr);
  }
}

void PutBack() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &previous[i], nullptr);
}

}  // namespace

TerminationSignals::TerminationSignals()
    : wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), count_before_(signals_seen.load()) {
  for (size_t i = 0; i < wake_fds.size() && slot_ < 0 && wake_fd_ >= 0; ++i) {
    int free = -1;
    if (wake_fds[i].compare_exchange_strong(free, wake_fd_)) slot_ = static_cast<int>(i);
  }
  const absl::MutexLock lock(&mutex);
  if (waiters++ == 0) Install();
}

TerminationSignals::~TerminationSignals() {
  {
    const absl::MutexLock lock(&mutex);
    if (--waiters == 0) PutBack();
  }
  if (slot_ >= 0) wake_fds[static_cast<size_t>(slot_)].store(-1);
  if (wake_fd_ >= 0) close(wake_fd_);
}

int TerminationSignals::count() const { return signals_seen.load() - count_before_; }

void TerminationSignals::Wait(absl::Duration timeout) {
  if (slot_ < 0) timeout = std::min(timeout, kWithoutSlot);
  struct pollfd readable = {.fd = wake_fd_, .events = POLLIN, .revents = 0};
  const int milliseconds =
      timeout == absl::InfiniteDuration()
          ? -1
          : static_cast<int>(absl::ToInt64Milliseconds(std::min(timeout, absl::Hours(24))));
  if (poll(&readable, 1, milliseconds) <= 0) return;
  uint64_t happened;
  [[maybe_unused]] const ssize_t size = read(wake_fd_, &happened, sizeof(happened));
}

void TerminationSignals::Wake() { WriteTo(wake_fd_); }

}  // namespace anywire
