// Connects to the first of several addresses that answers (RFC 8305, "happy eyeballs"): one attempt
// after the other, each with a head start of 250 ms, families in turn.
#ifndef ANYWIRE_TRANSPORTS_TCP_DIALER_H_
#define ANYWIRE_TRANSPORTS_TCP_DIALER_H_

#include <kj/async.h>

#include <functional>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "anywire/event_loop.h"
#include "transports/stream/unique_fd.h"
#include "transports/tcp/socket_address.h"

namespace anywire {

// The addresses with IPv6 and IPv4 in turn, beginning with the family of the first.
std::vector<SocketAddress> InterleaveFamilies(const std::vector<SocketAddress>& addresses);

class Dialer final : private EventLoop::Alarm {
 public:
  // Set up each socket before it connects.
  using Prepare = std::function<void(int fd, const SocketAddress& peer)>;

  using Result = absl::StatusOr<UniqueFd>;

  // The socket is connected and non-blocking. `what` is the target's name in errors: UNAVAILABLE,
  // or PERMISSION_DENIED or RESOURCE_EXHAUSTED when that is what failed every attempt. Dropping the
  // promise abandons all attempts.
  static kj::Promise<Result> Dial(EventLoop& loop, std::vector<SocketAddress> addresses,
                                  std::string what, Prepare prepare);

  Dialer(kj::Own<kj::PromiseFulfiller<Result>> fulfiller, EventLoop& loop,
         std::vector<SocketAddress> addresses, std::string what, Prepare prepare);  // use Dial
  ~Dialer() noexcept override;

 private:
  class Attempt;

  void OnAlarm(Instant now) override;
  void StartNext();
  bool Start(const SocketAddress& address);
  void OnResult(std::list<Attempt>::iterator attempt);
  void Failed(const SocketAddress& address, int error);
  void Finish(Result result);

  kj::Own<kj::PromiseFulfiller<Result>> fulfiller_;
  EventLoop& loop_;
  const std::vector<SocketAddress> addresses_;
  const std::string what_;
  const Prepare prepare_;
  size_t next_ = 0;
  std::list<Attempt> attempts_;
  std::string failures_;
  std::optional<absl::StatusCode> failure_;  // of all; UNAVAILABLE when they differ
  bool done_ = false;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_TCP_DIALER_H_
