// For tests of what a peer may do that keeps no rule: one side of a connection by hand, and a
// listener that it has to do with.
#ifndef ANYWIRE_TRANSPORTS_SHM_HOSTILE_FIXTURE_H_
#define ANYWIRE_TRANSPORTS_SHM_HOSTILE_FIXTURE_H_

#include <errno.h>
#include <kj/async.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/conformance/transport/peer.h"
#include "tests/support/census.h"
#include "tests/support/temp_dir.h"
#include "transports/shm/shm_frame.h"
#include "transports/shm/shm_handshake.h"
#include "transports/shm/shm_transport.h"
#include "transports/unix/unix_address.h"

namespace anywire {

using test::kPatience;
using test::Patience;
using test::Peer;

inline constexpr size_t kRing = 64 << 10;

inline ShmOptions Options() {
  ShmOptions options;
  options.ring_size = kRing;
  return options;
}

// One side by hand: a socket, and what has been agreed on.
struct Hostile {
  UniqueFd socket;
  UniqueFd memfd;
  std::unique_ptr<ShmRegion> region;

  // The peer of a listening side.
  ShmRegion::Words& out() const { return region->words(ShmRegion::kToListener); }
  ShmRegion::Words& in() const { return region->words(ShmRegion::kToConnector); }
  uint8_t* ring() const { return region->ring(ShmRegion::kToListener); }
  void WriteHeader(uint64_t at, uint32_t size, uint32_t kind) const {
    WriteShmFrameHeader({size, kind, 1}, ring() + at);
  }
};

inline UniqueFd ConnectTo(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UnixSocketAddress address = MakeUnixAddress(UnixNamespace::kPath, path);
  EXPECT_EQ(0, connect(fd.get(), address.get(), address.size)) << errno;
  return fd;
}

// Waits for the offer on a blocking socket; keeps the descriptor, too.
inline Hostile Handshake(UniqueFd socket) {
  Hostile hostile;
  EXPECT_TRUE(SendShmPreface(socket.get()).ok());
  uint8_t offer[kShmOfferSize];
  iovec piece = {offer, sizeof(offer)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message = {};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  EXPECT_EQ(ssize_t{kShmOfferSize}, recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC));
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
  hostile.memfd.Reset(fd);
  hostile.region = ShmRegion::Open(fd, kRing).value();
  hostile.socket = std::move(socket);
  return hostile;
}

// Whether the other side closes, waiting for that.
inline bool IsClosed(int fd) {
  timeval patience = {kPatience.count(), 0};
  EXPECT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
  char bytes[64];
  ssize_t size;
  while ((size = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
  }
  return size == 0 || errno == ECONNRESET;
}

class ShmHostileTest : public ::testing::Test {
 protected:
  void TearDown() override {
    Close();
    EXPECT_TRUE(census_.BackToBaseline().ok()) << census_.BackToBaseline();
  }

  void Listen(const ShmOptions& options, const Transport::ListenOptions& listen = {}) {
    transport_ = std::make_unique<ShmTransport>(options);
    loop_->RunAndWait([this, &listen] {
      listener_ = transport_->Listen(*loop_, path_, listen).value();
      accepting_ = std::make_unique<kj::Promise<void>>(AcceptAll().eagerlyEvaluate(nullptr));
    });
  }
  // Until the next Listen.
  void StopListening() {
    peers_.clear();
    loop_->RunAndWait([this] {
      accepting_.reset();
      listener_.reset();
      accepted_.clear();
    });
  }
  void Close() {
    if (loop_ == nullptr) return;
    StopListening();
    loop_.reset();
  }
  kj::Promise<void> AcceptAll() {
    return listener_->Accept().then(
        [this](absl::StatusOr<std::unique_ptr<Connection>> accepted) -> kj::Promise<void> {
          if (!accepted.ok()) return kj::READY_NOW;
          absl::MutexLock lock(&mutex_);
          accepted_.push_back(std::move(*accepted));
          return AcceptAll();
        });
  }
  // The next accepted connection.
  Peer& Next() {
    std::unique_ptr<Connection> connection;
    {
      absl::MutexLock lock(&mutex_);
      const auto some = [this] { return !accepted_.empty(); };
      EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&some), absl::FromChrono(kPatience)));
      connection = std::move(accepted_.front());
      accepted_.erase(accepted_.begin());
    }
    peers_.push_back(std::make_unique<Peer>(*loop_, std::move(connection)));
    return *peers_.back();
  }
  // The same, once it has asked for one ring.
  Peer& NextThatAskedForARing() {
    Peer& server = Next();
    server.connection().WatchReadable(true);
    server.connection().WatchReadable(false);
    return server;
  }
  // A connection of ours to whoever listens at the path.
  absl::Status ConnectStatus(const ShmOptions& options) {
    const ShmTransport transport(options);
    absl::Status status;
    absl::Notification done;
    kj::Promise<void> promise = nullptr;
    loop_->RunAndWait([this, &promise, &status, &done, &transport] {
      promise = const_cast<ShmTransport&>(transport)
                    .Connect(*loop_, path_, {})
                    .then([&status, &done](absl::StatusOr<std::unique_ptr<Connection>> connected) {
                      status = connected.status();
                      done.Notify();
                    })
                    .eagerlyEvaluate(nullptr);
    });
    EXPECT_TRUE(done.WaitForNotificationWithTimeout(absl::FromChrono(kPatience)));
    loop_->RunAndWait([&promise] { promise = nullptr; });
    return status;
  }

  const test::Census census_;
  test::TempDir dir_;
  const std::string path_ = dir_.path() + "/s.sock";
  std::unique_ptr<EventLoop> loop_ = std::make_unique<EventLoop>("hostile");
  std::unique_ptr<ShmTransport> transport_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<kj::Promise<void>> accepting_;
  absl::Mutex mutex_;
  std::vector<std::unique_ptr<Connection>> accepted_;
  std::vector<std::unique_ptr<Peer>> peers_;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_HOSTILE_FIXTURE_H_
