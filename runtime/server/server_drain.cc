// How a server ends.
#include <pthread.h>

#include <algorithm>
#include <utility>

#include "runtime/server/server_core.h"

namespace anywire {
namespace {

using Clock = std::chrono::steady_clock;

// How often the draining thread looks whether calls are still open.
constexpr std::chrono::milliseconds kLookAgain{2};
// How long clients have to close their connections, and replies to reach them, before the server
// does. A server that is in a hurry gives less.
constexpr std::chrono::milliseconds kLinger{1000};
constexpr std::chrono::milliseconds kShortLinger{100};

Clock::time_point After(absl::Duration time) {
  return Clock::now() + absl::ToChronoNanoseconds(std::clamp(time, absl::ZeroDuration(),
                                                             absl::FromChrono(config::kForever)));
}

// For std::condition_variable_any.
class Lockable {
 public:
  explicit Lockable(absl::Mutex& mutex) : mutex_(mutex) {}
  void lock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex_.Lock(); }
  void unlock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex_.Unlock(); }

 private:
  absl::Mutex& mutex_;
};

}  // namespace

void Server::Core::Shutdown(absl::Duration drain) {
  {
    const absl::MutexLock lock(&mutex_);
    progress_.shutting_down = true;
  }
  BeginDrain(drain);
}

void Server::Core::Shutdown() {
  absl::Duration drain;
  {
    const absl::MutexLock lock(&mutex_);
    drain = drain_timeout_;
  }
  Shutdown(drain);
}

void Server::Core::BeginDrain(absl::Duration drain) {
  const absl::MutexLock lock(&mutex_);
  drain_deadline_ = std::min(drain_deadline_, After(drain));
  in_a_hurry_ = in_a_hurry_ || drain < absl::FromChrono(kLinger);
  if (state_ == State::kNew) {
    state_ = State::kEnded;
    progress_.ended = true;
  } else if (state_ == State::kServing) {
    state_ = State::kDraining;
  }
  changed_.notify_all();
  Progressed();
}

void Server::Core::Wait() {
  const absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &Server::Core::Ended));
}

void Server::Core::Drain() {
  pthread_setname_np(pthread_self(), "anywire-drain");
  std::vector<std::unique_ptr<Acceptor>> acceptors;
  {
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &Server::Core::MayDrain));
    acceptors = std::move(acceptors_);
  }
  // On their loops, which may take the lock. Before clients hear that they should go elsewhere, so
  // that none comes back here. Whoever has connected already is heard and refused: one that was cut
  // off would not know whether its call ran.
  for (const std::unique_ptr<Acceptor>& acceptor : acceptors) acceptor->Close();
  WaitForCalls();
  EndCalls();
  WaitForClients();
  acceptors.clear();
  CloseConnections();
  const absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &Server::Core::NoConnections));
  state_ = State::kEnded;
  progress_.ended = true;
  Progressed();
}

std::vector<std::shared_ptr<ServerConnection>> Server::Core::Connections() const {
  std::vector<std::shared_ptr<ServerConnection>> connections;
  const absl::MutexLock lock(&mutex_);
  connections.reserve(connections_.size());
  for (const auto& [key, member] : connections_) connections.push_back(member.connection);
  return connections;
}

void Server::Core::WaitForChange(Clock::time_point until) {
  Lockable lock(mutex_);
  changed_.wait_until(lock, until);
}

void Server::Core::WaitForCalls() {
  while (AnyCallOpen()) {
    const absl::MutexLock lock(&mutex_);
    const Clock::time_point now = Clock::now();
    if (now >= drain_deadline_) return;
    WaitForChange(std::min(drain_deadline_, now + kLookAgain));
  }
}

bool Server::Core::AnyCallOpen() {
  bool any = false;
  for (const std::shared_ptr<ServerConnection>& connection : Connections()) {
    connection->Drain();
    const ServerConnection::Load load = connection->load();
    any = any || load.unsent != 0 || load.running != 0;
  }
  return any;
}

void Server::Core::EndCalls() {
  size_t ended = 0;
  for (const std::shared_ptr<ServerConnection>& connection : Connections()) {
    ended += connection->EndCalls(
        absl::UnavailableError("the server shut down before the call had ended"));
  }
  const absl::MutexLock lock(&mutex_);
  progress_.cancelled_calls += ended;
  progress_.calls_ended = Clock::now();
}

void Server::Core::WaitForClients() {
  const absl::MutexLock lock(&mutex_);
  const Clock::time_point begin = Clock::now();
  while (!NoClients()) {
    const Clock::time_point until = begin + (in_a_hurry_ ? kShortLinger : kLinger);
    if (Clock::now() >= until) return;
    WaitForChange(until);
  }
}

void Server::Core::CloseConnections() {
  for (const std::shared_ptr<ServerConnection>& connection : Connections()) {
    connection->Close(absl::UnavailableError("the server has shut down"));
  }
}

}  // namespace anywire
