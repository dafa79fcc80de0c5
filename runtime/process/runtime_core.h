// What the runtime's own parts ask of a Runtime.
#ifndef ANYWIRE_RUNTIME_PROCESS_RUNTIME_CORE_H_
#define ANYWIRE_RUNTIME_PROCESS_RUNTIME_CORE_H_

#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "anywire/event_loop.h"
#include "anywire/registry.h"
#include "anywire/runtime.h"
#include "runtime/config/config.h"
#include "runtime/endpoint/driver_pool.h"

namespace anywire {

// Any thread may call any function.
class Runtime::Core {
 public:
  Core(TransportRegistry transports, config::Config config);

  const TransportRegistry& registry() const { return registry_; }
  const config::Config& config() const { return config_; }
  // The loop for the next connection or listener: round robin over `io_threads` loops, each started at its first use.
  EventLoop& NextLoop() ABSL_LOCKS_EXCLUDED(mutex_);
  // Threads that drive busy connections of servers.
  DriverPool& drivers() { return drivers_; }

 private:
  const TransportRegistry registry_;
  const config::Config config_;
  absl::Mutex mutex_;
  std::vector<std::unique_ptr<EventLoop>> loops_ ABSL_GUARDED_BY(mutex_);
  size_t next_loop_ ABSL_GUARDED_BY(mutex_) = 0;
  DriverPool drivers_;  // after the loops: its threads end first
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_PROCESS_RUNTIME_CORE_H_
