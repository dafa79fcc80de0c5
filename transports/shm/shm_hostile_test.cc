// A peer that breaks the rules ends its own connection, by a status that says why, and nothing
// else.
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <functional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "transports/shm/hostile_fixture.h"
#include "transports/shm/shm_frame.h"
#include "transports/shm/shm_handshake.h"

namespace anywire {
namespace {

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
  Peer& server = NextThatAskedForARing();
  const std::string rings(2, '\0');
  ASSERT_EQ(2, send(hostile.socket.get(), rings.data(), rings.size(), MSG_NOSIGNAL));
  EXPECT_EQ(absl::StatusCode::kDataLoss, server.ReceiveEnd().code());
  EXPECT_TRUE(IsClosed(hostile.socket.get()));
}

// The loop is woken by a byte out of band, and reads nothing.
TEST_F(ShmHostileTest, RingsOutOfBandThatNobodyAskedForAreDataLoss) {
  Listen(Options());
  const Hostile hostile = Handshake(ConnectTo(path_));
  Peer& server = NextThatAskedForARing();
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
  // How many still sleep. The kernel may wake a thread for nothing, which then goes back to sleep
  // in the lobby: all are counted from there.
  int Remaining() {
    Move(word_, &lobby_);
    return Move(&lobby_, word_);
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

}  // namespace
}  // namespace anywire
