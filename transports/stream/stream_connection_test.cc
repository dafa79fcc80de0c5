// What a byte stream adds to the seam, on one end of a socket pair whose other end is raw.
// tests/conformance has what every transport must do.
#include "transports/stream/stream_connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transports/stream/framing.h"

namespace anywire {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

class Hearer final : public Connection::Events {
 public:
  void OnReadable() override { ++readable; }
  void OnWritable() override { ++writable; }
  std::atomic<int> readable{0}, writable{0};
};

std::string Encoded(uint64_t stream, const std::string& body) {
  uint8_t header[kMaxFrameHeaderSize];
  const uint8_t* end = WriteFrameHeader(stream, body.size(), header);
  return std::string(static_cast<const uint8_t*>(header), end) + body;
}

class StreamConnectionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int fds[2];
    ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    raw_ = UniqueFd(fds[1]);
    fd_ = fds[0];
    ASSERT_TRUE(spoil_watch_ == nullptr || loop_.AddWatch(fd_, 0, *spoil_watch_).ok());
    connection_ =
        std::make_unique<StreamConnection>(loop_, UniqueFd(fds[0]), ConnectionInfo{}, options_);
    connection_->Start(hearer_);
  }
  void TearDown() override {
    loop_.RunAndWait([this] {
      if (spoil_watch_) loop_.RemoveWatch(fd_, *spoil_watch_);
      connection_.reset();
    });
  }

  void WriteRaw(const std::string& bytes) {
    ASSERT_EQ(static_cast<ssize_t>(bytes.size()),
              send(raw_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }
  // The bodies received now, or the error.
  absl::StatusOr<std::vector<std::string>> Receive(Instant wait_until = Instant::min()) {
    absl::StatusOr<absl::Span<const ReceivedFrame>> frames = connection_->Receive(wait_until);
    if (!frames.ok()) return frames.status();
    std::vector<std::string> bodies;
    for (const ReceivedFrame& frame : *frames) {
      bodies.emplace_back(frame.bytes.begin(), frame.bytes.end());
    }
    connection_->ReleaseFrames();
    return bodies;
  }

  using Bodies = std::vector<std::string>;
  StreamOptions options_;
  EventLoop::Watch* spoil_watch_ = nullptr;
  EventLoop loop_{"stream"};
  Hearer hearer_;
  UniqueFd raw_;
  int fd_ = -1;
  std::unique_ptr<StreamConnection> connection_;
};

TEST_F(StreamConnectionTest, FrameInPiecesIsGivenWhenItIsWhole) {
  const std::string bytes = Encoded(5, "hello") + Encoded(6, "you");
  for (size_t i = 0; i < bytes.size(); ++i) {
    WriteRaw(bytes.substr(i, 1));
    absl::StatusOr<Bodies> bodies = Receive();
    ASSERT_TRUE(bodies.ok());
    if (i == 6) {
      EXPECT_EQ(Bodies{"hello"}, *bodies);
    } else if (i + 1 == bytes.size()) {
      EXPECT_EQ(Bodies{"you"}, *bodies);
    } else {
      EXPECT_EQ(Bodies{}, *bodies);
    }
  }
}

TEST_F(StreamConnectionTest, WaitingReceiveWaitsForTheRestOfAFrame) {
  const std::string bytes = Encoded(5, std::string(30'000, 'x'));
  WriteRaw(bytes.substr(0, 10'000));
  EXPECT_EQ(Bodies{}, *Receive(steady_clock::now() + milliseconds(15)));
  std::thread sender([this, &bytes] {
    for (size_t at = 10'000; at < bytes.size(); at += 1000) WriteRaw(bytes.substr(at, 1000));
  });
  // Without a limit, and without an end to a frame there would be none.
  EXPECT_EQ(Bodies{std::string(30'000, 'x')}, Receive(Instant::max()).value_or(Bodies{}));
  sender.join();
}

TEST_F(StreamConnectionTest, PeerThatVanishesInAFrame) {
  WriteRaw(Encoded(1, "whole") + Encoded(2, "cut").substr(0, 3));
  raw_.Reset();
  EXPECT_EQ(Bodies{"whole"}, *Receive());
  const absl::Status end = Receive(Instant::max()).status();
  EXPECT_EQ(absl::StatusCode::kUnavailable, end.code());
  EXPECT_THAT(std::string(end.message()), HasSubstr("in the middle of a frame"));
  EXPECT_EQ(end, Receive().status());
}

TEST_F(StreamConnectionTest, BadBytesAreDataLossAfterTheFramesBeforeThem) {
  WriteRaw(Encoded(1, "good") + std::string("\0", 1) + Encoded(2, "after"));
  EXPECT_EQ(Bodies{"good"}, *Receive());
  for (int i = 0; i < 2; ++i) {
    const absl::Status error = Receive(Instant::max()).status();
    EXPECT_EQ(absl::StatusCode::kDataLoss, error.code());
    EXPECT_THAT(std::string(error.message()), HasSubstr("empty"));
  }
  // The reason may still be told.
  const absl::Span<uint8_t> room = connection_->NewFrame(0, 1);
  room[0] = 'e';
  connection_->Publish();
  EXPECT_TRUE(connection_->Transmit().ok());
  char bytes[10];
  EXPECT_EQ(3, recv(raw_.get(), bytes, sizeof(bytes), 0));
}

// Over TCP there is nothing else to tell it: a peer that only shuts its socket down keeps what was
// sent, and its window closed.
TEST_F(StreamConnectionTest, WhoWaitsForRoomHearsThatThePeerSendsNoMore) {
  for (;;) {
    const absl::Span<uint8_t> frame = connection_->NewFrame(1, 10'000);
    if (frame.data() == nullptr) break;
    std::memset(frame.data(), 'x', frame.size());
    if (!connection_->Publish()) continue;
    ASSERT_TRUE(connection_->Transmit().ok());
  }
  EXPECT_EQ(hearer_.writable, 0);
  ASSERT_EQ(shutdown(raw_.get(), SHUT_WR), 0);
  const Instant limit = steady_clock::now() + std::chrono::seconds(30);
  while (hearer_.writable == 0 && steady_clock::now() < limit) std::this_thread::yield();
  EXPECT_EQ(hearer_.writable, 1);
  EXPECT_TRUE(connection_->Publish());
  EXPECT_EQ(connection_->Transmit().code(), absl::StatusCode::kUnavailable);
}

// Fills the transport: more than the socket takes.
void Fill(StreamConnection& connection) {
  for (;;) {
    const absl::Span<uint8_t> frame = connection.NewFrame(1, 10'000);
    if (frame.data() == nullptr) return;
    std::memset(frame.data(), 'x', frame.size());
  }
}

TEST_F(StreamConnectionTest, TransmitUntilWaitsForThePeerToTakeAll) {
  // So small that it has to wait many times.
  constexpr int kSocketBuffer = 8192;
  ASSERT_EQ(0, setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof(kSocketBuffer)));
  Fill(*connection_);
  std::atomic<size_t> taken{0};
  std::thread peer([this, &taken] {
    char bytes[1000];
    for (ssize_t size; (size = recv(raw_.get(), bytes, sizeof(bytes), 0)) > 0;) {
      taken += static_cast<size_t>(size);
    }
  });
  ASSERT_TRUE(connection_->Publish());
  EXPECT_TRUE(connection_->TransmitUntil(Instant::max()).ok());
  EXPECT_FALSE(connection_->Publish());  // nothing is left
  EXPECT_EQ(hearer_.writable, 1);        // of the room that Fill did not find, and no more
  connection_->Abort();
  peer.join();
  EXPECT_GE(taken, options_.max_unsent - 10'100);
}

TEST_F(StreamConnectionTest, TransmitUntilLeavesToOnWritableWhatIsNotTakenInTime) {
  Fill(*connection_);
  ASSERT_TRUE(connection_->Publish());
  EXPECT_TRUE(connection_->TransmitUntil(steady_clock::now() + milliseconds(5)).ok());
  const int before = hearer_.writable;
  EXPECT_FALSE(connection_->Publish());  // blocked
  std::string bytes(1 << 20, '\0');
  const Instant limit = steady_clock::now() + std::chrono::seconds(30);
  while (hearer_.writable == before && steady_clock::now() < limit) {
    recv(raw_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    std::this_thread::yield();
  }
  EXPECT_GT(hearer_.writable, before);
  EXPECT_TRUE(connection_->Publish());
}

TEST_F(StreamConnectionTest, AbortEndsAWaitingTransmitUntil) {
  Fill(*connection_);
  ASSERT_TRUE(connection_->Publish());
  std::thread aborter([this] { connection_->Abort(); });
  EXPECT_EQ(connection_->TransmitUntil(Instant::max()).code(), absl::StatusCode::kUnavailable);
  aborter.join();
}

TEST_F(StreamConnectionTest, TransmitUntilHearsThatThePeerSendsNoMore) {
  Fill(*connection_);
  ASSERT_TRUE(connection_->Publish());
  std::thread peer([this] { shutdown(raw_.get(), SHUT_WR); });
  EXPECT_EQ(connection_->TransmitUntil(Instant::max()).code(), absl::StatusCode::kUnavailable);
  peer.join();
}

TEST_F(StreamConnectionTest, OneReceiveTakesManyFramesAndSendTakesThemAtOnce) {
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += Encoded(1, "x");
  WriteRaw(bytes);
  EXPECT_EQ(100u, Receive()->size());
  for (int i = 0; i < 100; ++i) connection_->NewFrame(1, 1)[0] = 'x';
  connection_->Publish();
  EXPECT_TRUE(connection_->Transmit().ok());
  char received[1000];
  EXPECT_EQ(static_cast<ssize_t>(bytes.size()), recv(raw_.get(), received, sizeof(received), 0));
}

class SmallFramesTest : public StreamConnectionTest {
 protected:
  SmallFramesTest() { options_.max_frame_size = 1024; }
};

TEST_F(SmallFramesTest, LimitIsKeptOnReceiving) {
  EXPECT_EQ(1024u, connection_->info().max_frame_size);
  WriteRaw(Encoded(1, std::string(1023, 'x')) + Encoded(1, std::string(1024, 'x')));
  EXPECT_EQ(2u, Receive()->size());
  WriteRaw(Encoded(1, std::string(1025, 'x')).substr(0, 2));  // its length alone
  EXPECT_EQ(absl::StatusCode::kDataLoss, Receive().status().code());
}

class NullWatch final : public EventLoop::Watch {
  void OnReady(uint32_t) override {}
};

// The kernel refuses to watch the descriptor (here because it is watched already).
class RefusedWatchTest : public StreamConnectionTest {
 protected:
  RefusedWatchTest() { spoil_watch_ = &null_watch_; }
  NullWatch null_watch_;
};

TEST_F(RefusedWatchTest, OwnerHearsOfReadinessAllTheSame) {
  const Instant deadline = steady_clock::now() + std::chrono::seconds(20);
  connection_->WatchReadable(true);
  WriteRaw(Encoded(1, "x"));
  while (hearer_.readable < 3 && steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_GE(hearer_.readable, 3);
  connection_->WatchReadable(false);
  EXPECT_EQ(Bodies{"x"}, *Receive());
}

}  // namespace
}  // namespace anywire
