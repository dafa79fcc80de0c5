// A peer that does not read: sending finds an end, and begins again.
#include <atomic>
#include <cstring>
#include <thread>

#include "gmock/gmock.h"
#include "tests/conformance/transport/transport_suite.h"

namespace anywire::test {
namespace {

// More than any transport may hold: the system's socket buffers are the largest part.
constexpr size_t kTooMuch = 256 << 20;

// Sends frames of `size` bytes until there is no room; returns how many. They have Content(9, 0),
// Content(9, 1) and so on.
uint64_t FillUp(Peer& peer, size_t size) {
  uint64_t frames = 0;
  while (frames * size < kTooMuch) {
    if (!peer.TryWrite(9, Content(9, frames, size))) {
      // What is published may go, and make room.
      EXPECT_TRUE(peer.Transmit().ok());
      if (!peer.TryWrite(9, Content(9, frames, size))) break;
    }
    ++frames;
    EXPECT_TRUE(peer.Transmit().ok());
  }
  return frames;
}

TEST_P(PressureSuite, SendingStopsAndGoesOn) {
  Pair pair = ConnectPair();
  const size_t size = std::min<size_t>(pair.client->max_frame_size(), 16 << 10);
  uint64_t sent = FillUp(*pair.client, size);
  EXPECT_GE(sent, 1u);
  ASSERT_LT(sent * size, kTooMuch) << "nothing limits what waits";
  constexpr uint64_t kMore = 200;
  std::thread sender([&pair, &sent, size] {
    for (uint64_t i = 0; i < kMore; ++i) {
      absl::Status status = pair.client->Send(9, Content(9, sent + i, size));
      ASSERT_TRUE(status.ok()) << status;
    }
  });
  std::vector<Frame> received;
  absl::Status status = pair.server->Receive(sent + kMore, received);
  sender.join();
  ASSERT_TRUE(status.ok()) << status;
  for (uint64_t i = 0; i < sent + kMore; ++i)
    ASSERT_EQ(Content(9, i, size), received[i].bytes) << i;
}

TEST_P(PressureSuite, ARefusedFrameIsTheSendersStill) {
  Pair pair = ConnectPair();
  const size_t size = pair.client->max_frame_size();
  uint64_t sent = FillUp(*pair.client, size);
  std::string text;
  MessageMemory memory;
  int before = 0;
  // The system may still be moving bytes to the other side, so that there is room now and then.
  for (;; ++sent) {
    ASSERT_LT(sent * size, kTooMuch) << "nothing limits what waits";
    text = Content(9, sent, size);
    memory = MemoryWith(text, 10);
    before = pair.client->writable_calls();
    if (!pair.client->TryAdd(9, memory, 10, size)) break;
    ASSERT_TRUE(pair.client->Transmit().ok());
  }
  ASSERT_NE(nullptr, memory);
  EXPECT_EQ(0, std::memcmp(memory.get() + 10, text.data(), size));
  std::vector<Frame> received;
  ASSERT_TRUE(pair.server->Receive(sent, received).ok());
  EXPECT_TRUE(pair.client->WaitForWritableCalls(before + 1));
  EXPECT_TRUE(pair.client->TryAdd(9, memory, 10, size));
  EXPECT_EQ(nullptr, memory);
  ASSERT_TRUE(pair.client->Transmit().ok());
  EXPECT_EQ((Frame{9, text}), pair.server->ReceiveOne().value_or(Frame{}));
}

// Refused with nobody sending again: OnWritable alone carries on, once the peer reads.
TEST_P(PressureSuite, WritableComesWhenThePeerReads) {
  Pair pair = ConnectPair();
  for (int round = 0; round < 3; ++round) {
    const size_t size = std::min<size_t>(pair.client->max_frame_size(), 16 << 10);
    const int before = pair.client->writable_calls();
    const uint64_t sent = FillUp(*pair.client, size);
    std::vector<Frame> received;
    absl::Status status = pair.server->Receive(sent, received);
    ASSERT_TRUE(status.ok()) << status << " after " << received.size() << " of " << sent;
    EXPECT_TRUE(pair.client->WaitForWritableCalls(before + 1));
    EXPECT_TRUE(pair.client->TryWrite(9, "room again"));
    ASSERT_TRUE(pair.client->Transmit().ok());
    EXPECT_EQ("room again", pair.server->ReceiveOne().value_or(Frame{}).bytes);
  }
}

TEST_P(TransportSuite, LargestFrameFitsWhenNothingWaits) {
  Pair pair = ConnectPair();
  const size_t max = in_pieces() ? 2000 : pair.client->max_frame_size();
  for (uint64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(pair.client->TryWrite(1, Content(1, i, max)));
    ASSERT_TRUE(pair.client->Transmit().ok());
    EXPECT_EQ(Content(1, i, max), pair.server->ReceiveOne().value_or(Frame{}).bytes);
  }
}

// A sender that asks Publish whether to transmit would otherwise do so for ever.
TEST_P(PressureSuite, NothingToTransmitWhileThePeerDoesNotRead) {
  Pair pair = ConnectPair();
  const size_t size = std::min<size_t>(pair.client->max_frame_size(), 16 << 10);
  const uint64_t sent = FillUp(*pair.client, size);
  // The system may still be moving bytes to the other side, so that there is room now and then.
  int tries = 0;
  while (pair.client->Publish() && ++tries < 100'000) {
    ASSERT_TRUE(pair.client->Transmit().ok());
  }
  EXPECT_LT(tries, 100'000) << "Publish says that Transmit has something to do, and it has not";
  std::vector<Frame> received;
  EXPECT_TRUE(pair.server->Receive(sent, received).ok());
}

// One direction that is full does not stop the other.
TEST_P(PressureSuite, DirectionsAreIndependent) {
  Pair pair = ConnectPair();
  const uint64_t sent = FillUp(*pair.client, 1000);
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(pair.server->Send(2, Content(2, i, 500)).ok());
    EXPECT_EQ((Frame{2, Content(2, i, 500)}), pair.client->ReceiveOne().value_or(Frame{}));
  }
  std::vector<Frame> received;
  EXPECT_TRUE(pair.server->Receive(sent, received).ok());
}

TEST_P(PressureSuite, RefusedSenderHearsOfTheEnd) {
  for (bool by_peer : {true, false}) {
    Pair pair = ConnectPair();
    FillUp(*pair.client, 1000);
    std::thread ender(
        [&pair, by_peer] { (by_peer ? pair.server : pair.client)->connection().Abort(); });
    // Goes on until sending fails; it never blocks for good.
    absl::Status status;
    while (status.ok()) status = pair.client->Send(9, "more");
    EXPECT_EQ(absl::StatusCode::kUnavailable, status.code()) << status;
    ender.join();
  }
}

// ---- TransmitUntil, of which a transport may make as much or as little as Transmit does

// Writes frames as FillUp does, from `next` on, until the connection itself has no room, or a
// thousand; returns the next.
uint64_t WriteMany(Peer& peer, uint64_t next, size_t size) {
  const uint64_t end = next + 1000;
  while (next < end && peer.TryWrite(9, Content(9, next, size))) ++next;
  return next;
}

void ExpectReceived(const std::vector<Frame>& received, uint64_t count, size_t size) {
  ASSERT_EQ(count, received.size());
  for (uint64_t i = 0; i < count; ++i) ASSERT_EQ(Content(9, i, size), received[i].bytes) << i;
}

TEST_P(PressureSuite, TransmitUntilReturnsByItsTime) {
  Pair pair = ConnectPair();
  const size_t size = std::min<size_t>(pair.client->max_frame_size(), 16 << 10);
  const Instant patience = Patience();
  uint64_t sent = 0;
  for (uint64_t before = 1; sent != before && sent * size < kTooMuch;) {
    before = sent;
    sent = WriteMany(*pair.client, sent, size);
    absl::Status status = pair.client->TransmitUntil(std::chrono::steady_clock::now() +
                                                     std::chrono::milliseconds(10));
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_LT(std::chrono::steady_clock::now(), patience);
  // OnWritable alone goes on with what was left.
  std::vector<Frame> received;
  absl::Status status = pair.server->Receive(sent, received);
  ASSERT_TRUE(status.ok()) << status << " after " << received.size() << " of " << sent;
  ASSERT_TRUE(pair.client->Send(9, Content(9, sent, size)).ok());
  ++sent;
  status = pair.server->Receive(sent, received);
  ASSERT_TRUE(status.ok()) << status;
  ExpectReceived(received, sent, size);
}

TEST_P(PressureSuite, TransmitUntilSendsWhatThePeerReceivesMeanwhile) {
  Pair pair = ConnectPair();
  const size_t size = std::min<size_t>(pair.client->max_frame_size(), 16 << 10);
  constexpr uint64_t kFrames = 2000;
  std::thread sender([&pair, size] {
    for (uint64_t sent = 0; sent < kFrames;) {
      const int before = pair.client->writable_calls();
      const uint64_t next = WriteMany(*pair.client, sent, size);
      absl::Status status = pair.client->TransmitUntil(Patience());
      ASSERT_TRUE(status.ok()) << status;
      ASSERT_TRUE(next != sent || pair.client->WaitForWritableCalls(before + 1));
      sent = next;
    }
    ASSERT_TRUE(pair.client->Send(9, "the last").ok());
  });
  std::vector<Frame> received;
  absl::Status status = pair.server->Receive(kFrames, received);
  while (status.ok() && received.back().bytes != "the last") {
    status = pair.server->Receive(received.size() + 1, received);
  }
  sender.join();
  ASSERT_TRUE(status.ok()) << status << " after " << received.size();
  EXPECT_EQ("the last", received.back().bytes);
  received.pop_back();
  ExpectReceived(received, received.size(), size);
}

TEST_P(PressureSuite, TransmitUntilHearsOfTheEnd) {
  for (bool by_peer : {true, false}) {
    for (int yields : {0, 10, 100}) {  // before, at or after the beginning of the wait
      Pair pair = ConnectPair();
      std::thread ender([&pair, by_peer, yields] {
        for (int i = 0; i < yields; ++i) std::this_thread::yield();
        (by_peer ? pair.server : pair.client)->connection().Abort();
      });
      // Goes on, since the system may have had room for all, and so nothing to wait for.
      const Instant patience = Patience();
      absl::Status status;
      while (status.ok() && std::chrono::steady_clock::now() < patience) {
        WriteMany(*pair.client, 0, 1000);
        status = pair.client->TransmitUntil(patience);
      }
      EXPECT_LT(std::chrono::steady_clock::now(), patience) << "not by the end";
      EXPECT_EQ(absl::StatusCode::kUnavailable, status.code()) << status;
      ender.join();
    }
  }
}

// What has failed takes frames without end and without growing: they go nowhere.
TEST_P(TransportSuite, FailedSendingTakesFrames) {
  Pair pair = ConnectPair();
  pair.client->connection().Abort();
  const size_t size = std::min<size_t>(pair.client->max_frame_size(), 16 << 10);
  for (int i = 0; i < 200; ++i) {
    pair.client->TryWrite(1, Content(1, i, size));
    EXPECT_EQ(absl::StatusCode::kUnavailable, pair.client->connection().Transmit().code());
  }
  EXPECT_TRUE(pair.client->TryWrite(1, "x"));
}

}  // namespace
}  // namespace anywire::test
