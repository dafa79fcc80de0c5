#include "transports/stream/stream_listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "transports/stream/errno_status.h"
#include "transports/stream/stream_connection.h"

namespace anywire {
namespace {

using std::chrono::steady_clock;

constexpr int kAcceptsPerTurn = 64;
// More than that the kernel does not keep for a socket unless it is told to; listen(2).
constexpr int kAcceptsAtClose = SOMAXCONN;
constexpr std::chrono::milliseconds kFirstPause(10);
constexpr std::chrono::seconds kLongestPause(1);

UniqueFd OpenReserve() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

// An accepted socket whose protocol is not known yet.
class StreamListener::Undecided final : public EventLoop::Watch {
 public:
  Undecided(StreamListener& listener, UniqueFd fd, Instant deadline)
      : fd(std::move(fd)), deadline(deadline), listener_(listener) {}
  ~Undecided() override { Unwatch(); }

  void OnReady(uint32_t) override { listener_.OnFirstBytes(self); }
  bool Watch() {
    if (!watched_) watched_ = listener_.loop_.AddWatch(fd.get(), EPOLLIN, *this).ok();
    return watched_;
  }
  void Unwatch() {
    if (std::exchange(watched_, false)) listener_.loop_.RemoveWatch(fd.get(), *this);
  }

  UniqueFd fd;
  const Instant deadline;
  bool held = false;  // its preface has come, and there was no room
  uint8_t bytes[kPrefaceSize];
  size_t size = 0;
  std::list<Undecided>::iterator self;

 private:
  StreamListener& listener_;
  bool watched_ = false;
};

absl::StatusOr<std::unique_ptr<Listener>> StreamListener::Create(EventLoop& loop, UniqueFd fd,
                                                                 Config config) {
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) < 0) {
    return ErrnoStatus(errno, "fcntl");
  }
  auto listener = std::make_unique<StreamListener>(loop, std::move(fd), std::move(config));
  if (!listener->reserve_.valid()) {
    return absl::ResourceExhaustedError("no descriptor left to listen with");
  }
  absl::Status status = loop.AddWatch(listener->fd_.get(), 0, *listener);
  listener->watched_ = status.ok();
  if (!status.ok()) return status;
  if (listener->wanted()) listener->WatchFor(EPOLLIN);
  return listener;
}

StreamListener::StreamListener(EventLoop& loop, UniqueFd fd, Config config)
    : Alarm(loop),
      loop_(loop),
      config_(std::move(config)),
      turns_(loop, config_.listen),
      fd_(std::move(fd)),
      reserve_(OpenReserve()) {}

StreamListener::~StreamListener() noexcept {
  if (fd_.valid()) {
    if (config_.release) config_.release(fd_.get());
    StopListening();
  }
  undecided_.clear();
  ready_.clear();
  TellIfExhausted();
}

void StreamListener::Close() {
  if (!fd_.valid()) return;
  if (config_.release) config_.release(fd_.get());
  for (int i = 0; i < kAcceptsAtClose && AcceptOne(); ++i) {
  }
  StopListening();
  SetAlarm();
  TellIfExhausted();
}

void StreamListener::StopListening() {
  if (std::exchange(watched_, false)) loop_.RemoveWatch(fd_.get(), *this);
  fd_.Reset();
  reserve_.Reset();
}

void StreamListener::TellIfExhausted() {
  if (!exhausted() || !has_waiting_) return;
  has_waiting_ = false;
  waiting_->fulfill(Accepted(absl::UnavailableError("the listener is closed")));
}

kj::Promise<StreamListener::Accepted> StreamListener::Accept() {
  if (!ready_.empty()) {
    Make make = std::move(ready_.front());
    ready_.pop_front();
    if (fd_.valid() && !paused() && wanted()) WatchFor(EPOLLIN);
    return Accepted(Give(std::move(make)));
  }
  auto pair = kj::newPromiseAndFulfiller<Accepted>();
  waiting_ = kj::mv(pair.fulfiller);
  has_waiting_ = true;
  if (fd_.valid() && !paused()) WatchFor(EPOLLIN);
  TellIfExhausted();
  return kj::mv(pair.promise);
}

void StreamListener::WatchFor(uint32_t events) {
  if (events == watched_events_) return;
  watched_events_ = events;
  loop_.ChangeWatch(fd_.get(), events, *this);
}

void StreamListener::OnReady(uint32_t) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    if (!wanted()) {
      // Who is to come next waits in the kernel until somebody asks.
      has_waiting_ = false;
      WatchFor(0);
      return;
    }
    if (!AcceptOne() || paused()) return;
  }
}

// Returns whether there may be more.
bool StreamListener::AcceptOne() {
  UniqueFd fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!fd.valid()) {
    switch (errno) {
      case EAGAIN:
      case EINVAL:  // nobody is left, and nobody can come any more
        return false;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        OutOfDescriptors(errno);
        return false;
      default:
        // ECONNABORTED and the network errors that accept(2) lists belong to the one peer.
        return true;
    }
  }
  pause_ = std::chrono::nanoseconds(0);
  out_of_descriptors_ = false;
  if (!reserve_.valid()) reserve_ = OpenReserve();
  if (undecided_.size() >= config_.options.max_undecided) undecided_.pop_front();
  const Instant deadline = steady_clock::now() + config_.options.preface_timeout;
  undecided_.emplace_back(*this, std::move(fd), deadline);
  auto undecided = std::prev(undecided_.end());
  undecided->self = undecided;
  OnFirstBytes(undecided);  // mostly they have come with the connection
  return true;
}

void StreamListener::OutOfDescriptors(int error) {
  if (!std::exchange(out_of_descriptors_, true)) {
    std::fprintf(stderr, "anywire: %s: accept: %s; peers are turned away for now\n",
                 config_.address.c_str(), strerrordesc_np(error));
  }
  if (error == EMFILE || error == ENFILE) {
    // The first in the queue is told so, by an end, instead of waiting for nothing.
    reserve_.Reset();
    UniqueFd turned_away(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    turned_away.Reset();
    reserve_ = OpenReserve();
  }
  Pause();
}

void StreamListener::Pause() {
  pause_ = std::clamp<std::chrono::nanoseconds>(2 * pause_, kFirstPause, kLongestPause);
  paused_until_ = steady_clock::now() + pause_;
  if (fd_.valid()) WatchFor(0);
  SetAlarm();
}

void StreamListener::OnFirstBytes(std::list<Undecided>::iterator undecided) {
  const ssize_t size = recv(undecided->fd.get(), undecided->bytes + undecided->size,
                            kPrefaceSize - undecided->size, MSG_DONTWAIT);
  if (size > 0) undecided->size += static_cast<size_t>(size);
  const bool later = size < 0 && (errno == EAGAIN || errno == EINTR);
  StreamProtocol protocol = DecideProtocol(absl::MakeConstSpan(undecided->bytes, undecided->size));
  if (size <= 0 && !later) protocol = StreamProtocol::kUnknown;
  Decide(undecided, protocol);
}

void StreamListener::Decide(std::list<Undecided>::iterator undecided, StreamProtocol protocol) {
  switch (protocol) {
    case StreamProtocol::kUndecided:
      if (!undecided->Watch()) undecided_.erase(undecided);
      SetAlarm();
      break;
    case StreamProtocol::kUnknown:
      undecided_.erase(undecided);
      break;
    case StreamProtocol::kAnywire:
    case StreamProtocol::kShm: {
      undecided->Unwatch();
      undecided->held = protocol == config_.protocol && config_.room && !config_.room();
      if (undecided->held) {
        Pause();
        break;
      }
      UniqueFd fd = std::move(undecided->fd);
      undecided_.erase(undecided);
      if (protocol == config_.protocol) Ready(std::move(fd));
      break;
    }
  }
  TellIfExhausted();
}

void StreamListener::ReadyHeld() {
  for (auto it = undecided_.begin(); it != undecided_.end() && !paused();) {
    const auto next = std::next(it);
    if (it->held) Decide(it, config_.protocol);
    it = next;
  }
}

void StreamListener::Ready(UniqueFd fd) {
  absl::StatusOr<ConnectionInfo> info = config_.adopt(fd.get());
  if (!info.ok()) return;
  absl::StatusOr<Make> make = config_.ready ? config_.ready(std::move(fd), std::move(*info))
                                            : ReadyStream(std::move(fd), std::move(*info));
  if (!make.ok()) return;
  pause_ = std::chrono::nanoseconds(0);
  if (has_waiting_ && waiting_->isWaiting()) {
    has_waiting_ = false;
    waiting_->fulfill(Accepted(Give(std::move(*make))));
  } else {
    ready_.push_back(std::move(*make));
  }
}

absl::StatusOr<StreamListener::Make> StreamListener::ReadyStream(UniqueFd fd,
                                                                 ConnectionInfo info) const {
  return Make([fd = std::move(fd), info = std::move(info),
               options = config_.options](EventLoop& loop) mutable {
    return std::make_unique<StreamConnection>(loop, std::move(fd), std::move(info), options);
  });
}

std::unique_ptr<Connection> StreamListener::Give(Make make) { return make(turns_.Next()); }

void StreamListener::SetAlarm() {
  Instant next = undecided_.empty() ? Instant::max() : undecided_.front().deadline;
  if (paused()) next = std::min(next, paused_until_);
  Set(next);
}

void StreamListener::OnAlarm(Instant now) {
  while (!undecided_.empty() && undecided_.front().deadline <= now) undecided_.pop_front();
  if (paused() && paused_until_ <= now) {
    paused_until_ = Instant::min();
    ReadyHeld();
    if (fd_.valid() && !paused() && wanted()) WatchFor(EPOLLIN);
  }
  SetAlarm();
  TellIfExhausted();
}

}  // namespace anywire
