#include "transports/shm/shm_transport.h"

#include <sys/epoll.h>

#include <chrono>
#include <cstdio>
#include <utility>

#include "absl/numeric/bits.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "transports/shm/shm_connection.h"
#include "transports/shm/shm_handshake.h"
#include "transports/shm/shm_offers.h"
#include "transports/shm/shm_region.h"
#include "transports/unix/unix_socket.h"

namespace anywire {
namespace {

// Peers that wait for their offer get it although nobody has asked for them yet.
constexpr size_t kReadyAhead = 16;

std::string Uri(absl::string_view path) { return absl::StrCat("shm://", path); }

// The listening side's part of the handshake, once the preface has come.
class Offering {
 public:
  Offering(std::string uri, const ShmOptions& options)
      : uri_(std::move(uri)),
        options_(options),
        unread_(std::make_shared<UnreadOffers>(options.max_unread_offers)) {}

  bool HasRoom() {
    if (unread_->HasRoom()) return true;
    Tell(absl::StrCat(options_.max_unread_offers, " offers are unread; further peers wait"),
         told_of_unread_);
    return false;
  }
  absl::StatusOr<StreamListener::Make> Offer(UniqueFd socket, ConnectionInfo info) {
    absl::StatusOr<ShmRegion::New> made = ShmRegion::Create(options_.ring_size);
    if (!made.ok()) {
      Tell(TurnedAway(made.status()), told_of_memory_);
      return made.status();
    }
    absl::Status status = SendShmOffer(socket.get(), made->fd.get(), options_.ring_size);
    if (!status.ok()) {
      // All else is the peer's doing: it has gone, mostly.
      if (absl::IsResourceExhausted(status)) Tell(TurnedAway(status), told_of_sending_);
      return status;
    }
    return StreamListener::Make([socket = ShmSocket(std::move(socket), unread_),
                                 region = std::move(made->region), info = std::move(info),
                                 options = options_](EventLoop& loop) mutable {
      return std::make_unique<ShmConnection>(loop, std::move(socket), std::move(region),
                                             ShmRegion::kToConnector, std::move(info), options);
    });
  }

 private:
  static std::string TurnedAway(const absl::Status& status) {
    return absl::StrCat(status.message(), "; peers are turned away for now");
  }
  // Once for each cause: how often it comes and goes may be up to a peer.
  void Tell(const std::string& what, bool& told) const {
    if (std::exchange(told, true)) return;
    std::fprintf(stderr, "anywire: %s: %s\n", uri_.c_str(), what.c_str());
  }

  const std::string uri_;
  const ShmOptions options_;
  const std::shared_ptr<UnreadOffers> unread_;
  bool told_of_memory_ = false;
  bool told_of_sending_ = false;
  bool told_of_unread_ = false;
};

}  // namespace

// The connecting side's part of the handshake: waits for the offer. Lives as long as the promise.
class ShmTransport::Joining final : private EventLoop::Watch, private EventLoop::Alarm {
 public:
  Joining(kj::PromiseFulfiller<Connected>& fulfiller, EventLoop& loop, UniqueFd socket,
          std::string uri, const ShmOptions& options)
      : Alarm(loop),
        fulfiller_(fulfiller),
        loop_(loop),
        socket_(std::move(socket)),
        uri_(std::move(uri)),
        options_(options) {
    absl::Status status = SendShmPreface(socket_.get());
    if (status.ok()) status = loop_.AddWatch(socket_.get(), EPOLLIN, *this);
    watched_ = status.ok();
    if (!status.ok()) {
      Finish(std::move(status));
      return;
    }
    Set(std::chrono::steady_clock::now() + options_.handshake_timeout);
  }
  ~Joining() noexcept override { Unwatch(); }

 private:
  void OnReady(uint32_t) override {
    const absl::StatusOr<bool> complete = offer_.Read(socket_.get());
    if (!complete.ok()) return Finish(complete.status());
    if (*complete) Finish(Join());
  }
  void OnAlarm(Instant) override {
    Finish(absl::UnavailableError("the peer does not answer in the handshake"));
  }

  Connected Join() {
    absl::StatusOr<std::unique_ptr<ShmRegion>> region = offer_.Open();
    if (!region.ok()) return region.status();
    Unwatch();
    ConnectionInfo info = DescribeUnixSocket(socket_.get(), "", uri_);
    return std::make_unique<ShmConnection>(loop_, ShmSocket(std::move(socket_)), std::move(*region),
                                           ShmRegion::kToListener, std::move(info), options_);
  }
  void Finish(Connected connected) {
    Unwatch();
    Set(Instant::max());
    if (!connected.ok()) {
      connected = absl::Status(connected.status().code(),
                               absl::StrCat(uri_, ": ", connected.status().message()));
    }
    fulfiller_.fulfill(std::move(connected));
  }
  void Unwatch() {
    if (std::exchange(watched_, false)) loop_.RemoveWatch(socket_.get(), *this);
  }

  kj::PromiseFulfiller<Connected>& fulfiller_;
  EventLoop& loop_;
  UniqueFd socket_;
  const std::string uri_;
  const ShmOptions options_;
  ShmOfferReader offer_;
  bool watched_ = false;
};

absl::Status ShmTransport::CheckAddress(absl::string_view address) const {
  absl::Status status = CheckUnixAddress(UnixNamespace::kPath, address);
  if (status.ok()) return status;
  // It names the scheme.
  return absl::Status(status.code(),
                      absl::StrReplaceAll(status.message(), {{"unix://", "shm://"}}));
}

kj::Promise<ShmTransport::Connected> ShmTransport::Connect(EventLoop& loop,
                                                           absl::string_view address,
                                                           const ConnectOptions& options) {
  absl::Status status = CheckAddress(address);
  if (!status.ok()) return Connected(std::move(status));
  ShmOptions chosen = options_;
  chosen.in_place = options.in_place.value_or(chosen.in_place);
  std::string uri = Uri(address);
  return ConnectUnixSocket(loop, UnixNamespace::kPath, std::string(address), uri)
      .then([&loop, chosen,
             uri = std::move(uri)](absl::StatusOr<UniqueFd> fd) mutable -> kj::Promise<Connected> {
        if (!fd.ok()) return Connected(fd.status());
        return kj::newAdaptedPromise<Connected, Joining>(loop, std::move(*fd), std::move(uri),
                                                         chosen);
      });
}

absl::StatusOr<std::unique_ptr<Listener>> ShmTransport::Listen(EventLoop& loop,
                                                               absl::string_view address,
                                                               const ListenOptions& options) {
  absl::Status status = CheckAddress(address);
  ShmOptions chosen = options_;
  chosen.in_place = options.in_place.value_or(chosen.in_place);
  if (options.ring_size.has_value()) chosen.ring_size = absl::bit_ceil(*options.ring_size);
  if (status.ok()) status = CheckRingSize(chosen.ring_size);
  if (!status.ok()) return status;
  StreamListener::Config config;
  config.options.preface_timeout = chosen.handshake_timeout;
  config.listen = options;
  config.protocol = StreamProtocol::kShm;
  config.ready_ahead = kReadyAhead;
  auto offering = std::make_shared<Offering>(Uri(address), chosen);
  config.room = [offering] { return offering->HasRoom(); };
  config.ready = [offering](UniqueFd socket, ConnectionInfo info) {
    return offering->Offer(std::move(socket), std::move(info));
  };
  return ListenAtUnixSocket(loop, UnixNamespace::kPath, address, Uri(address),
                            options.socket_mode.value_or(chosen.mode), chosen.backlog,
                            std::move(config));
}

std::string ShmTransport::FreshAddress(absl::string_view scratch_dir) {
  return FreshUnixAddress(UnixNamespace::kPath, scratch_dir);
}

}  // namespace anywire
