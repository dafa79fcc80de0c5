// What all this is for, in virtual time: latency under loss, use of a link, connecting through
// loss, and small calls beside large transfers.
#include <algorithm>
#include <string>
#include <vector>

#include "transports/udp/reliability/ends_fixture.h"
#include "transports/udp/reliability/talk.h"

namespace anywire::udp::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

class GoalsTest : public EndsTest {
 protected:
  // Round trips of so many calls in a row, sorted.
  std::vector<Duration> Call(size_t calls) {
    std::vector<Duration> times;
    const auto step = network_->on_step;
    network_->on_step = [&, step] {
      if (step) step();
      while (server().has_frames()) {
        for (const ReceivedFrame& frame : server().Receive()) {
          if (frame.stream == 1) Send(server(), 1, "reply");
        }
      }
      server().ReleaseFrames();
    };
    for (size_t i = 0; i < calls; ++i) {
      const Instant begin = network_->now();
      EXPECT_TRUE(Send(client(), 1, "request"));
      EXPECT_TRUE(RunUntilFrames(client(), seconds(100)));
      Receive(client());
      times.push_back(network_->now() - begin);
    }
    std::sort(times.begin(), times.end());
    return times;
  }
  static Duration At(const std::vector<Duration>& times, double share) {
    return times[static_cast<size_t>(static_cast<double>(times.size()) * share)];
  }

  // The share of the link's bandwidth that frames' bytes had, while the client sent for so long.
  double Goodput(Duration time) {
    uint64_t received = 0;
    network_->on_step = [&] {
      while (Send(client(), 1, std::string(16'000, 'x'))) {
      }
      while (server().has_frames()) {
        for (const ReceivedFrame& frame : server().Receive()) received += frame.bytes.size();
      }
      server().ReleaseFrames();
    };
    network_->RunFor(time);
    return static_cast<double>(received) / std::chrono::duration<double>(time).count() /
           path_.bandwidth;
  }
};

// A round trip of a millisecond, and a datagram in a hundred lost each way.
TEST_F(GoalsTest, CallsUnderOnePercentLoss) {
  path_ = {.delay = microseconds(500), .loss = 1};
  Open();
  const std::vector<Duration> times = Call(20'000);
  EXPECT_EQ(milliseconds(1), At(times, 0.5));
  EXPECT_LE(At(times, 0.99), milliseconds(3));
  EXPECT_LE(At(times, 0.999), milliseconds(6));
}

TEST_F(GoalsTest, CallsUnderFivePercentLoss) {
  path_ = {.delay = microseconds(500), .loss = 5};
  Open();
  EXPECT_LE(At(Call(20'000), 0.99), milliseconds(6));
}

TEST_F(GoalsTest, CallsWithinAHostUnderLoss) {
  path_ = {.delay = microseconds(20), .loss = 1};
  Open();
  const std::vector<Duration> times = Call(20'000);
  EXPECT_EQ(microseconds(40), At(times, 0.5));
  EXPECT_LE(At(times, 0.99), microseconds(800)) << "max_ack_delay and the granularity";
}

class GoodputTest : public GoalsTest, public ::testing::WithParamInterface<CongestionControl> {};
INSTANTIATE_TEST_SUITE_P(All, GoodputTest,
                         ::testing::Values(CongestionControl::kNewReno, CongestionControl::kCubic),
                         [](const auto& info) {
                           return info.param == CongestionControl::kNewReno ? "NewReno" : "Cubic";
                         });

// 10 Mb/s, 15 ms each way, a queue of a tenth of a second.
TEST_P(GoodputTest, ALinkIsUsed) {
  client_options_.congestion_control = GetParam();
  path_ = {.delay = milliseconds(15), .bandwidth = 1.25e6, .queue = 125'000};
  Open();
  EXPECT_GE(Goodput(seconds(20)), 0.9);
}

TEST_P(GoodputTest, ALinkIsUsedThoughALittleIsLost) {
  client_options_.congestion_control = GetParam();
  path_ = {.delay = milliseconds(15), .bandwidth = 1.25e6, .queue = 125'000};
  Open();
  network_->on_datagram = [this](bool, Datagram&) { return network_->random()() % 1000 != 0; };
  EXPECT_GE(Goodput(seconds(60)), 0.8);
}

TEST_F(GoalsTest, EverybodyConnectsThroughHeavyLoss) {
  client_options_.handshake_timeout = client_options_.half_open_timeout =
      client_options_.idle_timeout = seconds(300);
  server_options_.connection = client_options_;
  path_ = {.delay = milliseconds(15), .loss = 30, .burst = 3};
  Start();
  for (int i = 1; i < 50; ++i) network_->AddClient(client_options_);
  size_t open = 0;
  EXPECT_TRUE(network_->RunUntil(
      [&] {
        open = 0;
        for (size_t i = 0; i < 50; ++i) {
          const VirtualNetwork::Client& each = network_->client(i);
          open += each.machine->state() == State::kOpen && each.peer != nullptr &&
                  each.peer->state() == State::kOpen;
        }
        return open == 50;
      },
      seconds(300)))
      << open;
}

// The link is full of another stream's bytes, and a call waits for a little more than the queue.
TEST_F(GoalsTest, SmallCallsBesideALargeTransfer) {
  path_ = {.delay = microseconds(500), .bandwidth = 125e6, .queue = 60'000};
  Open();
  const Duration unloaded = At(Call(1000), 0.99);
  network_->on_step = [this] {
    while (client().held() < 500'000 && Send(client(), 2, std::string(16'000, 'x'))) {
    }
  };
  network_->RunFor(milliseconds(100));
  EXPECT_LE(At(Call(2000), 0.99), 3 * unloaded);
}

}  // namespace
}  // namespace anywire::udp::test
