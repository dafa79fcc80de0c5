// What a Server is made of: its services, its addresses, its connections, and how they end.
//
//   new ──Start──> serving ──Shutdown──> draining ──> ended
//
// A thread of its own does the draining. It is there from Start on, so that a Shutdown can neither
// fail nor wait. It waits until no call is open or the time is up, ends the calls that are left,
// gives clients a moment to close (who closes first loses nothing that is on its way), closes what
// remains, and waits for the last handler. All its times are of the steady clock.
#ifndef ANYWIRE_RUNTIME_SERVER_SERVER_CORE_H_
#define ANYWIRE_RUNTIME_SERVER_SERVER_CORE_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "anywire/event_loop.h"
#include "anywire/interceptor.h"
#include "anywire/runtime.h"
#include "anywire/server.h"
#include "anywire/service.h"
#include "anywire/transport.h"
#include "runtime/config/config.h"
#include "runtime/server/acceptor.h"
#include "runtime/server/server_connection.h"
#include "runtime/server/service_table.h"
#include "runtime/server/worker_pool.h"

namespace anywire {

class Server::Core final : private ConnectionOwner {
 public:
  explicit Core(Runtime& runtime);
  // Shuts down without time to drain and waits.
  ~Core();

  // As Server has them.
  void Listen(absl::string_view target) ABSL_LOCKS_EXCLUDED(mutex_);
  void AddService(Service& service) ABSL_LOCKS_EXCLUDED(mutex_);
  void AddInterceptor(std::shared_ptr<ServerInterceptor> interceptor) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Start() ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<std::string> addresses() const ABSL_LOCKS_EXCLUDED(mutex_);
  void Shutdown(absl::Duration drain) ABSL_LOCKS_EXCLUDED(mutex_);
  void Shutdown() ABSL_LOCKS_EXCLUDED(mutex_);
  void Wait() ABSL_LOCKS_EXCLUDED(mutex_);

  using Clock = std::chrono::steady_clock;

  // For Run. `progressed` is called when the shutdown begins and when Wait need no longer wait, on
  // any thread, with the lock held. Empty: no more; then it does not run any more either.
  void SetHook(absl::AnyInvocable<void()> progressed) ABSL_LOCKS_EXCLUDED(mutex_);
  struct Progress {
    bool started = false;
    bool shutting_down = false;  // Shutdown was called
    bool ended = false;
    size_t cancelled_calls = 0;  // ended by the server, at the end of the drain
    Clock::time_point calls_ended = Clock::time_point::max();  // when that was
  };
  Progress progress() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Connections that were closed at once because there were too many.
  size_t refused_connections() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  enum class State { kNew, kServing, kDraining, kEnded };

  // The addresses of one name (or URI), which share its options.
  struct Group {
    config::ServiceOptions options;
    size_t connections = 0;
  };
  struct Member {
    std::shared_ptr<ServerConnection> connection;
    Group* group;
  };

  const ServiceTable& services() const override { return services_; }
  const std::vector<std::shared_ptr<ServerInterceptor>>& interceptors() const override {
    return interceptors_;
  }
  WorkerPool& workers() override { return workers_; }
  bool ReserveBuffer(size_t bytes) override;
  void ReleaseBuffer(size_t bytes) override;
  void OnConnectionEnded(ServerConnection& connection) override ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Status OpenAll() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status OpenGroup(const config::ListenTarget& target) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnAccepted(Group& group, std::unique_ptr<Connection> connection) ABSL_LOCKS_EXCLUDED(mutex_);

  // Has the draining thread begin.
  void BeginDrain(absl::Duration drain) ABSL_LOCKS_EXCLUDED(mutex_);
  void Progressed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (hook_) hook_();
  }

  // The draining thread.
  void Drain() ABSL_LOCKS_EXCLUDED(mutex_);
  void WaitForCalls() ABSL_LOCKS_EXCLUDED(mutex_);
  bool AnyCallOpen() ABSL_LOCKS_EXCLUDED(mutex_);
  void EndCalls() ABSL_LOCKS_EXCLUDED(mutex_);
  void WaitForClients() ABSL_LOCKS_EXCLUDED(mutex_);
  void CloseConnections() ABSL_LOCKS_EXCLUDED(mutex_);
  // Until something has changed or the time has come. (absl's waits are by the wall clock.)
  void WaitForChange(Clock::time_point until) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<std::shared_ptr<ServerConnection>> Connections() const ABSL_LOCKS_EXCLUDED(mutex_);
  bool MayDrain() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return state_ != State::kServing && !opening_;
  }
  bool NoClients() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return accepting_ == 0 && NoConnections();
  }
  bool NoConnections() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return connections_.empty(); }
  bool Ended() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return state_ == State::kEnded; }

  Runtime& runtime_;
  WorkerPool workers_;

  // Constant while serving.
  std::vector<Service*> added_services_;
  std::vector<std::shared_ptr<ServerInterceptor>> interceptors_;
  std::vector<std::string> targets_;
  ServiceTable services_;
  std::vector<std::unique_ptr<Group>> groups_;

  mutable absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kNew;
  bool opening_ ABSL_GUARDED_BY(mutex_) = false;          // Start is at it
  absl::Duration drain_timeout_ ABSL_GUARDED_BY(mutex_);  // of the addresses, the longest
  std::vector<std::string> addresses_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Acceptor>> acceptors_ ABSL_GUARDED_BY(mutex_);
  size_t accepting_ ABSL_GUARDED_BY(mutex_) = 0;  // acceptors that may take further clients
  absl::flat_hash_map<ServerConnection*, Member> connections_ ABSL_GUARDED_BY(mutex_);
  size_t refused_ ABSL_GUARDED_BY(mutex_) = 0;
  Clock::time_point drain_deadline_ ABSL_GUARDED_BY(mutex_) = Clock::time_point::max();
  bool in_a_hurry_ ABSL_GUARDED_BY(mutex_) = false;  // no time to linger was given
  std::condition_variable_any changed_;              // drain_deadline_, in_a_hurry_, no clients
  Progress progress_ ABSL_GUARDED_BY(mutex_);
  absl::AnyInvocable<void()> hook_ ABSL_GUARDED_BY(mutex_);
  std::thread drainer_;  // started by Start, joined by the destructor
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_SERVER_CORE_H_
