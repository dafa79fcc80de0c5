// Receive: waiting, views, and being told instead of waiting.
#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "tests/conformance/transport/transport_suite.h"

namespace anywire::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST_P(TransportSuite, ReceiveInThePastDoesNotWait) {
  Pair pair = ConnectPair();
  for (Instant past : {Instant::min(), Instant(), steady_clock::now()}) {
    const Instant start = steady_clock::now();
    absl::StatusOr<absl::Span<const ReceivedFrame>> frames =
        pair.server->connection().Receive(past);
    ASSERT_TRUE(frames.ok()) << frames.status();
    EXPECT_TRUE(frames->empty());
    EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(10));
  }
}

TEST_P(TransportSuite, ReceiveWaitsUntilItsTime) {
  Pair pair = ConnectPair();
  // In an order in which what one wait has set up is wrong for the next.
  for (int ms : {3, 60, 8, 9, 10, 11, 25, 120, 30, 15, 1}) {
    const Instant start = steady_clock::now();
    const Instant deadline = start + milliseconds(ms);
    absl::StatusOr<absl::Span<const ReceivedFrame>> frames =
        pair.server->connection().Receive(deadline);
    const Instant end = steady_clock::now();
    ASSERT_TRUE(frames.ok()) << frames.status();
    EXPECT_TRUE(frames->empty());
    EXPECT_GE(end, deadline - milliseconds(1)) << ms;
    EXPECT_LT(end, deadline + std::chrono::seconds(10)) << ms;
  }
}

TEST_P(TransportSuite, WaitingReceiveIsWoken) {
  Pair pair = ConnectPair();
  for (int i = 0; i < 50; ++i) {
    // Long limits, short ones that pass before anything comes, and none.
    const Instant limit = i % 3 == 0 ? Instant::max() : i % 3 == 1 ? Patience() : Instant::min();
    std::thread sender([&pair, i] { ASSERT_TRUE(pair.client->Send(i, Content(i, 0, 20)).ok()); });
    std::vector<ReceivedFrame> received;
    std::string bytes;
    while (bytes.empty()) {
      absl::StatusOr<absl::Span<const ReceivedFrame>> frames =
          pair.server->connection().Receive(limit);
      ASSERT_TRUE(frames.ok()) << frames.status();
      for (const ReceivedFrame& frame : *frames)
        bytes.assign(frame.bytes.begin(), frame.bytes.end());
    }
    sender.join();
    EXPECT_EQ(Content(i, 0, 20), bytes);
  }
}

// Both ends block, each in its own thread; nobody's loop takes part.
TEST_P(TransportSuite, PingPongOfBlockedThreads) {
  Pair pair = ConnectPair();
  const int rounds = in_pieces() ? 30 : 3000;
  std::thread server([&pair, rounds] {
    for (int i = 0; i < rounds; ++i) {
      absl::StatusOr<Frame> frame = pair.server->ReceiveOne();
      ASSERT_TRUE(frame.ok()) << frame.status();
      ASSERT_TRUE(pair.server->Send(frame->stream, frame->bytes).ok());
    }
  });
  for (int i = 0; i < rounds; ++i) {
    ASSERT_TRUE(pair.client->Send(i, Content(i, 0, 64)).ok());
    EXPECT_EQ((Frame{static_cast<uint64_t>(i), Content(i, 0, 64)}),
              pair.client->ReceiveOne().value_or(Frame{}));
  }
  server.join();
}

// Nested calls inside one process receive on one connection while the frames of another are held.
TEST_P(TransportSuite, ViewsLiveThroughReceivesOfOtherConnections) {
  constexpr int kConnections = 12;
  std::vector<Pair> pairs;
  std::vector<absl::Span<const ReceivedFrame>> held;
  const size_t size = in_pieces() ? 100 : 1000;
  for (int i = 0; i < kConnections; ++i) {
    pairs.push_back(ConnectPair());
    ASSERT_TRUE(pairs[i].client->Send(i, Content(i, 0, size)).ok());
    absl::StatusOr<absl::Span<const ReceivedFrame>> frames = absl::Span<const ReceivedFrame>();
    while (frames.ok() && frames->empty()) {
      frames = pairs[i].server->connection().Receive(Patience());
    }
    ASSERT_TRUE(frames.ok()) << frames.status();
    held.push_back(*frames);
    // Sending on the same connection does not touch them either.
    ASSERT_TRUE(pairs[i].server->Send(1, Content(1, 1, size)).ok());
  }
  for (uint64_t i = 0; i < kConnections; ++i) {
    ASSERT_EQ(1u, held[i].size());
    const std::string bytes(held[i][0].bytes.begin(), held[i][0].bytes.end());
    EXPECT_EQ(Content(i, 0, size), bytes);
    pairs[i].server->connection().ReleaseFrames();
    pairs[i].server->connection().ReleaseFrames();
  }
}

TEST_P(TransportSuite, FramesMayBeReleasedByAnotherThread) {
  Pair pair = ConnectPair();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(pair.client->Send(1, Content(1, i, 100)).ok());
    absl::StatusOr<absl::Span<const ReceivedFrame>> frames = absl::Span<const ReceivedFrame>();
    while (frames.ok() && frames->empty()) {
      frames = pair.server->connection().Receive(Patience());
    }
    ASSERT_TRUE(frames.ok()) << frames.status();
    std::thread other([&pair, &frames, i] {
      EXPECT_EQ(Content(1, i, 100),
                std::string((*frames)[0].bytes.begin(), (*frames)[0].bytes.end()));
      pair.server->connection().ReleaseFrames();
    });
    other.join();
  }
}

TEST_P(TransportSuite, ReadableIsToldForWhatWasThereBefore) {
  Pair pair = ConnectPair();
  ASSERT_TRUE(pair.client->Send(1, "early").ok());
  EXPECT_EQ(0, pair.server->readable_calls());
  pair.server->connection().WatchReadable(true);
  EXPECT_TRUE(pair.server->WaitForReadableCalls(1));
  pair.server->connection().WatchReadable(false);
  EXPECT_EQ((Frame{1, "early"}), pair.server->ReceiveOne().value_or(Frame{}));
}

TEST_P(TransportSuite, ReadableIsToldForWhatComes) {
  Pair pair = ConnectPair();
  pair.server->connection().WatchReadable(true);
  ASSERT_TRUE(pair.client->Send(1, "late").ok());
  EXPECT_TRUE(pair.server->WaitForReadableCalls(1));
  pair.server->connection().WatchReadable(false);
  EXPECT_EQ((Frame{1, "late"}), pair.server->ReceiveOne().value_or(Frame{}));
}

TEST_P(TransportSuite, ReadableRepeatsWhileItHolds) {
  Pair pair = ConnectPair();
  pair.server->connection().WatchReadable(true);
  ASSERT_TRUE(pair.client->Send(1, "unread").ok());
  EXPECT_TRUE(pair.server->WaitForReadableCalls(5));
  pair.server->connection().WatchReadable(false);
  // One call may still be on its way; behind two rounds of the loop there is none.
  for (int i = 0; i < 2; ++i) server_loop().RunAndWait([] {});
  const int calls = pair.server->readable_calls();
  for (int i = 0; i < 5; ++i) server_loop().RunAndWait([] {});
  EXPECT_EQ(calls, pair.server->readable_calls());
  EXPECT_EQ((Frame{1, "unread"}), pair.server->ReceiveOne().value_or(Frame{}));
}

TEST_P(TransportSuite, UnwatchedIsSilent) {
  Pair pair = ConnectPair();
  ASSERT_TRUE(pair.client->Send(1, "x").ok());
  if (!in_pieces()) pair.client->Destroy();  // it would not have sent all yet
  for (int i = 0; i < 5; ++i) server_loop().RunAndWait([] {});
  EXPECT_EQ(0, pair.server->readable_calls());
  EXPECT_EQ((Frame{1, "x"}), pair.server->ReceiveOne().value_or(Frame{}));
}

TEST_P(TransportSuite, ReadableIsToldForTheEnd) {
  Pair pair = ConnectPair();
  pair.server->connection().WatchReadable(true);
  pair.client->connection().Abort();
  EXPECT_TRUE(pair.server->WaitForReadableCalls(1));
  pair.server->connection().WatchReadable(false);
  EXPECT_EQ(absl::StatusCode::kUnavailable, pair.server->ReceiveEnd().code());

  pair = ConnectPair();
  pair.server->connection().WatchReadable(true);
  pair.server->connection().Abort();  // its own end too
  EXPECT_TRUE(pair.server->WaitForReadableCalls(1));
  pair.server->connection().WatchReadable(false);
}

// Both ends live on events alone and answer inside OnReadable; a transport that delivers
// synchronously goes round in one call stack.
TEST_P(TransportSuite, PingPongInsideEvents) {
  Ends ends = ConnectEnds();
  Peer client(client_loop(), std::move(ends.client));
  Peer server(server_loop(), std::move(ends.server));
  const int rounds = in_pieces() ? 30 : 2000;
  absl::Notification done;
  std::atomic<int> returned{0};
  const auto answer = [&done, &returned, rounds](Peer& peer, bool count) {
    for (;;) {
      absl::StatusOr<absl::Span<const ReceivedFrame>> frames =
          peer.connection().Receive(Instant::min());
      ASSERT_TRUE(frames.ok()) << frames.status();
      if (frames->empty()) break;
      for (const ReceivedFrame& frame : *frames) {
        const std::string bytes(frame.bytes.begin(), frame.bytes.end());
        if (count && ++returned == rounds) {
          done.Notify();
          return;
        }
        ASSERT_TRUE(peer.TryWrite(frame.stream, bytes));
      }
    }
    peer.connection().ReleaseFrames();
    EXPECT_TRUE(peer.Transmit().ok());
  };
  client.set_on_readable([&answer, &client] { answer(client, true); });
  server.set_on_readable([&answer, &server] { answer(server, false); });
  client.connection().WatchReadable(true);
  server.connection().WatchReadable(true);
  ASSERT_TRUE(client.Send(5, "round").ok());
  EXPECT_TRUE(done.WaitForNotificationWithTimeout(absl::FromChrono(kPatience)));
  client.connection().WatchReadable(false);
  server.connection().WatchReadable(false);
  client.Destroy();
  server.Destroy();
}

}  // namespace
}  // namespace anywire::test
