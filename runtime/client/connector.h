// A connector keeps a channel's connection: makes it when the first call needs it, and a new one
// when it was lost.
#ifndef ANYWIRE_RUNTIME_CLIENT_CONNECTOR_H_
#define ANYWIRE_RUNTIME_CLIENT_CONNECTOR_H_

#include <kj/async.h>

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "anywire/event_loop.h"
#include "anywire/mutex.h"
#include "runtime/endpoint/endpoint.h"
#include "runtime/process/runtime_core.h"

namespace anywire {

// Somebody who waits for the connection.
class ConnectWaiter {
 public:
  // Called once unless Forget took the waiter back; on any thread, with no lock held. An error
  // carries Delivery::kNotSent.
  virtual void OnConnected(absl::StatusOr<std::shared_ptr<Endpoint>> endpoint) = 0;

 protected:
  ~ConnectWaiter() = default;

 private:
  friend class Connector;
  ConnectWaiter* next_ = nullptr;
  Instant deadline_ = Instant::max();
};

// Any thread may call any function. Dropping the last reference closes the connection, or gives up
// connecting; whoever waits holds one.
class Connector final : public std::enable_shared_from_this<Connector> {
 public:
  // `target` as Channel has it; the error is Channel::status().
  static absl::StatusOr<std::shared_ptr<Connector>> Create(Runtime::Core& runtime,
                                                           absl::string_view target);
  ~Connector();

  // The connection if there is one on which calls may be opened, else null.
  std::shared_ptr<Endpoint> Current() ABSL_LOCKS_EXCLUDED(mutex_);
  // Connects if need be and tells `waiter`, at `deadline` that it was too late (DEADLINE_EXCEEDED).
  // May tell it before returning, and does so when the deadline has passed or max_waiting_calls
  // wait already (RESOURCE_EXHAUSTED).
  void Wait(ConnectWaiter& waiter, Instant deadline) ABSL_LOCKS_EXCLUDED(mutex_);
  // Takes the waiter back. False: it has been told, or is being told now.
  bool Forget(ConnectWaiter& waiter) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string& target() const { return target_.uri; }
  const config::ServiceOptions& options() const { return *target_.options; }
  EventLoop& loop() const { return loop_; }

 private:
  class DeadlineAlarm;

  Connector(Runtime::Core& runtime, config::ConnectTarget target);
  void Dial();
  void OnDialed(absl::StatusOr<std::unique_ptr<Connection>> connection) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnAlarm(Instant now) ABSL_LOCKS_EXCLUDED(mutex_);
  // Forgets an attempt that is over.
  void DropDial() ABSL_LOCKS_EXCLUDED(mutex_);
  // Lets go of a connection that takes no more calls; those in progress keep it.
  void DropRetired() ABSL_LOCKS_EXCLUDED(mutex_);

  const config::ConnectTarget target_;
  EventLoop& loop_;
  SpinLimit& spin_;
  const std::unique_ptr<EventLoop::Alarm> alarm_;
  kj::Promise<void> dial_ = nullptr;  // of the loop's thread: the attempt to connect

  Mutex mutex_;
  std::shared_ptr<Endpoint> endpoint_ ABSL_GUARDED_BY(mutex_);
  bool dialing_ ABSL_GUARDED_BY(mutex_) = false;
  ConnectWaiter* waiters_ ABSL_GUARDED_BY(mutex_) = nullptr;
  size_t waiter_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_CLIENT_CONNECTOR_H_
