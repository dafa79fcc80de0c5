// How a server ends.
#include <algorithm>
#include <utility>

#include "runtime/server/server_core.h"

namespace anywire {
namespace {

// How often the draining thread looks whether calls are still open.
constexpr absl::Duration kLookAgain = absl::Milliseconds(2);
// How long clients have to close their connections, and replies to reach them, before the server
// does. A server that is in a hurry gives less.
constexpr absl::Duration kLinger = absl::Seconds(1);
constexpr absl::Duration kShortLinger = absl::Milliseconds(100);

}  // namespace

void Server::Core::Shutdown(absl::Duration drain) {
  const absl::MutexLock lock(&mutex_);
  drain_deadline_ = std::min(drain_deadline_, absl::Now() + std::max(drain, absl::ZeroDuration()));
  progress_.shutting_down = true;
  switch (state_) {
    case State::kNew:
      state_ = State::kEnded;
      progress_.ended = true;
      return;
    case State::kServing:
      state_ = State::kDraining;
      drainer_ = std::thread([this] { Drain(); });
      return;
    case State::kDraining:
      drain_changed_.SignalAll();
      return;
    case State::kEnded:
      return;
  }
}

void Server::Core::Wait() {
  const absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &Server::Core::Ended));
}

void Server::Core::Drain() {
  std::vector<std::unique_ptr<Acceptor>> acceptors;
  {
    const absl::MutexLock lock(&mutex_);
    acceptors = std::move(acceptors_);
  }
  acceptors.clear();  // on their loops, which may take the lock
  const absl::Time begin = absl::Now();
  WaitForCalls();
  EndCalls();
  absl::Time deadline;
  {
    const absl::MutexLock lock(&mutex_);
    deadline = drain_deadline_;
  }
  CloseConnections(deadline - begin < kLinger ? kShortLinger : kLinger);
  absl::AnyInvocable<void()> ended_hook;
  {
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &Server::Core::NoConnections));
    progress_.ended = true;
    ended_hook = std::move(ended_hook_);
  }
  if (ended_hook) ended_hook();
  const absl::MutexLock lock(&mutex_);
  state_ = State::kEnded;
}

std::vector<std::shared_ptr<ServerConnection>> Server::Core::Connections() const {
  std::vector<std::shared_ptr<ServerConnection>> connections;
  const absl::MutexLock lock(&mutex_);
  connections.reserve(connections_.size());
  for (const auto& [key, member] : connections_) connections.push_back(member.connection);
  return connections;
}

void Server::Core::WaitForCalls() {
  while (AnyCallOpen()) {
    const absl::MutexLock lock(&mutex_);
    if (absl::Now() >= drain_deadline_) return;
    drain_changed_.WaitWithDeadline(&mutex_, std::min(drain_deadline_, absl::Now() + kLookAgain));
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
  progress_.calls_ended = absl::Now();
}

void Server::Core::CloseConnections(absl::Duration linger) {
  {
    const absl::MutexLock lock(&mutex_);
    const absl::Time until = absl::Now() + linger;
    mutex_.AwaitWithDeadline(absl::Condition(this, &Server::Core::NoConnections), until);
  }
  for (const std::shared_ptr<ServerConnection>& connection : Connections()) {
    connection->Close(absl::UnavailableError("the server has shut down"));
  }
}

}  // namespace anywire
