#include "transports/udp/udp_listener.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace anywire::udp {

UdpListener::UdpListener(EventLoop& loop, std::shared_ptr<UdpServer> server, size_t backlog)
    : server_(std::move(server)),
      address_(absl::StrCat("udp://", server_->address().ToString())),
      backlog_(
          std::make_shared<UdpBacklog>(loop, static_cast<UdpBacklog::Listener&>(*this), backlog)) {
  server_->ListenFor(backlog_);
}

UdpListener::~UdpListener() noexcept {
  if (!is_closed_) server_->StopListening();
  // (Since it was closed, somebody else may have begun to listen.)
  server_->Leave(*backlog_);
  backlog_->Abandon();
  if (has_waiting_) waiting_->fulfill(Accepted(absl::UnavailableError("the listener is closed")));
}

kj::Promise<UdpListener::Accepted> UdpListener::Accept() {
  if (std::unique_ptr<Connection> connection = backlog_->Pop()) {
    return Accepted(std::move(connection));
  }
  auto pair = kj::newPromiseAndFulfiller<Accepted>();
  waiting_ = kj::mv(pair.fulfiller);
  has_waiting_ = true;
  OnBacklog();
  return kj::mv(pair.promise);
}

void UdpListener::Close() {
  if (std::exchange(is_closed_, true)) return;
  server_->StopListening();
  OnBacklog();
}

void UdpListener::OnBacklog() {
  if (!has_waiting_ || !waiting_->isWaiting()) return;
  // Asked before it is looked whether there are any: one that opens meanwhile is one of both.
  const bool is_exhausted = exhausted();
  std::unique_ptr<Connection> connection = backlog_->Pop();
  if (connection != nullptr) {
    has_waiting_ = false;
    waiting_->fulfill(Accepted(std::move(connection)));
  } else if (is_exhausted) {
    has_waiting_ = false;
    waiting_->fulfill(Accepted(absl::UnavailableError("the listener is closed")));
  }
}

}  // namespace anywire::udp
