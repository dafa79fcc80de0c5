// Abort, destruction and death, at every stage and from every thread.
#include <atomic>
#include <random>
#include <thread>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "tests/conformance/transport/transport_suite.h"
#include "tests/support/seed.h"

namespace anywire::test {
namespace {

using ::testing::HasSubstr;

TEST_P(TransportSuite, WhatWasTransmittedComesBeforeTheEnd) {
  for (bool destroy : {false, true}) {
    Pair pair = ConnectPair();
    const uint64_t count = 50;
    for (uint64_t i = 0; i < count; ++i) {
      ASSERT_TRUE(pair.client->Send(1, Content(1, i, 100)).ok());
    }
    if (in_pieces()) {
      // Here Transmit leaves bytes to be sent later, which an end would drop.
      std::vector<Frame> received;
      ASSERT_TRUE(pair.server->Receive(count, received).ok());
    }
    if (destroy) {
      pair.client->Destroy();
    } else {
      pair.client->connection().Abort();
      pair.client->connection().Abort();
    }
    std::vector<Frame> received;
    absl::Status end = pair.server->Receive(SIZE_MAX, received);
    if (!in_pieces()) {
      ASSERT_EQ(count, received.size());
      for (uint64_t i = 0; i < count; ++i) EXPECT_EQ(Content(1, i, 100), received[i].bytes);
    }
    EXPECT_EQ(absl::StatusCode::kUnavailable, end.code());
    EXPECT_THAT(std::string(end.message()), HasSubstr("closed by peer"));
    EXPECT_EQ(end, pair.server->ReceiveEnd()) << "an error is final";
  }
}

// A goodbye reaches a peer although it has sent what will never be read.
TEST_P(TransportSuite, GoodbyeIsReadDespiteUnreadFrames) {
  Pair pair = ConnectPair();
  for (uint64_t i = 0; i < 20; ++i) ASSERT_TRUE(pair.client->Send(1, Content(1, i, 50)).ok());
  ASSERT_TRUE(pair.server->Send(0, "goodbye").ok());
  if (in_pieces()) {
    EXPECT_EQ("goodbye", pair.client->ReceiveOne().value_or(Frame{}).bytes);
  }
  pair.server->Destroy();
  if (!in_pieces()) {
    EXPECT_EQ("goodbye", pair.client->ReceiveOne().value_or(Frame{}).bytes);
  }
  EXPECT_EQ(absl::StatusCode::kUnavailable, pair.client->ReceiveEnd().code());
}

TEST_P(TransportSuite, AbortWakesAWaitingReceive) {
  for (Instant limit : {Instant::max(), Patience(), Patience()}) {
    Pair pair = ConnectPair();
    std::thread aborter([&pair] { pair.server->connection().Abort(); });
    absl::Status status;
    while (status.ok()) status = pair.server->connection().Receive(limit).status();
    aborter.join();
    EXPECT_EQ(absl::StatusCode::kUnavailable, status.code());
    EXPECT_EQ(absl::StatusCode::kUnavailable,
              pair.server->connection().Receive(Instant::max()).status().code());
    EXPECT_EQ(absl::StatusCode::kUnavailable, pair.server->connection().Transmit().code());
    EXPECT_EQ(absl::StatusCode::kUnavailable, pair.client->ReceiveEnd().code());
  }
}

TEST_P(TransportSuite, PeerWakesAWaitingReceive) {
  Pair pair = ConnectPair();
  std::thread ender([&pair] { pair.client->Destroy(); });
  absl::StatusOr<absl::Span<const ReceivedFrame>> frames =
      pair.server->connection().Receive(Instant::max());
  ender.join();
  EXPECT_EQ(absl::StatusCode::kUnavailable, frames.status().code());
}

TEST_P(TransportSuite, SendingToOneWhoIsGoneFails) {
  Pair pair = ConnectPair();
  pair.server->Destroy();
  absl::Status status;
  for (int i = 0; status.ok() && i < 100'000; ++i) status = pair.client->Send(1, "anybody there?");
  EXPECT_EQ(absl::StatusCode::kUnavailable, status.code()) << status;
  EXPECT_EQ(status, pair.client->connection().Transmit()) << "an error is final";
}

// A connection that has failed on our side does not tell its end as if it were the peer's.
TEST_P(TransportSuite, OwnAbortIsTold) {
  Pair pair = ConnectPair();
  pair.client->connection().Abort();
  EXPECT_THAT(std::string(pair.client->connection().Receive(Instant::min()).status().message()),
              HasSubstr("aborted on this side"));
}

TEST_P(TransportSuite, DestroyedInEveryState) {
  using Prepare = std::function<void(Pair&)>;
  const std::vector<Prepare> states = {
      [](Pair&) {},
      [](Pair& pair) { pair.client->connection().NewFrame(1, 10); },
      [](Pair& pair) { pair.client->TryWrite(1, "published"); },
      [](Pair& pair) { ASSERT_TRUE(pair.client->Send(1, "transmitted").ok()); },
      [](Pair& pair) { pair.client->connection().WatchReadable(true); },
      [](Pair& pair) { pair.server->connection().WatchReadable(true); },
      [](Pair& pair) {
        pair.client->connection().WatchReadable(true);
        pair.server->connection().Abort();
      },
      [](Pair& pair) {
        pair.client->connection().WatchReadable(true);
        ASSERT_TRUE(pair.server->Send(1, "unread").ok());
      },
      [](Pair& pair) {
        ASSERT_TRUE(pair.server->Send(1, "held").ok());
        ASSERT_TRUE(pair.client->connection().Receive(Patience()).ok());
      },
      [](Pair& pair) { pair.client->connection().Abort(); },
      [](Pair& pair) {
        pair.client->connection().Abort();
        pair.client->connection().WatchReadable(true);
      },
      [](Pair& pair) {
        while (pair.client->TryWrite(1, Content(1, 1, 1000))) {
          ASSERT_TRUE(pair.client->Transmit().ok());
        }
      },
      [](Pair& pair) { pair.server->Destroy(); },
  };
  for (const Prepare& prepare : states) {
    for (bool client_first : {true, false}) {
      Pair pair = ConnectPair();
      prepare(pair);
      (client_first ? pair.client : pair.server)->Destroy();
      (client_first ? pair.server : pair.client)->Destroy();
    }
  }
}

TEST_P(TransportSuite, DestroyedInsideItsOwnEvents) {
  // By readable.
  Pair pair = ConnectPair();
  absl::Notification gone;
  Peer* server = pair.server.get();
  server_loop().RunAndWait([&gone, server] {
    server->set_on_readable([&gone, server] {
      if (EventLoop::Current() != &server->loop() || gone.HasBeenNotified()) return;
      server->TakeConnection().reset();
      gone.Notify();
    });
  });
  pair.client->connection().Abort();
  pair.server->connection().WatchReadable(true);
  EXPECT_TRUE(gone.WaitForNotificationWithTimeout(absl::FromChrono(kPatience)));
  server_loop().RunAndWait([] {});
}

// Sending, receiving and watching go on in threads while another ends the connection.
TEST_P(TransportSuite, AbortAmidTraffic) {
  std::mt19937_64 random(TestSeed(2));
  for (int round = 0; round < 20; ++round) {
    Pair pair = ConnectPair();
    const int stop_after = 1 + static_cast<int>(random() % 300);
    std::atomic<int> frames{0};
    std::vector<std::thread> threads;
    for (Peer* peer : {pair.client.get(), pair.server.get()}) {
      threads.emplace_back([peer] {
        uint64_t i = 0;
        while (peer->Send(1, Content(1, i++, 200)).ok()) {
        }
      });
      threads.emplace_back([peer, &frames] {
        for (uint64_t i = 0;;) {
          absl::StatusOr<absl::Span<const ReceivedFrame>> received =
              peer->connection().Receive(Instant::max());
          if (!received.ok()) break;
          for (const ReceivedFrame& frame : *received) {
            ASSERT_EQ(Content(1, i++, 200), std::string(frame.bytes.begin(), frame.bytes.end()));
            ++frames;
          }
        }
        peer->connection().ReleaseFrames();
      });
    }
    Peer& ender = round % 2 == 0 ? *pair.client : *pair.server;
    const Instant deadline = Patience();
    while (frames < (in_pieces() ? 1 : stop_after) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    ender.connection().Abort();
    for (std::thread& thread : threads) thread.join();
    if (HasFailure()) return;
  }
}

TEST_P(TransportSuite, BothEndsAbortAtOnce) {
  for (int round = 0; round < 50; ++round) {
    Pair pair = ConnectPair();
    std::thread other([&pair] { pair.server->connection().Abort(); });
    pair.client->connection().Abort();
    other.join();
    EXPECT_FALSE(pair.client->connection().Receive(Instant::max()).ok());
    EXPECT_FALSE(pair.server->connection().Receive(Instant::max()).ok());
  }
}

}  // namespace
}  // namespace anywire::test
