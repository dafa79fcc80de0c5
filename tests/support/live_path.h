// A NetworkPath in real time: one thread moves packets through it, and any thread may change it and
// ask what has become of them.
#ifndef ANYWIRE_TESTS_SUPPORT_LIVE_PATH_H_
#define ANYWIRE_TESTS_SUPPORT_LIVE_PATH_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <random>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/network_path.h"

namespace anywire::test {

struct LivePathOptions {
  PathOptions path = {.delay = std::chrono::nanoseconds(0)};
  uint64_t seed = 1;
  // Bytes on their way, counted as NetworkPath does.
  size_t room = 64 << 20;
};

// What any thread may do at any time. It acts on what is sent from then on.
class PathControl {
 public:
  virtual ~PathControl() = default;
  virtual void SetOptions(const PathOptions& options) = 0;
  // While on, nothing gets through towards that side.
  virtual void Partition(Towards towards, bool on) = 0;
  virtual PathCounts counts(Towards towards) const = 0;
  // Waits until so many packets in all have been sent towards that side.
  virtual void WaitForSent(Towards towards, uint64_t packets) const = 0;
};

template <class Route>
class LivePath final : public PathControl {
 public:
  using Packet = typename NetworkPath<Route>::Packet;
  using Instant = PathDirection::Instant;

  explicit LivePath(const LivePathOptions& options)
      : random_(options.seed), path_(options.path, random_, options.room) {}

  void SetOptions(const PathOptions& options) override ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    path_.options() = options;
  }
  void Partition(Towards towards, bool on) override ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    path_.Partition(towards, on);
  }
  PathCounts counts(Towards towards) const override ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return path_.counts(towards);
  }
  void WaitForSent(Towards towards, uint64_t packets) const override ABSL_LOCKS_EXCLUDED(mutex_) {
    const auto sent = [this, towards, packets]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return path_.counts(towards).sent >= packets;
    };
    absl::MutexLock lock(&mutex_, absl::Condition(&sent));
  }

  // ---- of the thread that moves them

  void Send(Packet packet, Instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    path_.Send(std::move(packet), now);
  }
  // The next of those that have arrived by now.
  std::optional<Packet> Take(Instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (path_.NextArrival() > now) return std::nullopt;
    return path_.Take();
  }
  // How long it may sleep; none: nothing is on its way.
  std::optional<timespec> UntilNextArrival() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const Instant next = path_.NextArrival();
    if (next == Instant::max()) return std::nullopt;
    const int64_t ns = std::max<int64_t>(0, (next - std::chrono::steady_clock::now()).count());
    return timespec{ns / 1'000'000'000, ns % 1'000'000'000};
  }

 private:
  mutable absl::Mutex mutex_;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mutex_);
  NetworkPath<Route> path_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_LIVE_PATH_H_
