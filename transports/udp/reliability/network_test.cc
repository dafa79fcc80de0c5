// A client and a server over networks of all kinds of badness: everything arrives, once, unchanged
// and in the order of its stream, in bounded time.
#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"
#include "transports/udp/reliability/talk.h"
#include "transports/udp/reliability/virtual_network.h"

namespace anywire::udp::test {
namespace {

using State = ConnectionMachine::State;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string Describe(uint64_t seed, const PathOptions& path) {
  return absl::StrCat("seed ", seed, " loss ", path.loss, " burst ", path.burst, " reorder ",
                      path.reorder, " duplicate ", path.duplicate, " corrupt ", path.corrupt,
                      " delay ", path.delay / milliseconds(1), " ms");
}

Options PatientOptions() {
  Options options;
  options.handshake_timeout = seconds(300);
  options.half_open_timeout = seconds(300);
  options.idle_timeout = seconds(300);
  options.linger_timeout = seconds(300);
  return options;
}

// Both ends say what they may and hear what has come, whenever something has happened.
void TalkAtEachStep(VirtualNetwork& network, VirtualNetwork::Client& client, Talk& there,
                    Talk& back) {
  network.on_step = [&client, &there, &back] {
    if (client.machine->state() == State::kOpen) there.Send(*client.machine);
    back.Receive(*client.machine);
    if (client.peer == nullptr) return;
    if (client.peer->state() == State::kOpen) back.Send(*client.peer);
    there.Receive(*client.peer);
  };
}

// Both ends talk at once, then the client closes. The largest frames are as `largest` says.
void TalkBothWays(uint64_t seed, const PathOptions& path, const Options& client_options,
                  const Options& server_options, size_t largest, uint64_t streams) {
  SCOPED_TRACE(Describe(seed, path));
  EndpointOptions server;
  server.connection = server_options;
  VirtualNetwork network(seed, server, path);
  VirtualNetwork::Client& client = network.AddClient(client_options);
  Talk there({.salt = seed, .streams = streams, .frames = 60, .largest = largest});
  Talk back({.salt = seed + 1, .streams = streams, .frames = 60, .largest = largest});
  TalkAtEachStep(network, client, there, back);
  ASSERT_TRUE(
      network.RunUntil([&] { return there.is_complete() && back.is_complete(); }, seconds(900)))
      << there.received() << " there, " << back.received()
      << " back, client: " << client.machine->status()
      << ", server gone: " << (client.peer == nullptr);
  client.machine->Close(network.now());
  ASSERT_TRUE(network.RunUntil(
      [&] { return client.machine->state() == State::kEnded && client.peer == nullptr; },
      seconds(900)));
  EXPECT_EQ(absl::StatusCode::kUnavailable, client.machine->status().code());
  EXPECT_EQ("closed", client.machine->status().message());
  EXPECT_EQ(0u, client.machine->held());
  EXPECT_EQ(0u, network.endpoint().connections());
  EXPECT_EQ(0u, network.endpoint().half_open());
}

void TalkBothWays(uint64_t seed, const PathOptions& path) {
  Options options = PatientOptions();
  options.congestion_control =
      seed % 2 == 0 ? CongestionControl::kCubic : CongestionControl::kNewReno;
  TalkBothWays(seed, path, options, options, 4000, 4);
}

using Cell = std::tuple<int, int, int, int>;  // loss, reorder, burst, delay in ms
class NetworkTest : public ::testing::TestWithParam<Cell> {};

TEST_P(NetworkTest, AllArrives) {
  static const uint64_t seed = anywire::test::TestSeed(11);
  const auto [loss, reorder, burst, delay] = GetParam();
  for (const int duplicate : {0, 10}) {
    for (const int corrupt : {0, 1, 10}) {
      PathOptions path;
      path.delay = milliseconds(delay);
      path.jitter = path.delay / 4;
      path.loss = loss;
      path.reorder = reorder;
      path.burst = burst;
      path.duplicate = duplicate;
      path.corrupt = corrupt;
      for (uint64_t i = 0; i < 2; ++i) TalkBothWays(seed + i, path);
      if (HasFatalFailure()) return;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Cells, NetworkTest,
                         ::testing::Combine(::testing::Values(0, 1, 5, 10, 30),
                                            ::testing::Values(0, 10, 50), ::testing::Values(1, 3),
                                            ::testing::Values(0, 1, 15, 100, 750)));

// A seed is a test case: nothing depends on addresses in memory, or on the clock.
TEST(DeterminismTest, SameSeedSameRun) {
  const uint64_t seed = anywire::test::TestSeed(17);
  const auto run = [seed] {
    EndpointOptions server;
    server.connection = PatientOptions();
    VirtualNetwork network(seed, server,
                           {.delay = milliseconds(5), .reorder = 20, .loss = 10, .corrupt = 5});
    std::vector<std::unique_ptr<Talk>> talks;
    for (uint64_t i = 0; i < 5; ++i) {
      network.AddClient(PatientOptions());
      talks.push_back(std::make_unique<Talk>(Talk::Options{.salt = i}));
    }
    network.on_step = [&] {
      for (size_t i = 0; i < 5; ++i) {
        VirtualNetwork::Client& client = network.client(i);
        if (client.machine->state() == State::kOpen) talks[i]->Send(*client.machine);
        if (client.peer != nullptr) talks[i]->Receive(*client.peer);
      }
    };
    EXPECT_TRUE(network.RunUntil(
        [&] {
          return std::all_of(talks.begin(), talks.end(),
                             [](const auto& talk) { return talk->is_complete(); });
        },
        seconds(100)));
    return std::make_tuple(network.now(), network.datagrams(), network.bytes(true),
                           network.bytes(false), network.random()());
  };
  EXPECT_EQ(run(), run());
}

// What a path does to every datagram for a while.
class PartitionTest : public ::testing::TestWithParam<std::tuple<bool, bool, int>> {};

TEST_P(PartitionTest, WhatWasHeldUpArrivesSoonAfter) {
  const bool cut_there = std::get<0>(GetParam());
  const bool cut_back = std::get<1>(GetParam());
  const int length = std::get<2>(GetParam());
  static const uint64_t seed = anywire::test::TestSeed(14);
  EndpointOptions server;
  server.connection = PatientOptions();
  VirtualNetwork network(seed, server, {.delay = milliseconds(15), .loss = 1});
  VirtualNetwork::Client& client = network.AddClient(PatientOptions());
  bool cut = false;
  network.on_datagram = [&](bool to_server, Datagram&) {
    return !cut || !(to_server ? cut_there : cut_back);
  };
  Talk there({.salt = seed, .frames = 3000});
  Talk back({.salt = seed + 1, .frames = 3000});
  TalkAtEachStep(network, client, there, back);
  const auto done = [&] { return there.is_complete() && back.is_complete(); };
  for (int i = 0; i < 5 && !done(); ++i) {
    cut = false;
    network.RunUntil(done, milliseconds(300));
    ASSERT_TRUE(i > 0 || !done()) << "nothing is left to be held up";
    cut = true;
    network.RunFor(seconds(length));
  }
  cut = false;
  network.path().loss = 0;  // or a probe, too, may be lost
  const uint64_t before = there.received() + back.received();
  if (before < 6000) {
    // No probe is later than that.
    EXPECT_TRUE(network.RunUntil(
        [&] { return there.received() + back.received() > before; },
        std::min<Duration>(LossDetector::kMaxProbeTimeout, 2 * seconds(length)) + seconds(1)));
  }
  EXPECT_TRUE(network.RunUntil(done, seconds(60)))
      << there.received() << " " << back.received() << client.machine->status();
}
INSTANTIATE_TEST_SUITE_P(Ways, PartitionTest,
                         ::testing::Combine(::testing::Bool(), ::testing::Bool(),
                                            ::testing::Values(1, 5, 30)));

// Limits that are as low as can be, and any others, on both ends.
Options RandomOptions(std::mt19937_64& random) {
  Options options = PatientOptions();
  options.max_frame_size = kSmallestMaxFrameSize << (random() % 7);
  options.receive_window =
      options.max_frame_size + kFrameCost + random() % 2 * (random() % 100'000);
  options.send_buffer = 1 + random() % 100'000;
  options.stream_window = 1 + random() % 50'000;
  options.max_datagram_size = kBaseDatagramSize + random() % 2 * (random() % 20'000);
  options.granularity = std::chrono::microseconds(1 + random() % 2000);
  options.max_ack_delay = std::chrono::microseconds(random() % 30'000);
  options.initial_rtt = milliseconds(1 + random() % 500);
  options.ack_every = 1 + static_cast<int>(random() % 20);
  if (random() % 2 == 0) options.congestion_control = CongestionControl::kNewReno;
  return options;
}

TEST(RandomOptionsTest, AllArrives) {
  const uint64_t seed = anywire::test::TestSeed(18);
  for (uint64_t i = 0; i < 300 && !::testing::Test::HasFailure(); ++i) {
    std::mt19937_64 random(seed + i);
    PathOptions path;
    path.delay = std::chrono::microseconds(random() % 100'000);
    path.jitter = path.delay / 8;
    path.loss = static_cast<int>(random() % 20);
    path.burst = 1 + static_cast<int>(random() % 3);
    path.reorder = static_cast<int>(random() % 30);
    path.duplicate = static_cast<int>(random() % 10);
    path.corrupt = static_cast<int>(random() % 5);
    path.mtu = kBaseDatagramSize + random() % 3000;
    const Options client = RandomOptions(random), server = RandomOptions(random);
    const size_t largest = 1 + random() % std::min(client.max_frame_size, server.max_frame_size);
    TalkBothWays(seed + i, path, client, server, std::max<size_t>(largest, 100), 1 + random() % 20);
  }
}

// A thin line with a short queue, small datagrams only, and now and then a loss.
TEST(BottleneckTest, AllArrives) {
  const uint64_t seed = anywire::test::TestSeed(15);
  for (uint64_t i = 0; i < 10; ++i) {
    TalkBothWays(seed + i, {.delay = milliseconds(20),
                            .jitter = milliseconds(2),
                            .loss = 1,
                            .mtu = 1230,
                            .bandwidth = 100'000,
                            .queue = 10'000});
  }
}

// One address after the other: packets of an old one are nobody's.
TEST(AddressTest, AClientThatMovesIsLetGoAndConnectsAgain) {
  EndpointOptions server;
  VirtualNetwork network(anywire::test::TestSeed(16), server, {.delay = milliseconds(5)});
  VirtualNetwork::Client& client = network.AddClient({});
  ASSERT_TRUE(network.RunUntil(
      [&] { return client.peer != nullptr && client.peer->state() == State::kOpen; }, seconds(1)));
  network.MoveClient(client);
  client.machine->KeepAlive(true);
  ASSERT_TRUE(network.RunUntil(
      [&] { return client.machine->state() == State::kEnded && client.peer == nullptr; },
      seconds(60)));
  EXPECT_EQ(absl::StatusCode::kUnavailable, client.machine->status().code());
  VirtualNetwork::Client& again = network.AddClient({});
  EXPECT_TRUE(network.RunUntil([&] { return again.machine->state() == State::kOpen; }, seconds(1)));
}

}  // namespace
}  // namespace anywire::udp::test
