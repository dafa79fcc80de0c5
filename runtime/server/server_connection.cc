#include "runtime/server/server_connection.h"

#include <utility>

#include "runtime/protocol/wire_protocol.h"

namespace anywire {

using protocol::Protocol;

void ServerConnection::Start(EventLoop& loop, std::unique_ptr<Connection> connection,
                             const protocol::Limits& limits, DriverPool* drivers, SpinLimit* spin,
                             bool draining) {
  std::shared_ptr<Endpoint> endpoint = Endpoint::Start(
      loop, std::move(connection), Endpoint::Role::kServer, drivers, spin,
      [this, limits, draining](Connection& connection) {
        std::unique_ptr<Protocol> protocol = protocol::MakeWireServer(
            connection, FrameSizesOf(connection), limits, std::chrono::steady_clock::now(), *this);
        if (draining) protocol->Drain();
        return protocol;
      },
      [this](const absl::Status&) { OnLost(); });
  bool lost;
  {
    const absl::MutexLock lock(&mutex_);
    endpoint_ = endpoint;
    lost = lost_early_;
  }
  const bool ended = endpoint->Run([this, lost](Protocol&, Protocol::Events&) {
    lost_ = lost_ || lost;
    --users_;
    return lost_ && users_ == 0;
  });
  if (ended) End();
}

std::shared_ptr<Endpoint> ServerConnection::endpoint() const {
  const absl::MutexLock lock(&mutex_);
  return endpoint_;
}

void ServerConnection::OnLost() {
  std::shared_ptr<Endpoint> endpoint;
  {
    const absl::MutexLock lock(&mutex_);
    endpoint = endpoint_;
    lost_early_ = endpoint == nullptr;
    if (lost_early_) return;  // Start sees to it
  }
  const bool ended = endpoint->Run([this](Protocol&, Protocol::Events&) {
    lost_ = true;
    return users_ == 0;
  });
  if (ended) End();
}

const void* ServerConnection::FindMethod(absl::string_view full_name) {
  return owner_.services().Find(full_name);
}

void ServerConnection::AddCall() {
  calls_.push_back(std::make_unique<ServerCall>(*this));
  idle_.reserve(calls_.size());
  idle_.push_back(calls_.back().get());
}

void* ServerConnection::NewCall(protocol::CallId id, const void* method) {
  if (idle_.empty()) AddCall();
  ServerCall* const call = idle_.back();
  idle_.pop_back();
  ++users_;
  // FindMethod gave it out as what it is.
  call->Assign(id, *static_cast<internal::MethodHandler*>(const_cast<void*>(method)));
  return static_cast<CallSink*>(call);
}

bool ServerConnection::GiveBack(ServerCall& call) {
  call.Unassign();
  idle_.push_back(&call);
  --users_;
  return lost_ && users_ == 0;
}

void ServerConnection::Drain() {
  if (const std::shared_ptr<Endpoint> endpoint = this->endpoint()) {
    endpoint->Run([](Protocol& protocol, Protocol::Events&) { protocol.Drain(); });
  }
}

ServerConnection::Load ServerConnection::load() {
  const std::shared_ptr<Endpoint> endpoint = this->endpoint();
  if (endpoint == nullptr) return {};
  return endpoint->Run([this](Protocol& protocol, Protocol::Events&) {
    return Load{.unsent = lost_ ? 0 : protocol.open_call_count(), .running = users_};
  });
}

size_t ServerConnection::EndCalls(const absl::Status& status) {
  const std::shared_ptr<Endpoint> endpoint = this->endpoint();
  if (endpoint == nullptr) return 0;
  return endpoint->Run([this, &status](Protocol& protocol, Protocol::Events& events) {
    size_t ended = 0;
    for (const std::unique_ptr<ServerCall>& call : calls_) {
      if (call->EndEarly(protocol, events, status)) ++ended;
    }
    return ended;
  });
}

void ServerConnection::Close(const absl::Status& why) {
  if (const std::shared_ptr<Endpoint> endpoint = this->endpoint()) endpoint->Close(why);
}

}  // namespace anywire
