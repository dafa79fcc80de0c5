// A peer that breaks the rules ends its own connection, by a status that says why, and nothing
// else.
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <functional>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/conformance/transport/peer.h"
#include "tests/support/census.h"
#include "tests/support/temp_dir.h"
#include "transports/shm/shm_connection.h"
#include "transports/shm/shm_frame.h"
#include "transports/shm/shm_handshake.h"
#include "transports/shm/shm_transport.h"
#include "transports/unix/unix_address.h"

namespace anywire {
namespace {

using test::kPatience;
using test::Patience;
using test::Peer;
using ::testing::HasSubstr;

constexpr size_t kRing = 64 << 10;

ShmOptions Options() {
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

UniqueFd ConnectTo(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UnixSocketAddress address = MakeUnixAddress(UnixNamespace::kPath, path);
  EXPECT_EQ(0, connect(fd.get(), address.get(), address.size)) << errno;
  return fd;
}

// Waits for the offer on a blocking socket; keeps the descriptor, too.
Hostile Handshake(UniqueFd socket) {
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
bool IsClosed(int fd) {
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

  void Listen(const ShmOptions& options) {
    transport_ = std::make_unique<ShmTransport>(options);
    loop_->RunAndWait([this] {
      listener_ = transport_->Listen(*loop_, path_, {}).value();
      accepting_ = std::make_unique<kj::Promise<void>>(AcceptAll().eagerlyEvaluate(nullptr));
    });
  }
  void Close() {
    peers_.clear();
    if (loop_ == nullptr) return;
    loop_->RunAndWait([this] {
      accepting_.reset();
      listener_.reset();
      accepted_.clear();
    });
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
  // A connection of ours to whoever listens at the path.
  absl::Status ConnectStatus(const ShmOptions& options) {
    const ShmTransport transport(options);
    absl::Status status;
    absl::Notification done;
    kj::Promise<void> promise = nullptr;
    loop_->RunAndWait([this, &promise, &status, &done, &transport] {
      promise = const_cast<ShmTransport&>(transport)
                    .Connect(*loop_, path_)
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

struct BadBytes {
  const char* name;
  std::function<void(const Hostile&)> write;
};

TEST_F(ShmHostileTest, BadIndicesAndFramesAreDataLoss) {
  Listen(Options());
  const auto tail = [](uint64_t value) {
    return [value](const Hostile& hostile) { hostile.out().tail.StoreSeqCst(value); };
  };
  const auto frame = [](uint32_t size, uint32_t kind, uint64_t published) {
    return [size, kind, published](const Hostile& hostile) {
      hostile.WriteHeader(0, size, kind);
      hostile.out().tail.StoreSeqCst(published);
    };
  };
  for (const BadBytes& bad : {
           BadBytes{"beyond the ring", tail(kRing + 8)},
           BadBytes{"far beyond", tail(uint64_t{1} << 40)},
           BadBytes{"before the beginning", tail(uint64_t{0} - 8)},
           BadBytes{"no multiple of 8", tail(12)},
           BadBytes{"half a header", tail(8)},
           BadBytes{"no body", frame(0, 0, 24)},
           BadBytes{"a body one byte too large", frame(kRing / 4 + 1, 0, kRing)},
           BadBytes{"4 GiB", frame(UINT32_MAX, 0, kRing)},
           BadBytes{"a size that wraps when rounded", frame(UINT32_MAX - 7, 0, kRing)},
           BadBytes{"more than is published", frame(100, 0, 16 + 96)},
           BadBytes{"an unknown kind", frame(8, 2, 24)},
           BadBytes{"a rewind that is cut off", frame(0, 1, kRing - 8)},
           BadBytes{"a rewind and nothing behind it", frame(0, 1, kRing)},
       }) {
    const Hostile hostile = Handshake(ConnectTo(path_));
    Peer& server = Next();
    bad.write(hostile);
    const absl::Status end = server.ReceiveEnd();
    EXPECT_EQ(absl::StatusCode::kDataLoss, end.code()) << bad.name << ": " << end;
    EXPECT_EQ(end, server.ReceiveEnd()) << "an error is final";
    // What the server has to say can still be said.
    EXPECT_TRUE(server.Send(0, "goodbye").ok()) << bad.name;
  }
}

TEST_F(ShmHostileTest, LimitsAreAllowedExactly) {
  Listen(Options());
  const Hostile hostile = Handshake(ConnectTo(path_));
  Peer& server = Next();
  hostile.WriteHeader(0, kRing / 4, 0);
  const uint64_t end = ShmFrameSize(kRing / 4);
  hostile.out().tail.StoreSeqCst(end);
  EXPECT_EQ(kRing / 4, server.ReceiveOne().value().bytes.size());
  // All of the ring is unread: a rewind, and a frame as far as where it began.
  hostile.WriteHeader(end, 0, ShmFrameHeader::kRewind);
  hostile.WriteHeader(0, kRing / 4, 0);
  hostile.out().tail.StoreSeqCst(kRing + end);
  EXPECT_EQ(kRing / 4, server.ReceiveOne().value().bytes.size());
}

TEST_F(ShmHostileTest, FramesBeforeABadOneAreGiven) {
  Listen(Options());
  const Hostile hostile = Handshake(ConnectTo(path_));
  Peer& server = Next();
  hostile.WriteHeader(0, 8, 0);
  hostile.WriteHeader(24, 8, 77);
  hostile.out().tail.StoreSeqCst(48);
  EXPECT_EQ(8u, server.ReceiveOne().value().bytes.size());
  EXPECT_EQ(absl::StatusCode::kDataLoss, server.ReceiveEnd().code());
}

// A peer that says it has read what was never sent.
TEST_F(ShmHostileTest, BadIndexOfWhatWasReadIsDataLoss) {
  Listen(Options());
  for (uint64_t head : {uint64_t{2 * kRing}, uint64_t{1} << 50, uint64_t{3}}) {
    const Hostile hostile = Handshake(ConnectTo(path_));
    Peer& server = Next();
    hostile.in().head.StoreSeqCst(head);
    absl::Status status;
    for (const Instant end = Patience(); status.ok() && std::chrono::steady_clock::now() < end;) {
      status = server.Send(1, test::Content(1, 0, 1000));
    }
    EXPECT_EQ(absl::StatusCode::kDataLoss, status.code()) << status;
    EXPECT_EQ(absl::StatusCode::kDataLoss, server.ReceiveEnd().code());
    EXPECT_TRUE(IsClosed(hostile.socket.get()));
  }
}

TEST_F(ShmHostileTest, RingsThatNobodyAskedForAreDataLoss) {
  Listen(Options());
  const Hostile hostile = Handshake(ConnectTo(path_));
  Peer& server = Next();
  server.connection().WatchReadable(true);  // asks for one
  server.connection().WatchReadable(false);
  const std::string rings(2, '\0');
  ASSERT_EQ(2, send(hostile.socket.get(), rings.data(), rings.size(), MSG_NOSIGNAL));
  EXPECT_EQ(absl::StatusCode::kDataLoss, server.ReceiveEnd().code());
  EXPECT_TRUE(IsClosed(hostile.socket.get()));
}

// The loop is woken by a byte out of band, and reads nothing.
TEST_F(ShmHostileTest, RingsOutOfBandThatNobodyAskedForAreDataLoss) {
  Listen(Options());
  const Hostile hostile = Handshake(ConnectTo(path_));
  Peer& server = Next();
  server.connection().WatchReadable(true);  // asks for one
  server.connection().WatchReadable(false);
  for (int rings = 1; rings <= 2; ++rings) {
    if (send(hostile.socket.get(), "", 1, MSG_OOB | MSG_NOSIGNAL) != 1) {
      if (errno == EOPNOTSUPP) GTEST_SKIP() << "this kernel has no bytes out of band here";
      ASSERT_EQ(EPIPE, errno);
      break;
    }
    // Until the loop has dropped it: two that wait at once would be one that can be read.
    pollfd ended = {hostile.socket.get(), POLLRDHUP, 0};
    for (int waiting = 1; waiting != 0 && poll(&ended, 1, 1) == 0;) {
      ASSERT_EQ(0, ioctl(hostile.socket.get(), SIOCOUTQ, &waiting));
    }
  }
  EXPECT_EQ(absl::StatusCode::kDataLoss, server.ReceiveEnd().code());
  EXPECT_TRUE(IsClosed(hostile.socket.get()));
}

// Threads that sleep by futex, moved between words while they do: so it is known how many sleep.
class Sleepers {
 public:
  explicit Sleepers(const void* word) : word_(word) {
    for (int i = 0; i < kCount; ++i) {
      threads_.emplace_back([this] {
        const timespec limit = {kPatience.count(), 0};
        syscall(SYS_futex, &lobby_, FUTEX_WAIT, 0, &limit, nullptr, 0);
      });
    }
    const Instant end = Patience();
    for (int there = 0; there < kCount; there += Move(&lobby_, word_)) {
      if (std::chrono::steady_clock::now() > end) {
        ADD_FAILURE() << "only " << there << " sleep";
        break;
      }
    }
  }
  ~Sleepers() {
    Move(word_, &lobby_);
    syscall(SYS_futex, &lobby_, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    for (std::thread& thread : threads_) thread.join();
  }
  // How many still sleep on the word.
  int Remaining() {
    const int remaining = Move(word_, &lobby_);
    EXPECT_EQ(remaining, Move(&lobby_, word_));
    return remaining;
  }

  static constexpr int kCount = 50;

 private:
  // Returns how many.
  static int Move(const void* from, const void* to) {
    return static_cast<int>(
        syscall(SYS_futex, from, FUTEX_REQUEUE, 0, static_cast<long>(INT_MAX), to, 0));
  }

  const void* const word_;
  const uint32_t lobby_ = 0;
  std::vector<std::thread> threads_;
};

// It is one thread that a side sleeps with; what else a peer parks there is not for us to wake.
TEST_F(ShmHostileTest, ThreadsParkedOnTheWordAreNotWoken) {
  Listen(Options());
  const Hostile hostile = Handshake(ConnectTo(path_));
  Peer& server = Next();
  Sleepers sleepers(hostile.in().rung.address());
  for (uint32_t rings = 1; rings <= 3; ++rings) {
    hostile.in().sleep.StoreSeqCst(4 * rings + static_cast<uint32_t>(Sleep::kThread));
    ASSERT_TRUE(server.Send(1, "hello").ok());
    EXPECT_EQ(4 * rings + static_cast<uint32_t>(Sleep::kThread), hostile.in().rung.LoadSeqCst());
    EXPECT_GE(sleepers.Remaining(), Sleepers::kCount - static_cast<int>(rings));
  }
}

TEST_F(ShmHostileTest, ThreadsParkedOnTheWordDelayNoEnd) {
  Listen(Options());
  const Hostile hostile = Handshake(ConnectTo(path_));
  Peer& server = Next();
  Sleepers sleepers(hostile.out().rung.address());
  server.connection().Abort();
  EXPECT_EQ(Sleepers::kCount, sleepers.Remaining());
}

// Nobody reads descriptors from the socket, so none stays.
TEST_F(ShmHostileTest, DescriptorsAreDropped) {
  Listen(Options());
  const Hostile hostile = Handshake(ConnectTo(path_));
  Peer& server = Next();
  const test::Census before;
  server.connection().WatchReadable(true);
  char ring = 0;
  iovec piece = {&ring, 1};
  std::vector<int> fds(100, hostile.memfd.get());
  std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
  msghdr message = {};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  ASSERT_EQ(1, sendmsg(hostile.socket.get(), &message, 0));
  hostile.WriteHeader(0, 8, 0);
  hostile.out().tail.StoreSeqCst(24);
  EXPECT_EQ(8u, server.ReceiveOne().value().bytes.size());
  EXPECT_TRUE(before.BackToBaseline().ok()) << before.BackToBaseline();
}

TEST_F(ShmHostileTest, MemoryCannotBeTakenAway) {
  Listen(Options());
  const Hostile hostile = Handshake(ConnectTo(path_));
  Peer& server = Next();
  EXPECT_NE(0, ftruncate(hostile.memfd.get(), 0));
  EXPECT_EQ(EPERM, errno);
  EXPECT_NE(0, ftruncate(hostile.memfd.get(), 1 << 30));
  EXPECT_NE(0, fcntl(hostile.memfd.get(), F_ADD_SEALS, F_SEAL_WRITE));
  // Holes are zeros: the words, too.
  ASSERT_TRUE(server.Send(1, "before").ok());
  ASSERT_EQ(0, fallocate(hostile.memfd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                         getpagesize() + 2 * kRing));
  ASSERT_TRUE(server.Send(1, "after").ok());
  hostile.out().tail.StoreSeqCst(24);  // a frame of zeros
  EXPECT_EQ(absl::StatusCode::kDataLoss, server.ReceiveEnd().code());
}

TEST_F(ShmHostileTest, PeerThatNeverReadsCostsItsRing) {
  Listen(Options());
  const Hostile hostile = Handshake(ConnectTo(path_));
  Peer& server = Next();
  size_t sent = 0;
  while (server.TryWrite(1, test::Content(1, 0, 1000))) {
    ASSERT_TRUE(server.Transmit().ok());
    sent += 1000;
    ASSERT_LE(sent, kRing);
  }
  EXPECT_GE(sent, kRing / 2);
  EXPECT_FALSE(server.Publish());
}

// Somebody to whom the peer has given the region goes on when the peer has died.
TEST_F(ShmHostileTest, EndHoldsWhateverTheMemoryDoes) {
  Listen(Options());
  Hostile hostile = Handshake(ConnectTo(path_));
  Peer& server = Next();
  std::atomic<bool> stop{false};
  std::thread ghost([&hostile, &stop] {
    for (uint64_t tail = 0; !stop; tail += 24) {
      while (!stop && tail + 24 - hostile.out().head.LoadAcquire() > kRing) {
      }
      hostile.WriteHeader(tail % kRing, 8, 0);
      hostile.out().tail.StoreSeqCst(tail + 24);
    }
  });
  hostile.socket.Reset();
  EXPECT_EQ(absl::StatusCode::kUnavailable, server.ReceiveEnd().code());
  stop = true;
  ghost.join();
}

TEST_F(ShmHostileTest, SilentPeersDelayNobodyAndAreClosed) {
  ShmOptions options = Options();
  options.handshake_timeout = std::chrono::milliseconds(200);
  Listen(options);
  const UniqueFd silent = ConnectTo(path_);
  const UniqueFd slow = ConnectTo(path_);
  ASSERT_EQ(3, send(slow.get(), kShmPreface, 3, 0));
  const Hostile prompt = Handshake(ConnectTo(path_));
  prompt.WriteHeader(0, 8, 0);
  prompt.out().tail.StoreSeqCst(24);
  EXPECT_TRUE(Next().ReceiveOne().ok());
  EXPECT_TRUE(IsClosed(silent.get()));
  EXPECT_TRUE(IsClosed(slow.get()));
}

// Peers whose offer cannot be made are closed, and it is said once why.
TEST_F(ShmHostileTest, ShortageIsTold) {
  Listen(Options());
  const auto open_descriptors = [] {
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd) count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return count;
  };
  const int before = open_descriptors();
  const UniqueFd peers[] = {ConnectTo(path_), ConnectTo(path_)};
  for (const Instant end = Patience(); open_descriptors() < before + 4;) {  // both are accepted
    ASSERT_LT(std::chrono::steady_clock::now(), end);
    std::this_thread::yield();
  }
  rlimit usual;
  ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &usual));
  ::testing::internal::CaptureStderr();
  const rlimit none = {3, usual.rlim_max};
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
  for (const UniqueFd& peer : peers) {
    EXPECT_TRUE(SendShmPreface(peer.get()).ok());
    EXPECT_TRUE(IsClosed(peer.get()));
  }
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &usual));
  EXPECT_EQ(absl::StrCat("anywire: shm://", path_,
                         ": memfd_create: Too many open files; peers are turned away for now\n"),
            ::testing::internal::GetCapturedStderr());
  // Then it goes on.
  const Hostile hostile = Handshake(ConnectTo(path_));
  Next();
}

TEST_F(ShmHostileTest, OtherProtocolsAreClosed) {
  Listen(Options());
  for (const uint8_t first : {0x00, 0x16, 0x47}) {
    const UniqueFd other = ConnectTo(path_);
    ASSERT_EQ(1, send(other.get(), &first, 1, 0));
    EXPECT_TRUE(IsClosed(other.get()));
  }
  const UniqueFd stream = ConnectTo(path_);
  ASSERT_EQ(ssize_t{kPrefaceSize}, send(stream.get(), kPreface, kPrefaceSize, 0));
  EXPECT_TRUE(IsClosed(stream.get()));
}

// Offers that nobody reads are charged to who has sent them. In a process of a user of its own.
TEST(ShmOfferTest, TooManyUnreadAreResourceExhausted) {
  constexpr int kOffers = 64;
  constexpr int kCannotTry = 100;
  const ShmRegion::New made = ShmRegion::Create(kRing).value();
  int ends[2];
  ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
  const UniqueFd sending(ends[0]), unread(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    const rlimit few = {kOffers / 2, kOffers / 2};
    if (setrlimit(RLIMIT_NOFILE, &few) != 0) _exit(kCannotTry);
    if (geteuid() == 0 && setresuid(54321, 54321, 54321) != 0) _exit(kCannotTry);
    absl::Status status;
    for (int i = 0; i < kOffers && status.ok(); ++i) {
      status = SendShmOffer(sending.get(), made.fd.get(), kRing);
    }
    _exit(static_cast<int>(status.code()));
  }
  int status;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kCannotTry) GTEST_SKIP() << "root that may not be another user";
  EXPECT_EQ(static_cast<int>(absl::StatusCode::kResourceExhausted), WEXITSTATUS(status));
}

TEST(ParsedInPlaceTest, OnlyPeersThatAreTrusted) {
  const auto peer = [](uid_t uid) {
    PeerIdentity peer;
    peer.credentials = PeerIdentity::Credentials{uid, 0, 1};
    return peer;
  };
  constexpr uid_t kOwn = 1000;
  EXPECT_TRUE(ParsedInPlace(InPlace::kSameUser, peer(kOwn), kOwn));
  EXPECT_FALSE(ParsedInPlace(InPlace::kSameUser, peer(kOwn + 1), kOwn));
  EXPECT_FALSE(ParsedInPlace(InPlace::kSameUser, peer(0), kOwn));
  EXPECT_FALSE(ParsedInPlace(InPlace::kSameUser, PeerIdentity(), kOwn));
  EXPECT_FALSE(ParsedInPlace(InPlace::kSameUser, PeerIdentity(), 0)) << "unknown is not root";
  // Everybody whom our user namespace does not know has this one.
  EXPECT_FALSE(ParsedInPlace(InPlace::kSameUser, peer(OverflowUid()), OverflowUid()));
  EXPECT_FALSE(ParsedInPlace(InPlace::kNever, peer(kOwn), kOwn));
  EXPECT_TRUE(ParsedInPlace(InPlace::kAlways, PeerIdentity(), kOwn));
}

// ---- a hostile listening side

class ShmHostileListenerTest : public ShmHostileTest {
 protected:
  ShmHostileListenerTest() : listening_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const UnixSocketAddress address = MakeUnixAddress(UnixNamespace::kPath, path_);
    EXPECT_EQ(0, bind(listening_.get(), address.get(), address.size));
    EXPECT_EQ(0, listen(listening_.get(), 10));
  }

  // What becomes of a client that is answered like this.
  absl::Status Answer(absl::string_view bytes, const std::vector<int>& fds,
                      const ShmOptions& options = Options(), bool close_then = true) {
    std::thread answering([this, bytes, &fds, close_then] {
      UniqueFd peer(accept(listening_.get(), nullptr, nullptr));
      iovec piece = {const_cast<char*>(bytes.data()), bytes.size()};
      std::vector<char> control(CMSG_SPACE(std::max<size_t>(1, fds.size()) * sizeof(int)));
      msghdr message = {};
      message.msg_iov = &piece;
      message.msg_iovlen = 1;
      if (!fds.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
        std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
      }
      if (!bytes.empty()) {
        EXPECT_EQ(static_cast<ssize_t>(bytes.size()), sendmsg(peer.get(), &message, 0));
      }
      if (close_then) shutdown(peer.get(), SHUT_WR);
      EXPECT_TRUE(IsClosed(peer.get()));
    });
    const absl::Status status = ConnectStatus(options);
    answering.join();
    return status;
  }
  static std::string Offer(uint64_t ring_size) {
    std::string bytes(reinterpret_cast<const char*>(kShmPreface), kPrefaceSize);
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(ring_size >> 8 * i));
    return bytes;
  }
  static UniqueFd Memory(uint64_t size, int seals, unsigned flags = MFD_ALLOW_SEALING) {
    UniqueFd fd(memfd_create("hostile", MFD_CLOEXEC | flags));
    EXPECT_EQ(0, ftruncate(fd.get(), static_cast<off_t>(size)));
    if (seals != 0) {
      EXPECT_EQ(0, fcntl(fd.get(), F_ADD_SEALS, seals));
    }
    return fd;
  }

  void TearDown() override {
    listening_.Reset();
    ShmHostileTest::TearDown();
  }

  UniqueFd listening_;
};

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
uint64_t GoodSize() { return static_cast<uint64_t>(getpagesize()) + 2 * kRing; }

TEST_F(ShmHostileListenerTest, MemoryIsCheckedBeforeItIsMapped) {
  const UniqueFd good = Memory(GoodSize(), kSeals);
  EXPECT_TRUE(Answer(Offer(kRing), {good.get()}).ok());
  const std::string scratch = dir_.path() + "/file";
  struct Bad {
    const char* name;
    uint64_t ring_size;
    UniqueFd fd;
    const char* text;
  };
  int pipes[2];
  ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
  const UniqueFd other_end(pipes[1]);
  std::vector<Bad> bad;
  const auto add = [&bad](const char* name, uint64_t ring_size, UniqueFd fd, const char* text) {
    bad.push_back({name, ring_size, std::move(fd), text});
  };
  add("not sealed", kRing, Memory(GoodSize(), 0), "not sealed");
  add("no seals possible", kRing, Memory(GoodSize(), 0, 0), "not sealed");
  add("may shrink", kRing, Memory(GoodSize(), F_SEAL_GROW | F_SEAL_SEAL), "not sealed");
  add("may grow", kRing, Memory(GoodSize(), F_SEAL_SHRINK | F_SEAL_SEAL), "not sealed");
  add("may be sealed", kRing, Memory(GoodSize(), F_SEAL_SHRINK | F_SEAL_GROW), "not sealed");
  add("too small", kRing, Memory(GoodSize() - 1, kSeals), "bytes and not");
  add("too large", kRing, Memory(GoodSize() + 1, kSeals), "bytes and not");
  add("empty", kRing, Memory(0, kSeals), "bytes and not");
  add("no power of two", kRing + 8, Memory(GoodSize() + 16, kSeals), "powers of two");
  add("no ring", 0, Memory(getpagesize(), kSeals), "powers of two");
  add("half a page", getpagesize() / 2, Memory(2 * getpagesize(), kSeals), "powers of two");
  add("4 GiB", uint64_t{4} << 30, Memory(getpagesize() + (uint64_t{8} << 30), kSeals),
      "powers of two");
  add("2^63", uint64_t{1} << 63, Memory(getpagesize(), kSeals), "powers of two");
  add("a pipe", kRing, UniqueFd(pipes[0]), "no shared memory");
  add("a socket", kRing, UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      "no shared memory");
  add("an eventfd", kRing, UniqueFd(eventfd(0, EFD_CLOEXEC)), "no shared memory");
  add("a device", kRing, UniqueFd(open("/dev/zero", O_RDWR | O_CLOEXEC)), "no shared memory");
  add("a folder", kRing, UniqueFd(open("/proc", O_RDONLY | O_CLOEXEC)), "no shared memory");
  for (const Bad& it : bad) {
    ASSERT_TRUE(it.fd.valid()) << it.name;
    const absl::Status status = Answer(Offer(it.ring_size), {it.fd.get()});
    EXPECT_EQ(absl::StatusCode::kDataLoss, status.code()) << it.name << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(it.text)) << it.name;
  }
  const UniqueFd read_only(
      open(absl::StrCat("/proc/self/fd/", good.get()).c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(Answer(Offer(kRing), {read_only.get()}).ok());
  const UniqueFd frozen = Memory(GoodSize(), kSeals | F_SEAL_WRITE);
  EXPECT_FALSE(Answer(Offer(kRing), {frozen.get()}).ok());
}

TEST_F(ShmHostileListenerTest, ExactlyOneDescriptorIsTaken) {
  const UniqueFd good = Memory(GoodSize(), kSeals);
  const test::Census before;
  for (size_t count : {0, 2, 3, 4, 5, 253}) {
    const absl::Status status = Answer(Offer(kRing), std::vector<int>(count, good.get()));
    EXPECT_EQ(absl::StatusCode::kDataLoss, status.code()) << count << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("descriptor"));
  }
  EXPECT_TRUE(before.BackToBaseline().ok()) << before.BackToBaseline();
}

TEST_F(ShmHostileListenerTest, OtherAnswersAreRefused) {
  const UniqueFd good = Memory(GoodSize(), kSeals);
  std::string other = Offer(kRing);
  other[7] = 2;  // another version
  EXPECT_EQ(absl::StatusCode::kDataLoss, Answer(other, {good.get()}).code());
  EXPECT_EQ(absl::StatusCode::kDataLoss, Answer("HTTP/1.1 400 Bad Request", {}).code());
  EXPECT_EQ(absl::StatusCode::kUnavailable, Answer("", {}).code());
  EXPECT_EQ(absl::StatusCode::kUnavailable,
            Answer(Offer(kRing).substr(0, kShmOfferSize - 1), {good.get()}).code());
}

TEST_F(ShmHostileListenerTest, SilenceEnds) {
  ShmOptions options = Options();
  options.handshake_timeout = std::chrono::milliseconds(50);
  const UniqueFd good = Memory(GoodSize(), kSeals);
  for (size_t size : {size_t{0}, size_t{1}, kShmOfferSize - 1}) {
    const absl::Status status =
        Answer(absl::string_view(Offer(kRing)).substr(0, size),
               size == 0 ? std::vector<int>() : std::vector<int>{good.get()}, options,
               /*close_then=*/false);
    EXPECT_EQ(absl::StatusCode::kUnavailable, status.code()) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("does not answer"));
  }
}

}  // namespace
}  // namespace anywire
