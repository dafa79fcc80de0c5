#include "examples/own_transport/packet_transport.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "anywire/loop_turns.h"
#include "anywire/transport.h"
#include "examples/own_transport/packet_connection.h"

namespace own_transport {
namespace {

using anywire::Connection;
using anywire::EventLoop;
using anywire::Listener;
using anywire::Transport;
using Connected = absl::StatusOr<std::unique_ptr<Connection>>;

constexpr size_t kMaxNameLength = 80;
// Between tries to accept when the system has no descriptor or no memory.
constexpr std::chrono::milliseconds kAcceptPause(10);

// An abstract name, which goes with its last socket; see unix(7).
struct Address {
  explicit Address(absl::string_view name) {
    const std::string text = absl::StrCat("anywire-packet:", name);
    un.sun_family = AF_UNIX;
    memcpy(un.sun_path + 1, text.data(), text.size());
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&un); }
  sockaddr_un un = {};
  socklen_t size;
};

int NewSocket() { return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

// The system has run out of something, which may pass.
bool IsExhaustion(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

absl::Status Failure(int error, absl::string_view what) {
  const std::string text = absl::StrCat(what, ": ", strerrordesc_np(error));
  if (IsExhaustion(error)) return absl::ResourceExhaustedError(text);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(text);
  return absl::UnavailableError(text);
}

class PacketListener final : public Listener, private EventLoop::Watch, private EventLoop::Alarm {
 public:
  // Takes over `fd`, which listens.
  PacketListener(EventLoop& loop, int fd, std::string address,
                 const Transport::ListenOptions& options)
      : Alarm(loop), loop_(loop), fd_(fd), address_(std::move(address)), turns_(loop, options) {}
  absl::Status Start() {
    absl::Status status = loop_.AddWatch(fd_, 0, *this);
    watched_ = status.ok();
    return status;
  }
  ~PacketListener() noexcept override {
    if (fd_ >= 0) StopListening();
    for (const int fd : queue_) close(fd);
    if (is_waiting_) waiting_->fulfill(Closed());
  }

  void Close() override {
    if (fd_ < 0) return;
    shutdown(fd_, SHUT_RD);  // nobody comes any more; who waits in the kernel's queue stays
    for (int fd; (fd = AcceptOne()) >= 0;) queue_.push_back(fd);
    StopListening();
    if (is_waiting_) Give();
  }

  kj::Promise<Connected> Accept() override {
    auto pair = kj::newPromiseAndFulfiller<Connected>();
    waiting_ = kj::mv(pair.fulfiller);
    is_waiting_ = true;
    if (fd_ >= 0) {
      loop_.ChangeWatch(fd_, EPOLLIN, *this);
    } else {
      Give();
    }
    return kj::mv(pair.promise);
  }
  const std::string& address() const override { return address_; }

 private:
  void OnReady(uint32_t) override {
    const bool wanted = is_waiting_ && waiting_->isWaiting();
    const int fd = wanted ? AcceptOne() : -1;
    if (wanted && fd < 0) {
      // Tried again as long as somebody is there, but not without a rest where it would be in vain.
      if (IsExhaustion(errno)) {
        loop_.ChangeWatch(fd_, 0, *this);
        Set(std::chrono::steady_clock::now() + kAcceptPause);
      }
      return;
    }
    // Who comes next waits in the kernel until somebody asks.
    loop_.ChangeWatch(fd_, 0, *this);
    is_waiting_ = false;
    if (wanted) waiting_->fulfill(Make(fd));
  }

  void OnAlarm(anywire::Instant) override {
    if (is_waiting_ && fd_ >= 0) loop_.ChangeWatch(fd_, EPOLLIN, *this);
  }

  int AcceptOne() { return accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK); }
  Connected Make(int fd) {
    return std::make_unique<PacketConnection>(turns_.Next(), fd, /*connecting=*/false, address_);
  }
  static Connected Closed() { return absl::UnavailableError("the listener is closed"); }

  // Once closed: the next of those who came before that.
  void Give() {
    is_waiting_ = false;
    if (queue_.empty()) return waiting_->fulfill(Closed());
    if (!waiting_->isWaiting()) return;
    const int fd = queue_.front();
    queue_.pop_front();
    waiting_->fulfill(Make(fd));
  }

  void StopListening() {
    if (watched_) loop_.RemoveWatch(fd_, *this);
    close(fd_);
    fd_ = -1;
  }

  EventLoop& loop_;
  int fd_;  // negative: closed
  const std::string address_;
  anywire::LoopTurns turns_;
  std::deque<int> queue_;  // accepted when it was closed, and not given yet
  bool watched_ = false;
  bool is_waiting_ = false;
  kj::Own<kj::PromiseFulfiller<Connected>> waiting_;
};

class PacketTransport final : public Transport {
 public:
  absl::string_view scheme() const override { return "packet"; }

  absl::Status CheckAddress(absl::string_view address) const override {
    if (!address.empty() && address.size() <= kMaxNameLength) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("the name has ", address.size(), " bytes; allowed: 1 to ", kMaxNameLength));
  }

  kj::Promise<Connected> Connect(EventLoop& loop, absl::string_view address,
                                 const ConnectOptions&) override {
    absl::Status status = CheckAddress(address);
    if (!status.ok()) return Connected(std::move(status));
    const int fd = NewSocket();
    if (fd < 0) return Connected(Failure(errno, "socket"));
    const Address to(address);
    if (connect(fd, to.get(), to.size) == 0) {
      return Connected(
          std::make_unique<PacketConnection>(loop, fd, /*connecting=*/true, Uri(address)));
    }
    status = Failure(errno, absl::StrCat("connecting to ", Uri(address)));
    close(fd);
    return Connected(std::move(status));
  }

  absl::StatusOr<std::unique_ptr<Listener>> Listen(EventLoop& loop, absl::string_view address,
                                                   const ListenOptions& options) override {
    absl::Status status = CheckAddress(address);
    if (!status.ok()) return status;
    const int fd = NewSocket();
    if (fd < 0) return Failure(errno, "socket");
    auto listener = std::make_unique<PacketListener>(loop, fd, Uri(address), options);
    const Address at(address);
    if (bind(fd, at.get(), at.size) != 0) {
      if (errno != EADDRINUSE) return Failure(errno, Uri(address));
      return absl::AlreadyExistsError(absl::StrCat("another server listens at ", Uri(address)));
    }
    if (listen(fd, SOMAXCONN) != 0) return Failure(errno, "listen");
    status = listener->Start();
    if (!status.ok()) return status;
    return listener;
  }

  std::string FreshAddress(absl::string_view) override {
    std::random_device random;
    return absl::StrCat("fresh-", random(), "-", random());
  }

 private:
  static std::string Uri(absl::string_view address) { return absl::StrCat("packet:", address); }
};

}  // namespace

absl::Status RegisterPacketTransport(anywire::TransportRegistry& registry) {
  return registry.Register(std::make_unique<PacketTransport>());
}

}  // namespace own_transport
