// One listening address of a server, and the loop of promises that accepts from it.
#ifndef ANYWIRE_RUNTIME_SERVER_ACCEPTOR_H_
#define ANYWIRE_RUNTIME_SERVER_ACCEPTOR_H_

#include <kj/async.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "anywire/event_loop.h"
#include "anywire/transport.h"
#include "runtime/config/config.h"

namespace anywire {

class Acceptor {
 public:
  struct Hooks {
    // Takes a connection. On the acceptor's thread.
    std::function<void(std::unique_ptr<Connection> connection)> accepted;
    // After Close, once: there are no more. On the acceptor's thread.
    std::function<void()> exhausted;
  };

  // Any thread. The connections live on `loops`. The error names the address.
  static absl::StatusOr<std::unique_ptr<Acceptor>> Open(
      EventLoop& loop, std::vector<EventLoop*> loops, const config::ListenTarget::Address& address,
      const config::ServiceOptions& options, Hooks hooks);
  // Gives the address back; clients that have connected by then are still taken. Any thread.
  void Close();
  // Closes it and drops whoever has not been taken. Any thread; no hook is called after it.
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  EventLoop& loop() const { return loop_; }
  const std::string& address() const { return address_; }

 private:
  Acceptor(EventLoop& loop, Hooks hooks) : loop_(loop), hooks_(std::move(hooks)) {}
  absl::Status Listen(std::vector<EventLoop*> loops, const config::ListenTarget::Address& address,
                      const config::ServiceOptions& options);
  kj::Promise<void> AcceptAll();
  void Take(absl::StatusOr<std::unique_ptr<Connection>> connection);

  EventLoop& loop_;
  Hooks hooks_;
  std::string address_;
  // On the loop's thread.
  bool closed_ = false;
  std::unique_ptr<Listener> listener_;
  kj::Maybe<kj::Promise<void>> accepting_;  // before the listener, which it uses
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_ACCEPTOR_H_
