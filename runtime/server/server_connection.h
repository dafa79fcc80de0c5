// One connection of a server: its endpoint, and the pool of its calls.
#ifndef ANYWIRE_RUNTIME_SERVER_SERVER_CONNECTION_H_
#define ANYWIRE_RUNTIME_SERVER_SERVER_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "anywire/event_loop.h"
#include "anywire/interceptor.h"
#include "anywire/transport.h"
#include "runtime/endpoint/driver_pool.h"
#include "runtime/endpoint/endpoint.h"
#include "runtime/protocol/protocol.h"
#include "runtime/server/server_call.h"
#include "runtime/server/service_table.h"
#include "runtime/server/worker_pool.h"

namespace anywire {

class ServerConnection;

// What the connections of a server share, and whom they tell of their end.
class ConnectionOwner {
 public:
  virtual const ServiceTable& services() const = 0;
  virtual const std::vector<std::shared_ptr<ServerInterceptor>>& interceptors() const = 0;
  virtual WorkerPool& workers() = 0;
  // Takes `bytes` of a call's unread messages against the limit of the process; false when that is
  // reached.
  virtual bool ReserveBuffer(size_t bytes) = 0;
  virtual void ReleaseBuffer(size_t bytes) = 0;
  // The connection is lost and none of its handlers runs any more: it may be destroyed, inside too.
  // Any thread, once.
  virtual void OnConnectionEnded(ServerConnection& connection) = 0;

 protected:
  ~ConnectionOwner() = default;
};

class ServerConnection final : private protocol::CallFactory {
 public:
  explicit ServerConnection(ConnectionOwner& owner) : owner_(owner) {}
  ServerConnection(const ServerConnection&) = delete;
  ServerConnection& operator=(const ServerConnection&) = delete;

  // Once, before anything else. Any thread. The caller keeps the connection alive until it returns.
  // With `draining` the client, which came too late, hears that before it hears anything else.
  void Start(EventLoop& loop, std::unique_ptr<Connection> connection,
             const protocol::Limits& limits, DriverPool* drivers, SpinLimit* spin, bool draining);

  // These by any thread at any time after that.

  // No new calls.
  void Drain();
  struct Load {
    size_t unsent = 0;   // calls that are not over, or whose end is not sent yet
    size_t running = 0;  // calls whose handlers have not ended
  };
  Load load();
  // Ends every call that is not over; returns how many those were.
  size_t EndCalls(const absl::Status& status);
  void Close(const absl::Status& why);

  ConnectionOwner& owner() const { return owner_; }

  // Under the endpoint's lock, at the Release of a call. True when the connection has ended by it:
  // who gets that calls End, without the lock.
  [[nodiscard]] bool GiveBack(ServerCall& call);
  void End() { owner_.OnConnectionEnded(*this); }

 private:
  const void* FindMethod(absl::string_view full_name) override;
  void* NewCall(protocol::CallId call, const void* method) override;
  ABSL_ATTRIBUTE_NOINLINE void AddCall();
  void OnLost() ABSL_LOCKS_EXCLUDED(mutex_);
  // Null until Start has it. (Calls have it from their first event.)
  std::shared_ptr<Endpoint> endpoint() const ABSL_LOCKS_EXCLUDED(mutex_);

  ConnectionOwner& owner_;

  mutable absl::Mutex mutex_;
  std::shared_ptr<Endpoint> endpoint_ ABSL_GUARDED_BY(mutex_);
  bool lost_early_ ABSL_GUARDED_BY(mutex_) = false;  // before endpoint_ was set

  // Under the endpoint's lock.
  std::vector<std::unique_ptr<ServerCall>> calls_;
  std::vector<ServerCall*> idle_;
  size_t users_ = 1;  // calls in use, and Start while it runs
  bool lost_ = false;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_SERVER_CONNECTION_H_
