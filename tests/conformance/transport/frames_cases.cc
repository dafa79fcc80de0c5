// Frames arrive whole, unchanged and in order.
#include <algorithm>
#include <map>
#include <random>
#include <thread>

#include "gmock/gmock.h"
#include "tests/conformance/transport/transport_suite.h"
#include "tests/support/seed.h"

namespace anywire::test {
namespace {

TEST_P(TransportSuite, SizesAndStreamNumbersBothWays) {
  Pair pair = ConnectPair();
  const size_t max = pair.client->max_frame_size();
  std::vector<size_t> sizes = {1, 2, 126, 127, 128, 129, 1023, 1024, 1025};
  if (!in_pieces()) {
    for (size_t size : {16383u, 16384u, 65535u}) {
      if (size < max - 1) sizes.push_back(size);
    }
    sizes.push_back(max - 1);
    sizes.push_back(max);
  }
  const std::vector<uint64_t> streams = {0, 1, 127, 128, 1u << 14, uint64_t{1} << 63, UINT64_MAX};
  for (bool to_server : {true, false}) {
    Peer& from = to_server ? *pair.client : *pair.server;
    Peer& to = to_server ? *pair.server : *pair.client;
    for (size_t i = 0; i < sizes.size(); ++i) {
      const uint64_t stream = streams[i % streams.size()];
      const std::string bytes = Content(stream, i, sizes[i]);
      ASSERT_TRUE(from.Send(stream, bytes).ok());
      EXPECT_EQ((Frame{stream, bytes}), to.ReceiveOne().value_or(Frame{})) << sizes[i];
    }
    for (uint64_t stream : streams) {
      ASSERT_TRUE(from.Send(stream, "x").ok());
      EXPECT_EQ((Frame{stream, "x"}), to.ReceiveOne().value_or(Frame{})) << stream;
    }
  }
}

TEST_P(TransportSuite, FramesOfOneStreamKeepTheirOrder) {
  Pair pair = ConnectPair();
  std::mt19937_64 random(TestSeed(1));
  const uint64_t count = in_pieces() ? 300 : 20'000;
  constexpr uint64_t kStreams = 8;
  std::vector<Frame> sent;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t stream = random() % kStreams;
    sent.push_back({stream, Content(stream, i, 1 + random() % 100)});
  }
  std::thread sender([&pair, &sent] {
    for (const Frame& frame : sent) {
      ASSERT_TRUE(pair.client->Send(frame.stream, frame.bytes).ok());
    }
  });
  std::vector<Frame> received;
  absl::Status status = pair.server->Receive(count, received);
  sender.join();
  ASSERT_TRUE(status.ok()) << status;
  if (!pair.client->connection().info().ordered_across_streams) {
    const auto by_stream = [](const Frame& a, const Frame& b) { return a.stream < b.stream; };
    std::stable_sort(sent.begin(), sent.end(), by_stream);
    std::stable_sort(received.begin(), received.end(), by_stream);
  }
  EXPECT_EQ(sent, received);
}

TEST_P(TransportSuite, FramesPublishedTogetherArriveTogetherOrNot) {
  Pair pair = ConnectPair();
  for (uint64_t round = 0; round < 20; ++round) {
    for (uint64_t i = 0; i < 10; ++i) {
      ASSERT_TRUE(pair.client->TryWrite(3, Content(3, i, i + 1)));
    }
    ASSERT_TRUE(pair.client->Transmit().ok());
    std::vector<Frame> received;
    ASSERT_TRUE(pair.server->Receive(10, received).ok());
    ASSERT_EQ(10u, received.size());
    for (uint64_t i = 0; i < 10; ++i) EXPECT_EQ(Content(3, i, i + 1), received[i].bytes);
  }
}

// Among frames that are filled, and before and behind them.
TEST_P(TransportSuite, FramesThatHaveBeenWrittenAlreadyKeepTheirPlaces) {
  Pair pair = ConnectPair();
  const size_t max = in_pieces() ? 2000 : pair.client->max_frame_size();
  std::vector<size_t> sizes = {1, 1000, max};
  for (const size_t size : {64u << 10, (68u << 10) - 1, 68u << 10, (68u << 10) + 1}) {
    if (size < max) sizes.push_back(size);
  }
  std::mt19937_64 random(TestSeed(2));
  for (uint64_t round = 0; round < 20; ++round) {
    std::vector<std::string> sent(1 + random() % 6);
    for (size_t i = 0; i < sent.size(); ++i) {
      sent[i] = Content(3, 10 * round + i, sizes[random() % sizes.size()]);
    }
    std::thread sender([&pair, &sent, seed = random()] {
      std::mt19937_64 ways(seed);
      for (const std::string& text : sent) {
        const size_t offset = ways() % 100;
        MessageMemory memory = MemoryWith(text, offset);
        SharedMessageMemory shared = MemoryWith(text, offset);
        const size_t head = 1 + ways() % std::min<size_t>(text.size(), 20);
        for (;;) {
          const int before = pair.client->writable_calls();
          const uint64_t way = ways() % 3;
          if (way == 0   ? pair.client->TryWrite(3, text)
              : way == 1 ? pair.client->TryAdd(3, memory, offset, text.size())
                         : pair.client->TryAddPiece(3, text.substr(0, head), shared, offset + head,
                                                    text.size() - head)) {
            break;
          }
          ASSERT_TRUE(pair.client->Transmit().ok());
          ASSERT_TRUE(pair.client->WaitForWritableCalls(before + 1));
        }
        if (ways() % 2 == 0) {
          ASSERT_TRUE(pair.client->Transmit().ok());
        }
      }
      ASSERT_TRUE(pair.client->Transmit().ok());
    });
    std::vector<Frame> received;
    const absl::Status status = pair.server->Receive(sent.size(), received);
    sender.join();
    ASSERT_TRUE(status.ok()) << status;
    for (size_t i = 0; i < sent.size(); ++i) ASSERT_EQ(sent[i], received[i].bytes) << i;
  }
}

TEST_P(TransportSuite, WhatIsNotPublishedStays) {
  Pair pair = ConnectPair();
  Connection& connection = pair.client->connection();
  ASSERT_TRUE(pair.client->Send(1, "published").ok());
  EXPECT_EQ((Frame{1, "published"}), pair.server->ReceiveOne().value_or(Frame{}));
  if (in_pieces()) return;  // its Transmit may still be under way
  absl::Span<uint8_t> room = connection.NewFrame(1, 5);
  std::copy_n("later", 5, room.begin());
  ASSERT_TRUE(connection.Transmit().ok());
  absl::StatusOr<absl::Span<const ReceivedFrame>> nothing = pair.server->connection().Receive(
      std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
  ASSERT_TRUE(nothing.ok()) << nothing.status();
  EXPECT_TRUE(nothing->empty());
  EXPECT_TRUE(connection.Publish());
  ASSERT_TRUE(pair.client->Transmit().ok());
  EXPECT_EQ((Frame{1, "later"}), pair.server->ReceiveOne().value_or(Frame{}));
}

TEST_P(TransportSuite, TransmitWithNothingToDoIsOk) {
  Pair pair = ConnectPair();
  EXPECT_FALSE(pair.client->connection().Publish());
  EXPECT_TRUE(pair.client->connection().Transmit().ok());
  ASSERT_TRUE(pair.client->Send(1, "x").ok());
  EXPECT_EQ((Frame{1, "x"}), pair.server->ReceiveOne().value_or(Frame{}));
  if (in_pieces()) return;  // the rest of a Transmit may still be under way
  EXPECT_FALSE(pair.client->connection().Publish());
  EXPECT_TRUE(pair.client->connection().Transmit().ok());
}

// Bytes are as they were filled, not as the filler's memory is later: frames filled while others
// are under way do not disturb those.
TEST_P(TransportSuite, FillingRunsBesideTransmitting) {
  Pair pair = ConnectPair();
  const uint64_t count = in_pieces() ? 100 : 4000;
  std::thread filler([&pair, count] {
    for (uint64_t i = 0; i < count; ++i) {
      const std::string bytes = Content(i % 3, i, 1 + i * 37 % 1000);
      for (;;) {
        const int before = pair.client->writable_calls();
        if (pair.client->TryWrite(i % 3, bytes)) break;
        ASSERT_TRUE(pair.client->WaitForWritableCalls(before + 1));
      }
    }
  });
  std::atomic<bool> done{false};
  std::thread transmitter([&pair, &done] {
    while (!done) ASSERT_TRUE(pair.client->Transmit().ok());
  });
  std::vector<Frame> received;
  absl::Status status = pair.server->Receive(count, received);
  done = true;
  filler.join();
  transmitter.join();
  ASSERT_TRUE(status.ok()) << status;
  std::map<uint64_t, uint64_t> next = {{0, 0}, {1, 1}, {2, 2}};
  for (const Frame& frame : received) {
    const uint64_t i = next[frame.stream];
    next[frame.stream] += 3;
    ASSERT_EQ(Content(frame.stream, i, 1 + i * 37 % 1000), frame.bytes);
  }
}

TEST_P(TransportSuite, BothDirectionsAtOnce) {
  Pair pair = ConnectPair();
  const uint64_t count = in_pieces() ? 60 : 3000;
  const auto size = [this](uint64_t i) { return 1 + i * 131 % (in_pieces() ? 100 : 5000); };
  std::vector<std::thread> threads;
  for (Peer* peer : {pair.client.get(), pair.server.get()}) {
    threads.emplace_back([peer, count, size] {
      for (uint64_t i = 0; i < count; ++i) {
        ASSERT_TRUE(peer->Send(7, Content(7, i, size(i))).ok());
      }
    });
    threads.emplace_back([peer, count, size] {
      std::vector<Frame> received;
      absl::Status status = peer->Receive(count, received);
      ASSERT_TRUE(status.ok()) << status;
      for (uint64_t i = 0; i < count; ++i) ASSERT_EQ(Content(7, i, size(i)), received[i].bytes);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Several threads send on one connection under their owner's lock.
TEST_P(TransportSuite, ManySenders) {
  Pair pair = ConnectPair();
  constexpr uint64_t kThreads = 4;
  const uint64_t each = in_pieces() ? 30 : 2000;
  std::vector<std::thread> threads;
  for (uint64_t stream = 0; stream < kThreads; ++stream) {
    threads.emplace_back([&pair, stream, each] {
      for (uint64_t i = 0; i < each; ++i) {
        ASSERT_TRUE(pair.client->Send(stream, Content(stream, i, 1 + i % 200)).ok());
      }
    });
  }
  std::vector<Frame> received;
  absl::Status status = pair.server->Receive(kThreads * each, received);
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(status.ok()) << status;
  std::vector<uint64_t> next(kThreads, 0);
  for (const Frame& frame : received) {
    ASSERT_LT(frame.stream, kThreads);
    const uint64_t i = next[frame.stream]++;
    ASSERT_EQ(Content(frame.stream, i, 1 + i % 200), frame.bytes);
  }
}

}  // namespace
}  // namespace anywire::test
