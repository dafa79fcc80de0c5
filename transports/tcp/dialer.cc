#include "transports/tcp/dialer.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <utility>

#include "transports/stream/errno_status.h"
#include "transports/tcp/address_race.h"

namespace anywire {
namespace {

using Race = AddressRace<UniqueFd>;

class Attempt final : public AddressAttempt, private EventLoop::Watch, private EventLoop::Alarm {
 public:
  static absl::StatusOr<std::unique_ptr<AddressAttempt>> Begin(EventLoop& loop, UniqueFd fd,
                                                               const SocketAddress& address,
                                                               Race::Done done) {
    const bool at_once = connect(fd.get(), address.get(), address.size) == 0;
    if (!at_once && errno != EINPROGRESS) return ErrnoStatus(errno, address.ToString());
    auto attempt = std::make_unique<Attempt>(loop, std::move(fd), address, std::move(done));
    if (at_once) {
      attempt->Set(Instant());
    } else {
      attempt->is_watched_ = loop.AddWatch(attempt->fd_.get(), EPOLLOUT, *attempt).ok();
      if (!attempt->is_watched_) return ErrnoStatus(ENOSPC, address.ToString());
    }
    return attempt;
  }
  Attempt(EventLoop& loop, UniqueFd fd, const SocketAddress& address, Race::Done done)
      : Alarm(loop), loop_(loop), fd_(std::move(fd)), address_(address), done_(std::move(done)) {}
  ~Attempt() override { Unwatch(); }

 private:
  void OnReady(uint32_t) override { Finish(); }
  void OnAlarm(Instant) override { Finish(); }

  void Finish() {
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error == 0) {
      // A port nobody listens at may be given to the connecting socket, which then meets itself.
      const absl::StatusOr<SocketAddress> local = LocalAddress(fd_.get());
      if (local.ok() && *local == address_) error = ECONNREFUSED;
    }
    Unwatch();
    const Race::Done done = std::move(done_);  // it destroys us
    if (error != 0) return done(ErrnoStatus(error, address_.ToString()));
    done(std::move(fd_));
  }
  void Unwatch() {
    if (std::exchange(is_watched_, false)) loop_.RemoveWatch(fd_.get(), *this);
  }

  EventLoop& loop_;
  UniqueFd fd_;
  const SocketAddress address_;
  Race::Done done_;
  bool is_watched_ = false;
};

}  // namespace

kj::Promise<absl::StatusOr<UniqueFd>> Dial(
    EventLoop& loop, const std::vector<SocketAddress>& addresses, std::string what,
    std::function<void(int fd, const SocketAddress& peer)> prepare) {
  return Race::Run(loop, addresses, std::move(what),
                   [&loop, prepare = std::move(prepare)](
                       const SocketAddress& address,
                       Race::Done done) -> absl::StatusOr<std::unique_ptr<AddressAttempt>> {
                     UniqueFd fd(socket(address.family(),
                                        SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
                     if (!fd.valid()) return ErrnoStatus(errno, address.ToString());
                     prepare(fd.get(), address);
                     return Attempt::Begin(loop, std::move(fd), address, std::move(done));
                   });
}

}  // namespace anywire
