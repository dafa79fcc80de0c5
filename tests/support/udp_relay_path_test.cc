// What the relay does to datagrams on their way.
#include <set>
#include <string>
#include <vector>

#include "tests/support/udp_relay_fixture.h"

namespace anywire::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST_F(UdpRelayTest, AGoodPathLosesNothingAndKeepsTheOrder) {
  std::vector<std::string> expected;
  for (int i = 0; i < 2000; ++i) expected.push_back(absl::StrCat(i));
  EXPECT_EQ(expected, SendNumbers(2000));
}

TEST_F(UdpRelayTest, Loses) {
  options_.live.path.loss = 20;
  const std::vector<std::string> received = SendNumbers(2000);
  const PathCounts counts = relay().path().counts(Towards::kServer);
  EXPECT_NEAR(400, counts.lost, 120);
  EXPECT_EQ(2000 - counts.lost, received.size());
  EXPECT_EQ(received.size(), std::set<std::string>(received.begin(), received.end()).size());
}

TEST_F(UdpRelayTest, LosesInBothDirections) {
  options_.live.path.loss = 20;
  relay().path().SetOptions({.delay = nanoseconds(0)});
  client_.Send(relay().address(), "hello");
  const std::string peer = server_.Receive().from.ToString();
  relay().path().SetOptions(options_.live.path);
  for (int i = 0; i < 100; ++i) server_.Send(peer, "reply");
  relay().path().WaitForSent(Towards::kClient, 100);
  const PathCounts counts = relay().path().counts(Towards::kClient);
  EXPECT_NEAR(20, counts.lost, 18);
  for (uint64_t i = 0; i < counts.arrived(); ++i) client_.Receive();
  EXPECT_FALSE(client_.has_datagram());
}

TEST_F(UdpRelayTest, Doubles) {
  options_.live.path.duplicate = 20;
  const std::vector<std::string> received = SendNumbers(2000);
  const PathCounts counts = relay().path().counts(Towards::kServer);
  EXPECT_NEAR(400, counts.duplicated, 120);
  EXPECT_EQ(2000 + counts.duplicated, received.size());
  EXPECT_EQ(2000u, std::set<std::string>(received.begin(), received.end()).size());
}

TEST_F(UdpRelayTest, Damages) {
  options_.live.path.corrupt = 20;
  const std::string rest(50, '.');
  int damaged = 0;
  const std::vector<std::string> received = SendNumbers(1000, rest);
  for (size_t i = 0; i < received.size(); ++i) damaged += received[i] != absl::StrCat(i, rest);
  const PathCounts counts = relay().path().counts(Towards::kServer);
  EXPECT_NEAR(200, counts.corrupted, 90);
  EXPECT_LE(static_cast<uint64_t>(damaged), counts.corrupted);
  EXPECT_GE(static_cast<uint64_t>(damaged), counts.corrupted * 9 / 10) << "a bit, and back again";
}

TEST_F(UdpRelayTest, Reorders) {
  options_.live.path.delay = milliseconds(1);
  options_.live.path.reorder = 20;
  const std::vector<std::string> received = SendNumbers(1000);
  EXPECT_EQ(1000u, std::set<std::string>(received.begin(), received.end()).size());
  int overtaken = 0;
  for (size_t i = 1; i < received.size(); ++i) {
    overtaken += std::stoi(received[i]) < std::stoi(received[i - 1]);
  }
  EXPECT_NEAR(200, relay().path().counts(Towards::kServer).reordered, 90);
  EXPECT_GT(overtaken, 20);
}

TEST_F(UdpRelayTest, DelaysByWhatItIsTold) {
  options_.live.path.delay = milliseconds(20);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(1u, SendNumbers(1).size());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(20));
}

TEST_F(UdpRelayTest, TheMtuIsTheLargest) {
  options_.live.path.mtu = 1200;
  for (const size_t size : {1199, 1200, 1201}) {
    client_.Send(relay().address(), std::string(size, 'x'));
  }
  EXPECT_EQ(1199u, server_.Receive().bytes.size());
  EXPECT_EQ(1200u, server_.Receive().bytes.size());
  relay().path().WaitForSent(Towards::kServer, 3);
  EXPECT_EQ(1u, relay().path().counts(Towards::kServer).too_large);
}

TEST_F(UdpRelayTest, ABottleneckHasAQueue) {
  options_.live.path.bandwidth = 1;  // a quarter of an hour for one
  options_.live.path.queue = 2500;
  for (int i = 0; i < 4; ++i) client_.Send(relay().address(), std::string(1000, 'x'));
  relay().path().WaitForSent(Towards::kServer, 4);
  EXPECT_EQ(1u, relay().path().counts(Towards::kServer).overflowed);
}

TEST_F(UdpRelayTest, WhatIsOnItsWayHasALimit) {
  options_.live.path.delay = std::chrono::hours(1);
  options_.live.room = 3 * (100 + NetworkPath<std::shared_ptr<int>>::kPacketCost);
  for (const size_t size : {100, 100, 101, 100, 100}) {
    client_.Send(relay().address(), std::string(size, 'x'));
  }
  relay().path().WaitForSent(Towards::kServer, 5);
  EXPECT_EQ(2u, relay().path().counts(Towards::kServer).overflowed);
}

TEST_F(UdpRelayTest, APartitionIsOfOneDirection) {
  client_.Send(relay().address(), "before");
  const std::string peer = server_.Receive().from.ToString();
  relay().path().Partition(Towards::kServer, true);
  client_.Send(relay().address(), "lost");
  server_.Send(peer, "not lost");
  EXPECT_EQ("not lost", client_.Receive().bytes);
  relay().path().WaitForSent(Towards::kServer, 2);
  relay().path().Partition(Towards::kServer, false);
  relay().path().Partition(Towards::kClient, true);
  server_.Send(peer, "lost");
  relay().path().WaitForSent(Towards::kClient, 2);
  client_.Send(relay().address(), "after");
  EXPECT_EQ("after", server_.Receive().bytes);
  EXPECT_FALSE(client_.has_datagram());
  EXPECT_EQ(1u, relay().path().counts(Towards::kServer).partitioned);
  EXPECT_EQ(1u, relay().path().counts(Towards::kClient).partitioned);
}

TEST_F(UdpRelayTest, ASeedIsARun) {
  options_.live.path.loss = 30;
  const auto run = [this] {
    relay_.reset();
    sent_ = received_ = 0;
    return SendNumbers(200);
  };
  const std::vector<std::string> once = run();
  EXPECT_EQ(once, run());
  ++options_.live.seed;
  EXPECT_NE(once, run());
}

}  // namespace
}  // namespace anywire::test
