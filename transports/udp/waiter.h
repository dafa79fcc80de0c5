// What a thread that waits for a connection is woken by: a descriptor, so that it may wait for a
// socket as well.
#ifndef ANYWIRE_TRANSPORTS_UDP_WAITER_H_
#define ANYWIRE_TRANSPORTS_UDP_WAITER_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "anywire/event_loop.h"
#include "anywire/mutex.h"
#include "transports/stream/unique_fd.h"

namespace anywire::udp {

// One thread's at a time.
class Waiter {
 public:
  Waiter();

  // Whether Wake has an effect.
  bool has_descriptor() const { return wake_fd_.valid(); }
  // Waits until `fd` (negative: none) is readable or has an error, Wake is called, or `until`; may
  // return early without cause. Where the system has no descriptor left, it returns every few
  // milliseconds, so that the caller looks for itself.
  void Wait(int fd, Instant until);
  // ANY THREAD.
  void Wake() const;

 private:
  const UniqueFd wake_fd_;
};

// As many as threads wait at a time, not as there are connections.
class WaiterPool {
 public:
  // So many are kept for the next.
  static constexpr size_t kMostKept = 64;

  // For the time of one wait.
  class Borrowed {
   public:
    explicit Borrowed(WaiterPool& pool) : pool_(pool), waiter_(pool.Take()) {}
    ~Borrowed() { pool_.Return(std::move(waiter_)); }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
    Waiter& operator*() const { return *waiter_; }
    Waiter* operator->() const { return waiter_.get(); }

   private:
    WaiterPool& pool_;
    std::unique_ptr<Waiter> waiter_;
  };

 private:
  std::unique_ptr<Waiter> Take() ABSL_LOCKS_EXCLUDED(mutex_);
  void Return(std::unique_ptr<Waiter> waiter) ABSL_LOCKS_EXCLUDED(mutex_);

  Mutex mutex_;
  std::vector<std::unique_ptr<Waiter>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_WAITER_H_
