#include "runtime/server/server_core.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/process/runtime_core.h"

namespace anywire {

Server::Core::Core(Runtime& runtime)
    : runtime_(runtime),
      workers_(runtime.core().config().runtime().worker_threads,
               runtime.core().config().runtime().worker_queue),
      drain_timeout_(runtime.core().config().runtime().drain_timeout) {}

Server::Core::~Core() {
  Shutdown(absl::ZeroDuration());
  Wait();
  if (drainer_.joinable()) drainer_.join();
}

void Server::Core::Listen(absl::string_view target) {
  const absl::MutexLock lock(&mutex_);
  targets_.emplace_back(target);
}

void Server::Core::AddService(Service& service) {
  const absl::MutexLock lock(&mutex_);
  added_services_.push_back(&service);
}

void Server::Core::AddInterceptor(std::shared_ptr<ServerInterceptor> interceptor) {
  const absl::MutexLock lock(&mutex_);
  interceptors_.push_back(std::move(interceptor));
}

void Server::Core::SetHook(absl::AnyInvocable<void()> progressed) {
  const absl::MutexLock lock(&mutex_);
  hook_ = std::move(progressed);
}

Server::Core::Progress Server::Core::progress() const {
  const absl::MutexLock lock(&mutex_);
  return progress_;
}

size_t Server::Core::refused_connections() const {
  const absl::MutexLock lock(&mutex_);
  return refused_;
}

std::vector<std::string> Server::Core::addresses() const {
  const absl::MutexLock lock(&mutex_);
  return addresses_;
}

absl::Status Server::Core::Start() {
  {
    const absl::MutexLock lock(&mutex_);
    if (state_ != State::kNew) {
      return absl::FailedPreconditionError("the server has been started or shut down already");
    }
    try {
      drainer_ = std::thread([this] { Drain(); });
    } catch (const std::system_error&) {
      state_ = State::kEnded;
      progress_.ended = true;
      return absl::ResourceExhaustedError("cannot start a thread of the server");
    }
    // Connections may come before all addresses are open.
    state_ = State::kServing;
    opening_ = true;
  }
  absl::Status status = OpenAll();
  {
    const absl::MutexLock lock(&mutex_);
    opening_ = false;
    progress_.started = status.ok();
    if (status.ok()) return status;
    addresses_.clear();
    // Whoever has shut it down meanwhile has said how long that may take.
    if (state_ != State::kServing) return status;
  }
  BeginDrain(absl::ZeroDuration());
  Wait();
  return status;
}

absl::Status Server::Core::OpenAll() {
  for (Service* service : added_services_) {
    if (absl::Status status = services_.Add(*service); !status.ok()) return status;
  }
  if (targets_.empty())
    return absl::FailedPreconditionError("the server has no address to listen on");
  // All targets before the first address is open.
  std::vector<config::ListenTarget> resolved;
  for (const std::string& target : targets_) {
    const Runtime::Core& runtime = runtime_.core();
    absl::StatusOr<config::ListenTarget> found =
        runtime.config().ResolveListen(target, runtime.registry());
    if (!found.ok()) return found.status();
    resolved.push_back(*std::move(found));
  }
  absl::Duration drain_timeout;
  for (const config::ListenTarget& target : resolved) {
    drain_timeout = std::max(drain_timeout, target.options->drain_timeout);
  }
  {
    const absl::MutexLock lock(&mutex_);
    drain_timeout_ = drain_timeout;
  }
  for (const config::ListenTarget& target : resolved) {
    if (absl::Status status = OpenGroup(target); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Server::Core::OpenGroup(const config::ListenTarget& target) {
  groups_.push_back(std::make_unique<Group>(Group{.options = *target.options}));
  Group& group = *groups_.back();
  for (const config::ListenTarget::Address& address : target.addresses) {
    {
      const absl::MutexLock lock(&mutex_);
      if (state_ != State::kServing) {
        return absl::FailedPreconditionError("the server was shut down while it started");
      }
    }
    const absl::StatusOr<EventLoop*> loop = runtime_.core().TryNextLoop();
    if (!loop.ok()) return loop.status();
    std::vector<EventLoop*> loops = runtime_.core().AllLoops();
    Acceptor::Hooks hooks = {.accepted =
                                 [this, &group](std::unique_ptr<Connection> connection) {
                                   OnAccepted(group, std::move(connection));
                                 },
                             .exhausted =
                                 [this] {
                                   const absl::MutexLock lock(&mutex_);
                                   --accepting_;
                                   changed_.notify_all();
                                 }};
    absl::StatusOr<std::unique_ptr<Acceptor>> acceptor =
        Acceptor::Open(**loop, std::move(loops), address, group.options, std::move(hooks));
    if (!acceptor.ok()) return acceptor.status();
    const absl::MutexLock lock(&mutex_);
    ++accepting_;
    addresses_.push_back((*acceptor)->address());
    acceptors_.push_back(*std::move(acceptor));
  }
  return absl::OkStatus();
}

void Server::Core::OnAccepted(Group& group, std::unique_ptr<Connection> connection) {
  ConnectionOwner& owner = *this;
  auto accepted = std::make_shared<ServerConnection>(owner);
  bool draining;
  {
    const absl::MutexLock lock(&mutex_);
    draining = state_ != State::kServing;
    if (group.connections >= group.options.max_connections) {
      ++refused_;
      return;
    }
    ++group.connections;
    connections_.emplace(accepted.get(), Member{accepted, &group});
  }
  EventLoop& loop = connection->loop();
  accepted->Start(loop, std::move(connection), group.options.limits, &runtime_.core().drivers(),
                  &runtime_.core().spin(), draining);
}

void Server::Core::OnConnectionEnded(ServerConnection& connection) {
  // Destroyed without the lock. Whoever waits for the last connection may destroy the server once
  // the lock is free.
  std::shared_ptr<ServerConnection> ended;
  const absl::MutexLock lock(&mutex_);
  const auto member = connections_.find(&connection);
  --member->second.group->connections;
  ended = std::move(member->second.connection);
  connections_.erase(member);
  if (connections_.empty()) changed_.notify_all();
}

bool Server::Core::ReserveBuffer(size_t bytes) { return runtime_.core().ReserveBuffer(bytes); }

void Server::Core::ReleaseBuffer(size_t bytes) { runtime_.core().ReleaseBuffer(bytes); }

}  // namespace anywire
