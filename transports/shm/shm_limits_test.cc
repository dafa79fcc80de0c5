// The limits of listening and connections: each at it, below and above.
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transports/shm/hostile_fixture.h"

namespace anywire {
namespace {

using ::testing::HasSubstr;

class ShmLimitsTest : public ShmHostileTest {
 protected:
  // Waits until the other side has read all that was sent there.
  static void WaitUntilRead(int socket) {
    const Instant end = Patience();
    for (int unread = 1; unread != 0; std::this_thread::yield()) {
      ASSERT_EQ(0, ioctl(socket, SIOCOUTQ, &unread));
      ASSERT_LT(std::chrono::steady_clock::now(), end);
    }
  }
  static void SendFrame(const Hostile& hostile) {
    hostile.WriteHeader(0, 8, ShmFrameHeader::kFrame);
    hostile.out().tail.StoreSeqCst(24);
  }
};

TEST_F(ShmLimitsTest, RingSizeOfAListener) {
  const size_t page = static_cast<size_t>(getpagesize());
  const auto listen = [this](size_t ring_size) {
    ShmTransport transport;
    Transport::ListenOptions options;
    options.ring_size = ring_size;
    absl::Status status;
    loop_->RunAndWait([&] { status = transport.Listen(*loop_, path_, options).status(); });
    return status;
  };
  // The next power of two counts.
  for (const size_t good : {page / 2 + 1, page, page + 1, kLargestRing - 1, kLargestRing}) {
    EXPECT_TRUE(listen(good).ok()) << good << ": " << listen(good);
  }
  for (const size_t bad : {size_t{0}, size_t{1}, page / 2, kLargestRing + 1, 2 * kLargestRing}) {
    const absl::Status status = listen(bad);
    EXPECT_EQ(absl::StatusCode::kInvalidArgument, status.code()) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("allowed: powers of two from"));
  }
}

TEST_F(ShmLimitsTest, FrameSizeFollowsFromTheRing) {
  for (const auto& [ring_size, largest] : {std::pair<size_t, size_t>{4096, 2048 - 16},
                                           {4097, 4096 - 16},
                                           {128 << 10, (64 << 10) - 16},
                                           {kLargestRing, kLargestRing / 2 - 16}}) {
    Transport::ListenOptions listen;
    listen.ring_size = ring_size;
    Listen(Options(), listen);
    EXPECT_TRUE(ConnectStatus(Options()).ok());
    EXPECT_EQ(largest, Next().max_frame_size());
    StopListening();
  }
}

TEST_F(ShmLimitsTest, RingsThatWereAskedFor) {
  Listen(Options());
  for (const int rings : {0, 1, 2}) {
    const Hostile hostile = Handshake(ConnectTo(path_));
    Peer& server = NextThatAskedForARing();
    const std::string bytes(static_cast<size_t>(rings), '\0');
    if (rings > 0) {
      ASSERT_EQ(rings, send(hostile.socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }
    WaitUntilRead(hostile.socket.get());
    if (rings <= 1) {
      SendFrame(hostile);
      EXPECT_TRUE(server.ReceiveOne().ok()) << rings;
    } else {
      EXPECT_EQ(absl::StatusCode::kDataLoss, server.ReceiveEnd().code());
    }
  }
}

TEST_F(ShmLimitsTest, BytesOfThePreface) {
  Listen(Options());
  std::string bytes(reinterpret_cast<const char*>(kShmPreface), kPrefaceSize);
  bytes += '\0';  // one that nobody asked for
  for (const size_t size : {kPrefaceSize - 1, kPrefaceSize, kPrefaceSize + 1}) {
    ShmOptions options = Options();
    if (size < kPrefaceSize) options.handshake_timeout = std::chrono::milliseconds(200);
    StopListening();
    Listen(options);
    UniqueFd socket = ConnectTo(path_);
    ASSERT_EQ(static_cast<ssize_t>(size), send(socket.get(), bytes.data(), size, 0));
    if (size < kPrefaceSize) {
      EXPECT_TRUE(IsClosed(socket.get()));
      continue;
    }
    Peer& server = Next();
    if (size == kPrefaceSize) {
      EXPECT_TRUE(server.Send(1, "hello").ok());
    } else {
      EXPECT_EQ(absl::StatusCode::kDataLoss, server.ReceiveEnd().code());
    }
  }
}

// Without an Accept, so many get an offer all the same.
TEST_F(ShmLimitsTest, OffersAheadOfAccept) {
  constexpr int kReadyAhead = 16;
  ShmTransport transport(Options());
  std::unique_ptr<Listener> listener;
  loop_->RunAndWait([&] { listener = transport.Listen(*loop_, path_, {}).value(); });
  ShmOptions prompt = Options();
  prompt.handshake_timeout = std::chrono::milliseconds(200);
  std::vector<Hostile> ahead;
  while (ahead.size() < kReadyAhead) ahead.push_back(Handshake(ConnectTo(path_)));
  EXPECT_EQ(absl::StatusCode::kUnavailable, ConnectStatus(prompt).code());
  loop_->RunAndWait([&] { loop_->Detach(listener->Accept().ignoreResult(), "accepting one"); });
  ahead.push_back(Handshake(ConnectTo(path_)));
  loop_->RunAndWait([&] { listener.reset(); });
}

}  // namespace
}  // namespace anywire
