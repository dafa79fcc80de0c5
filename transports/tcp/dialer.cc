#include "transports/tcp/dialer.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "transports/stream/errno_status.h"

namespace anywire {
namespace {

constexpr std::chrono::milliseconds kHeadStart(250);  // RFC 8305, section 5

}  // namespace

std::vector<SocketAddress> InterleaveFamilies(const std::vector<SocketAddress>& addresses) {
  std::vector<SocketAddress> first, second, result;
  for (const SocketAddress& address : addresses) {
    (address.family() == addresses.front().family() ? first : second).push_back(address);
  }
  for (size_t i = 0; i < first.size() || i < second.size(); ++i) {
    if (i < first.size()) result.push_back(first[i]);
    if (i < second.size()) result.push_back(second[i]);
  }
  return result;
}

class Dialer::Attempt final : public EventLoop::Watch {
 public:
  Attempt(Dialer& dialer, UniqueFd fd, const SocketAddress& address)
      : fd(std::move(fd)), address(address), dialer_(dialer) {}
  ~Attempt() override { Unwatch(); }

  void OnReady(uint32_t) override { dialer_.OnResult(self); }
  bool Watch() {
    watched_ = dialer_.loop_.AddWatch(fd.get(), EPOLLOUT, *this).ok();
    return watched_;
  }
  void Unwatch() {
    if (std::exchange(watched_, false)) dialer_.loop_.RemoveWatch(fd.get(), *this);
  }

  UniqueFd fd;
  const SocketAddress address;
  std::list<Attempt>::iterator self;

 private:
  Dialer& dialer_;
  bool watched_ = false;
};

kj::Promise<Dialer::Result> Dialer::Dial(EventLoop& loop, std::vector<SocketAddress> addresses,
                                         std::string what, Prepare prepare) {
  auto pair = kj::newPromiseAndFulfiller<Result>();
  auto dialer = std::make_unique<Dialer>(kj::mv(pair.fulfiller), loop, std::move(addresses),
                                         std::move(what), std::move(prepare));
  return pair.promise.attach(std::move(dialer));
}

Dialer::Dialer(kj::Own<kj::PromiseFulfiller<Result>> fulfiller, EventLoop& loop,
               std::vector<SocketAddress> addresses, std::string what, Prepare prepare)
    : Alarm(loop),
      fulfiller_(kj::mv(fulfiller)),
      loop_(loop),
      addresses_(InterleaveFamilies(addresses)),
      what_(std::move(what)),
      prepare_(std::move(prepare)) {
  StartNext();
}

Dialer::~Dialer() noexcept = default;

void Dialer::OnAlarm(Instant) { StartNext(); }

// Starts attempts until one is under way, or all have failed.
void Dialer::StartNext() {
  while (!done_ && next_ != addresses_.size()) {
    if (Start(addresses_[next_++])) {
      if (!done_ && next_ != addresses_.size()) Set(std::chrono::steady_clock::now() + kHeadStart);
      return;
    }
  }
  if (!done_ && attempts_.empty()) {
    Finish(absl::Status(failure_.value_or(absl::StatusCode::kUnavailable),
                        absl::StrCat(what_, failures_)));
  }
}

// Returns whether there is hope.
bool Dialer::Start(const SocketAddress& address) {
  UniqueFd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (!fd.valid()) {
    Failed(address, errno);
    return false;
  }
  prepare_(fd.get(), address);
  const bool at_once = connect(fd.get(), address.get(), address.size) == 0;
  if (!at_once && errno != EINPROGRESS) {
    Failed(address, errno);
    return false;
  }
  attempts_.emplace_back(*this, std::move(fd), address);
  const auto attempt = std::prev(attempts_.end());
  attempt->self = attempt;
  if (at_once) {
    OnResult(attempt);
    return done_;
  }
  if (attempt->Watch()) return true;
  Failed(address, ENOSPC);
  attempts_.erase(attempt);
  return false;
}

void Dialer::OnResult(std::list<Attempt>::iterator attempt) {
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(attempt->fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error == 0) {
    // A port nobody listens at may be given to the connecting socket, which then meets itself.
    SocketAddress local;
    local.size = sizeof(local.storage);
    if (getsockname(attempt->fd.get(), reinterpret_cast<sockaddr*>(&local.storage), &local.size) ==
            0 &&
        local == attempt->address) {
      error = ECONNREFUSED;
    }
  }
  if (error == 0) {
    attempt->Unwatch();
    Finish(std::move(attempt->fd));
    return;
  }
  Failed(attempt->address, error);
  attempts_.erase(attempt);
  StartNext();
}

void Dialer::Failed(const SocketAddress& address, int error) {
  const absl::Status failure = ErrnoStatus(error, address.ToString());
  const bool local = failure.code() == absl::StatusCode::kPermissionDenied ||
                     failure.code() == absl::StatusCode::kResourceExhausted;
  const absl::StatusCode code = local ? failure.code() : absl::StatusCode::kUnavailable;
  failure_ = failure_.value_or(code) == code ? code : absl::StatusCode::kUnavailable;
  constexpr size_t kLongestText = 500;
  if (failures_.size() > kLongestText) return;
  absl::StrAppend(&failures_, failures_.empty() ? ": " : "; ", failure.message());
}

void Dialer::Finish(Result result) {
  done_ = true;
  Set(Instant::max());
  attempts_.clear();
  fulfiller_->fulfill(std::move(result));
}

}  // namespace anywire
