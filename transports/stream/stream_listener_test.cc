// Who may become a connection: prefaces in time, peers beside each other, descriptors that run out.
#include "transports/stream/stream_listener.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transports/stream/preface.h"

namespace anywire {
namespace {

constexpr int kPatienceMs = 30'000;

class StreamListenerTest : public ::testing::Test {
 protected:
  void Listen(StreamOptions options, absl::AnyInvocable<bool()> room = nullptr) {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    address_.sun_family = AF_UNIX;
    socklen_t size = sizeof(sa_family_t);  // the system chooses an abstract name
    ASSERT_EQ(0, bind(fd.get(), reinterpret_cast<sockaddr*>(&address_), size));
    size_ = sizeof(address_);
    ASSERT_EQ(0, getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address_), &size_));
    ASSERT_EQ(0, listen(fd.get(), 100));
    StreamListener::Config config;
    config.address = "test:";
    config.options = options;
    config.room = std::move(room);
    config.adopt = [](int) -> absl::StatusOr<ConnectionInfo> { return ConnectionInfo{}; };
    config.release = [this](int) { released_ = true; };
    loop_.RunAndWait([this, &fd, &config] {
      absl::StatusOr<std::unique_ptr<Listener>> listener =
          StreamListener::Create(loop_, std::move(fd), std::move(config));
      ASSERT_TRUE(listener.ok()) << listener.status();
      listener_ = std::move(*listener);
      accepting_ = std::make_unique<kj::Promise<void>>(AcceptAll().eagerlyEvaluate(nullptr));
    });
  }

  kj::Promise<void> AcceptAll() {
    return listener_->Accept().then(
        [this](absl::StatusOr<std::unique_ptr<Connection>> accepted) -> kj::Promise<void> {
          if (!accepted.ok()) {
            ended_.Notify();
            return kj::READY_NOW;
          }
          connections_.push_back(std::move(*accepted));
          {
            absl::MutexLock lock(&mutex_);
            ++accepted_;
          }
          return AcceptAll();
        });
  }

  void TearDown() override {
    loop_.RunAndWait([this] {
      accepting_.reset();
      listener_.reset();
      connections_.clear();
    });
    EXPECT_TRUE(released_);
  }

  UniqueFd Connect() {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(0, connect(fd.get(), reinterpret_cast<sockaddr*>(&address_), size_));
    return fd;
  }
  static void Write(const UniqueFd& fd, absl::string_view bytes) {
    // The listener may have closed it already.
    (void)send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  static void WritePreface(const UniqueFd& fd) {
    Write(fd, absl::string_view(reinterpret_cast<const char*>(kPreface), kPrefaceSize));
  }
  // Has said its preface when the listener first sees it, however short preface_timeout is.
  UniqueFd ConnectWithPreface() {
    UniqueFd fd;
    loop_.RunAndWait([this, &fd] {
      fd = Connect();
      WritePreface(fd);
    });
    return fd;
  }
  // Whether the listener closes it, waiting for that.
  static bool IsClosed(const UniqueFd& fd, int wait_ms = kPatienceMs) {
    pollfd readable = {fd.get(), POLLIN, 0};
    if (poll(&readable, 1, wait_ms) <= 0) return false;
    char byte;
    return recv(fd.get(), &byte, 1, MSG_DONTWAIT) <= 0;
  }
  bool WaitForAccepted(int count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [this, count]()
                            ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return accepted_ >= count; };
    return mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Milliseconds(kPatienceMs));
  }

  // Peers come while there are no descriptors; the first is turned away, and it is said why.
  void RunOutOfDescriptors() {
    // Connected by now, but not accepted: sockets made before the descriptors are gone.
    std::vector<UniqueFd> unconnected;
    for (int i = 0; i < 4; ++i) {
      unconnected.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    }
    ::testing::internal::CaptureStderr();  // takes descriptors itself
    rlimit before;
    ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &before));
    const rlimit none = {static_cast<rlim_t>(unconnected.back().get() + 1), before.rlim_max};
    ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
    std::vector<UniqueFd> fillers;
    for (;;) {
      UniqueFd filler(open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (!filler.valid()) break;
      fillers.push_back(std::move(filler));
    }
    for (const UniqueFd& fd : unconnected) {
      ASSERT_EQ(0, connect(fd.get(), reinterpret_cast<sockaddr*>(&address_), size_));
      WritePreface(fd);
    }
    EXPECT_TRUE(IsClosed(unconnected[0])) << "turned away, not left to wait";
    fillers.clear();
    ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &before));
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), ::testing::HasSubstr("turned away"));
  }

  EventLoop loop_{"listener"};
  sockaddr_un address_ = {};
  socklen_t size_ = 0;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<kj::Promise<void>> accepting_;          // the loop's
  std::vector<std::unique_ptr<Connection>> connections_;  // the loop's
  bool released_ = false;
  absl::Notification ended_;
  absl::Mutex mutex_;
  int accepted_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST_F(StreamListenerTest, RightPrefaceMakesAConnection) {
  Listen({});
  const UniqueFd peer = Connect();
  WritePreface(peer);
  EXPECT_TRUE(WaitForAccepted(1));
  EXPECT_FALSE(IsClosed(peer, 0));
}

TEST_F(StreamListenerTest, PrefaceMayComeInPieces) {
  Listen({});
  const UniqueFd peer = Connect();
  for (uint8_t byte : kPreface) {
    Write(peer, absl::string_view(reinterpret_cast<const char*>(&byte), 1));
    loop_.RunAndWait([] {});
  }
  EXPECT_TRUE(WaitForAccepted(1));
}

TEST_F(StreamListenerTest, OtherProtocolsAndVersionsAreClosed) {
  Listen({});
  for (absl::string_view bytes :
       {absl::string_view("GET / HTTP/1.1\r\n"), absl::string_view("\0\0\0\0\0\0\0\0", 8),
        absl::string_view("\xAE"
                          "anywir\x02")}) {
    const UniqueFd peer = Connect();
    Write(peer, bytes);
    EXPECT_TRUE(IsClosed(peer));
  }
  const UniqueFd good = Connect();
  WritePreface(good);
  EXPECT_TRUE(WaitForAccepted(1));
}

TEST_F(StreamListenerTest, PeerThatLeavesEarlyIsForgotten) {
  Listen({});
  for (int i = 0; i < 20; ++i) {
    UniqueFd peer = Connect();
    if (i % 2 == 0) Write(peer, "\xAE");
  }
  const UniqueFd good = Connect();
  WritePreface(good);
  EXPECT_TRUE(WaitForAccepted(1));
}

TEST_F(StreamListenerTest, PrefaceThatDoesNotComeInTimeIsClosed) {
  StreamOptions options;
  options.preface_timeout = std::chrono::milliseconds(30);
  Listen(options);
  const UniqueFd silent = Connect(), half = Connect();
  Write(half,
        "\xAE"
        "any");
  EXPECT_TRUE(IsClosed(silent));
  EXPECT_TRUE(IsClosed(half));
  const UniqueFd good = ConnectWithPreface();
  EXPECT_TRUE(WaitForAccepted(1));
}

TEST_F(StreamListenerTest, SilentPeersHoldUpNobody) {
  Listen({});
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 30; ++i) silent.push_back(Connect());
  const UniqueFd good = Connect();
  WritePreface(good);
  EXPECT_TRUE(WaitForAccepted(1));
  // They are late, not lost.
  for (const UniqueFd& peer : silent) WritePreface(peer);
  EXPECT_TRUE(WaitForAccepted(31));
}

TEST_F(StreamListenerTest, WithTooManySilentPeersTheOldestGoes) {
  StreamOptions options;
  options.max_undecided = 3;
  Listen(options);
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 3; ++i) silent.push_back(Connect());
  loop_.RunAndWait([] {});
  loop_.RunAndWait([] {});
  EXPECT_FALSE(IsClosed(silent[0], 0));
  silent.push_back(Connect());
  EXPECT_TRUE(IsClosed(silent[0]));
  for (int i = 1; i < 4; ++i) WritePreface(silent[i]);
  EXPECT_TRUE(WaitForAccepted(3));
}

// Who has connected may have sent something, which is not lost unread.
TEST_F(StreamListenerTest, PrefaceMayComeAfterTheClose) {
  Listen({});
  const UniqueFd first = Connect(), second = Connect();
  loop_.RunAndWait([this] { listener_->Close(); });
  WritePreface(second);
  EXPECT_TRUE(WaitForAccepted(1));
  EXPECT_FALSE(ended_.HasBeenNotified());
  WritePreface(first);
  EXPECT_TRUE(WaitForAccepted(2));
  EXPECT_TRUE(ended_.WaitForNotificationWithTimeout(absl::Milliseconds(kPatienceMs)));
}

TEST_F(StreamListenerTest, ClosedItEndsWithTheLastSilentPeer) {
  StreamOptions options;
  options.preface_timeout = std::chrono::milliseconds(30);
  Listen(options);
  const UniqueFd silent = Connect(), half = Connect();
  Write(half, "\xAE");
  loop_.RunAndWait([this] { listener_->Close(); });
  EXPECT_TRUE(ended_.WaitForNotificationWithTimeout(absl::Milliseconds(kPatienceMs)));
  EXPECT_TRUE(IsClosed(silent, 0));
  EXPECT_TRUE(IsClosed(half, 0));
}

TEST_F(StreamListenerTest, ClosedItEndsWhenTheLastPeerLeaves) {
  StreamOptions options;
  options.preface_timeout = std::chrono::hours(1);
  Listen(options);
  UniqueFd leaving = Connect(), other = Connect();
  loop_.RunAndWait([this] { listener_->Close(); });
  leaving.Reset();
  Write(other, "GET /");
  EXPECT_TRUE(ended_.WaitForNotificationWithTimeout(absl::Milliseconds(kPatienceMs)));
}

TEST_F(StreamListenerTest, GoesOnWhenDescriptorsHaveRunOut) {
  Listen({});
  std::vector<UniqueFd> peers;
  for (int i = 0; i < 3; ++i)
    peers.push_back(Connect());  // wait in the kernel or beside each other
  loop_.RunAndWait([] {});
  loop_.RunAndWait([] {});
  RunOutOfDescriptors();
  const UniqueFd good = Connect();
  WritePreface(good);
  for (const UniqueFd& peer : peers) WritePreface(peer);
  EXPECT_TRUE(WaitForAccepted(4));
}

// A lack of room, which is no news, is no reason to keep the lack of descriptors to itself.
TEST_F(StreamListenerTest, TellsThatDescriptorsHaveRunOutAfterALackOfRoom) {
  StreamOptions options;
  options.preface_timeout = std::chrono::milliseconds(50);
  std::atomic<bool> room{false};
  Listen(options, [&room] { return room.load(); });
  const UniqueFd held = Connect();
  WritePreface(held);
  EXPECT_TRUE(IsClosed(held)) << "held longer than it may take";
  room = true;
  RunOutOfDescriptors();
  const UniqueFd good = ConnectWithPreface();
  EXPECT_TRUE(WaitForAccepted(1));
}

}  // namespace
}  // namespace anywire
