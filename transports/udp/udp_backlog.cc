#include "transports/udp/udp_backlog.h"

#include <utility>

namespace anywire::udp {

bool UdpBacklog::HasRoom() const {
  MutexLock lock(&mutex_);
  return listener_ != nullptr && connections_.size() < limit_;
}

void UdpBacklog::Push(std::unique_ptr<Connection> connection) {
  MutexLock lock(&mutex_);
  connections_.push_back(std::move(connection));
  TellLocked();
}

void UdpBacklog::Tell() {
  MutexLock lock(&mutex_);
  TellLocked();
}

void UdpBacklog::TellLocked() {
  if (listener_ == nullptr) return;
  loop_.Post([self = shared_from_this()] {
    Listener* listener;
    {
      MutexLock lock(&self->mutex_);
      listener = self->listener_;  // goes on this thread only
    }
    if (listener != nullptr) listener->OnBacklog();
  });
}

std::unique_ptr<Connection> UdpBacklog::Pop() {
  MutexLock lock(&mutex_);
  if (connections_.empty()) return nullptr;
  std::unique_ptr<Connection> connection = std::move(connections_.front());
  connections_.pop_front();
  return connection;
}

// (Connections take their socket's mutex, under which Push is called.)
void UdpBacklog::Abandon() {
  {
    MutexLock lock(&mutex_);
    listener_ = nullptr;
  }
  while (Pop() != nullptr) {
  }
}

}  // namespace anywire::udp
