#include "runtime/server/acceptor.h"

#include <cstdio>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"

namespace anywire {
namespace {

// Runs `function` on the loop's thread and waits for it, wherever the caller is.
void RunOn(EventLoop& loop, absl::AnyInvocable<void()> function) {
  if (loop.IsCurrent()) {
    function();
  } else {
    loop.RunAndWait(std::move(function));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Acceptor>> Acceptor::Open(
    EventLoop& loop, std::vector<EventLoop*> loops, const config::ListenTarget::Address& address,
    const config::ServiceOptions& options, Hooks hooks) {
  std::unique_ptr<Acceptor> acceptor(new Acceptor(loop, std::move(hooks)));
  absl::Status status;
  RunOn(loop, [&acceptor, &loops, &address, &options, &status] {
    status = acceptor->Listen(std::move(loops), address, options);
  });
  if (!status.ok()) {
    return absl::Status(status.code(),
                        absl::StrCat("cannot listen on ", address.uri, ": ", status.message()));
  }
  return acceptor;
}

Acceptor::~Acceptor() {
  RunOn(loop_, [this] {
    accepting_ = nullptr;
    listener_ = nullptr;
  });
}

void Acceptor::Close() {
  RunOn(loop_, [this] {
    closed_ = true;
    listener_->Close();
  });
}

absl::Status Acceptor::Listen(std::vector<EventLoop*> loops,
                              const config::ListenTarget::Address& address,
                              const config::ServiceOptions& options) {
  Transport::ListenOptions listen_options;
  listen_options.loops = std::move(loops);
  listen_options.socket_mode = options.unix_socket_mode;
  listen_options.ring_size = options.shm_ring_size;
  listen_options.in_place = options.shm_in_place;
  listen_options.congestion_control = options.udp_congestion_control;
  listen_options.window = options.udp_window;
  absl::StatusOr<std::unique_ptr<Listener>> listener =
      address.transport->Listen(loop_, address.address, listen_options);
  if (!listener.ok()) return listener.status();
  listener_ = *std::move(listener);
  address_ = listener_->address();
  accepting_ = AcceptAll().eagerlyEvaluate([this](kj::Exception&& exception) {
    std::fprintf(stderr, "anywire: %s accepts no more: %s\n", address_.c_str(),
                 exception.getDescription().cStr());
  });
  return absl::OkStatus();
}

kj::Promise<void> Acceptor::AcceptAll() {
  return listener_->Accept().then(
      [this](absl::StatusOr<std::unique_ptr<Connection>> connection) -> kj::Promise<void> {
        if (closed_ && !connection.ok()) {
          hooks_.exhausted();
          return kj::READY_NOW;
        }
        // A failure that comes again and again must not keep the thread busy.
        const kj::Duration pause = (connection.ok() ? 0 : 100) * kj::MILLISECONDS;
        Take(std::move(connection));
        if (pause == 0 * kj::MILLISECONDS) return AcceptAll();
        return loop_.timer().afterDelay(pause).then([this] { return AcceptAll(); });
      });
}

void Acceptor::Take(absl::StatusOr<std::unique_ptr<Connection>> connection) {
  if (!connection.ok()) {
    std::fprintf(stderr, "anywire: %s: accept: %s\n", address_.c_str(),
                 connection.status().ToString().c_str());
    return;
  }
  hooks_.accepted(*std::move(connection));
}

}  // namespace anywire
