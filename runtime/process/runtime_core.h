// What the runtime's own parts ask of a Runtime.
#ifndef ANYWIRE_RUNTIME_PROCESS_RUNTIME_CORE_H_
#define ANYWIRE_RUNTIME_PROCESS_RUNTIME_CORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "anywire/event_loop.h"
#include "anywire/registry.h"
#include "anywire/runtime.h"
#include "anywire/spin.h"
#include "runtime/config/config.h"
#include "runtime/endpoint/driver_pool.h"

namespace anywire {

// Any thread may call any function.
class Runtime::Core {
 public:
  Core(TransportRegistry transports, config::Config config);
  ~Core();

  const TransportRegistry& registry() const { return registry_; }
  const config::Config& config() const { return config_; }
  // The loop for the next connection or listener: `io_threads` loops, each started at its first
  // use, take turns. While the system has no thread for another, those that there are do. When
  // there is none at all: RESOURCE_EXHAUSTED.
  absl::StatusOr<EventLoop*> TryNextLoop() ABSL_LOCKS_EXCLUDED(mutex_);
  // For those who cannot do without: then it ends the process, with a line on stderr.
  EventLoop& NextLoop() ABSL_LOCKS_EXCLUDED(mutex_);
  // All of them, each started if it has not been and the system has a thread for it; beginning with
  // the one whose turn it is, and that is all of its turn. After a TryNextLoop that was OK there is
  // one at least.
  std::vector<EventLoop*> AllLoops() ABSL_LOCKS_EXCLUDED(mutex_);
  // Threads that drive busy connections of servers.
  DriverPool& drivers() { return *drivers_; }
  // For threads that wait for a peer.
  SpinLimit& spin() { return spin_; }

  // Takes `bytes` of unread messages against `process_buffer`, which all servers share; false, and
  // nothing is taken, when that is reached.
  bool ReserveBuffer(size_t bytes);
  void ReleaseBuffer(size_t bytes);

 private:
  // Returns whether there is another.
  bool AddLoop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const TransportRegistry registry_;
  const config::Config config_;
  SpinLimit spin_;
  absl::Mutex mutex_;
  std::vector<std::unique_ptr<EventLoop>> loops_ ABSL_GUARDED_BY(mutex_);
  size_t next_loop_ ABSL_GUARDED_BY(mutex_) = 0;
  std::atomic<uint64_t> buffered_{0};
  std::optional<DriverPool> drivers_;  // its threads end before the loops
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_PROCESS_RUNTIME_CORE_H_
