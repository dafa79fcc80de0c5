#include "tests/support/udp_relay.h"

#include <netinet/in.h>
#include <poll.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/census.h"
#include "tests/support/seed.h"
#include "tests/support/watchdog.h"
#include "transports/stream/unique_fd.h"
#include "transports/tcp/socket_address.h"

namespace anywire::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

SocketAddress Address(const std::string& text) {
  return LookUp(*ParseHostPort(text), true)->front();
}

struct Datagram {
  std::string bytes;
  SocketAddress from;
};

// A socket on the loopback.
class Socket {
 public:
  explicit Socket(const std::string& address = "127.0.0.1:0")
      : fd_(socket(Address(address).family(), SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const SocketAddress wanted = Address(address);
    EXPECT_EQ(0, bind(fd_.get(), wanted.get(), wanted.size));
    address_.size = sizeof(address_.storage);
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address_.storage), &address_.size);
  }

  std::string address() const { return address_.ToString(); }

  void Send(const std::string& to, const std::string& bytes) {
    const SocketAddress address = Address(to);
    EXPECT_EQ(static_cast<ssize_t>(bytes.size()),
              sendto(fd_.get(), bytes.data(), bytes.size(), 0, address.get(), address.size));
  }
  // Waits for one.
  Datagram Receive() {
    Datagram datagram;
    datagram.bytes.resize(70'000);
    datagram.from.size = sizeof(datagram.from.storage);
    const ssize_t size =
        recvfrom(fd_.get(), datagram.bytes.data(), datagram.bytes.size(), 0,
                 reinterpret_cast<sockaddr*>(&datagram.from.storage), &datagram.from.size);
    EXPECT_GE(size, 0);
    datagram.bytes.resize(static_cast<size_t>(size));
    return datagram;
  }
  bool has_datagram() const {
    pollfd readable = {fd_.get(), POLLIN, 0};
    return poll(&readable, 1, 0) == 1;
  }

 private:
  UniqueFd fd_;
  SocketAddress address_;
};

class UdpRelayTest : public ::testing::Test {
 protected:
  UdpRelayTest() : watchdog_("UdpRelayTest", absl::Seconds(30)) {}
  ~UdpRelayTest() override {
    relay_.reset();
    EXPECT_EQ(absl::OkStatus(), census_.BackToBaseline());
  }

  UdpRelay& relay() {
    if (relay_ == nullptr) {
      absl::StatusOr<std::unique_ptr<UdpRelay>> started =
          UdpRelay::Start(server_.address(), options_);
      EXPECT_EQ(absl::OkStatus(), started.status());
      relay_ = *std::move(started);
    }
    return *relay_;
  }

  static uint64_t Copies(const PathCounts& counts) { return counts.arrived() + counts.duplicated; }

  // The client sends so many, numbered; what arrives at the server.
  std::vector<std::string> SendNumbers(int datagrams, const std::string& rest = "") {
    std::vector<std::string> received;
    for (int i = 0; i < datagrams; ++i) {
      client_.Send(relay().address(), absl::StrCat(i, rest));
      ++sent_;
      // Not more at once than a socket's buffer takes.
      if (i % 32 != 31 && i + 1 < datagrams) continue;
      relay().path().WaitForSent(Towards::kServer, sent_);
      const uint64_t arrived = Copies(relay().path().counts(Towards::kServer));
      for (; received_ < arrived; ++received_) received.push_back(server_.Receive().bytes);
    }
    return received;
  }

  // What is sent behind a late one arrives together with it.
  void ArriveAtOnce(const std::vector<std::string>& datagrams) {
    options_.live.path.delay = milliseconds(200);
    client_.Send(relay().address(), "late");
    relay().path().WaitForSent(Towards::kServer, 1);
    relay().path().SetOptions({.delay = nanoseconds(0)});
    for (const std::string& datagram : datagrams) client_.Send(relay().address(), datagram);
    EXPECT_EQ("late", server_.Receive().bytes);
    for (const std::string& datagram : datagrams) EXPECT_EQ(datagram, server_.Receive().bytes);
  }

  const Watchdog watchdog_;
  Socket server_;
  Socket client_;
  const Census census_;  // after what lives as long as the test
  UdpRelay::Options options_ = {.live = {.seed = TestSeed(33)}};
  std::unique_ptr<UdpRelay> relay_;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
};

TEST_F(UdpRelayTest, ThereAndBack) {
  client_.Send(relay().address(), "request");
  const Datagram request = server_.Receive();
  EXPECT_EQ("request", request.bytes);
  EXPECT_NE(client_.address(), request.from.ToString());
  server_.Send(request.from.ToString(), "reply");
  const Datagram reply = client_.Receive();
  EXPECT_EQ("reply", reply.bytes);
  EXPECT_EQ(relay().address(), reply.from.ToString());
}

TEST_F(UdpRelayTest, IPv6) {
  Socket server("[::1]:0"), client("[::1]:0");
  auto relay = UdpRelay::Start(server.address(), options_);
  ASSERT_EQ(absl::OkStatus(), relay.status());
  client.Send((*relay)->address(), "request");
  const Datagram request = server.Receive();
  server.Send(request.from.ToString(), "reply");
  EXPECT_EQ("reply", client.Receive().bytes);
}

TEST_F(UdpRelayTest, EveryClientIsAPeerOfTheServer) {
  Socket other;
  std::set<std::string> peers;
  for (int i = 0; i < 3; ++i) {
    client_.Send(relay().address(), "client");
    peers.insert(server_.Receive().from.ToString());
  }
  EXPECT_EQ(1u, peers.size());
  other.Send(relay().address(), "other");
  const Datagram datagram = server_.Receive();
  EXPECT_EQ(0u, peers.count(datagram.from.ToString()));
  server_.Send(datagram.from.ToString(), "for the other");
  server_.Send(*peers.begin(), "for the client");
  EXPECT_EQ("for the other", other.Receive().bytes);
  EXPECT_EQ("for the client", client_.Receive().bytes);
  EXPECT_EQ(2u, relay().counts().clients);
}

TEST_F(UdpRelayTest, AnySizeThatUdpHas) {
  for (const size_t size : {0, 1, 1472, 1473, 65'506, 65'507}) {
    const std::string bytes(size, 'x');
    client_.Send(relay().address(), bytes);
    const Datagram datagram = server_.Receive();
    EXPECT_EQ(bytes, datagram.bytes) << size;
    server_.Send(datagram.from.ToString(), bytes);
    EXPECT_EQ(bytes, client_.Receive().bytes) << size;
  }
  EXPECT_EQ(0u, relay().counts().unsent);
}

// What the kernel joins and cuts for the relay comes out as it went in.
TEST_F(UdpRelayTest, BoundariesAreKept) {
  options_.live.path.delay = milliseconds(1);  // so that they leave together
  const std::vector<std::string> datagrams = {
      "",  "",  "a", "bb", "bb", "b", "ccc", "ccc", "", "d", "", "", "e", std::string(9000, 'x'),
      "f", "g", "",  "h"};
  for (const std::string& datagram : datagrams) client_.Send(relay().address(), datagram);
  for (const std::string& datagram : datagrams) EXPECT_EQ(datagram, server_.Receive().bytes);
}

// More than one batch, by either limit of a batch. (Not more than a socket's buffer takes.)
TEST_F(UdpRelayTest, ManyMayArriveAtOnce) {
  std::vector<std::string> datagrams;
  for (int i = 0; i < 80; ++i) datagrams.push_back(absl::StrCat(i));
  ArriveAtOnce(datagrams);
}

TEST_F(UdpRelayTest, LargeOnesMayArriveAtOnce) {
  std::vector<std::string> datagrams;
  for (char c = 'a'; c < 'i'; ++c) datagrams.push_back(std::string(9000, c));
  ArriveAtOnce(datagrams);
}

// IPv6 has room for 20 bytes more than the relay takes.
TEST_F(UdpRelayTest, WhatIsTooLargeForItIsUnsent) {
  Socket server("[::1]:0"), client("[::1]:0");
  auto relay = UdpRelay::Start(server.address(), options_);
  ASSERT_EQ(absl::OkStatus(), relay.status());
  for (const size_t size : {65'508, 1}) {
    client.Send((*relay)->address(), std::string(size, 'x'));
  }
  EXPECT_EQ(1u, server.Receive().bytes.size());
  EXPECT_EQ(1u, (*relay)->counts().unsent);
}

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
  options_.live.path.bandwidth = 100;  // ten seconds for one
  options_.live.path.queue = 2999;
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

TEST_F(UdpRelayTest, AddressesChange) {
  Socket other;
  const auto peers = [&] {
    std::vector<std::string> found;
    for (Socket* socket : {&client_, &other}) {
      socket->Send(relay().address(), "hello");
      found.push_back(server_.Receive().from.ToString());
    }
    return found;
  };
  const std::vector<std::string> before = peers();
  relay().ChangeClientAddresses();
  const std::vector<std::string> after = peers();
  EXPECT_EQ(4u, (std::set<std::string>{before[0], before[1], after[0], after[1]}.size()));
  server_.Send(before[0], "to where nobody is");
  server_.Send(after[0], "to the client");
  EXPECT_EQ("to the client", client_.Receive().bytes);
  EXPECT_EQ(2u, relay().counts().clients);
}

TEST_F(UdpRelayTest, TheClientSilentForLongestMakesRoom) {
  options_.max_clients = 2;
  Socket first, second, third;
  const auto peer_of = [&](Socket& socket) {
    socket.Send(relay().address(), "hello");
    return server_.Receive().from.ToString();
  };
  const std::string first_peer = peer_of(first), second_peer = peer_of(second);
  EXPECT_EQ(first_peer, peer_of(first)) << "two have room";
  EXPECT_EQ(0u, relay().counts().forgotten);
  peer_of(third);
  EXPECT_EQ(1u, relay().counts().forgotten);
  EXPECT_EQ(first_peer, peer_of(first)) << "the second one was silent for longer";
  EXPECT_NE(second_peer, peer_of(second));
  EXPECT_EQ(2u, relay().counts().forgotten);
  EXPECT_EQ(4u, relay().counts().clients);
}

// What the server says counts as well.
TEST_F(UdpRelayTest, AClientThatIsSpokenToIsNotSilent) {
  options_.max_clients = 2;
  Socket first, second, third;
  const auto peer_of = [&](Socket& socket) {
    socket.Send(relay().address(), "hello");
    return server_.Receive().from.ToString();
  };
  const std::string first_peer = peer_of(first);
  peer_of(second);
  server_.Send(first_peer, "still there?");
  first.Receive();
  peer_of(third);
  EXPECT_EQ(first_peer, peer_of(first));
}

TEST_F(UdpRelayTest, AServerMayComeLater) {
  const std::string address = Socket().address();
  auto relay = UdpRelay::Start(address, options_);
  ASSERT_EQ(absl::OkStatus(), relay.status());
  for (uint64_t i = 1; i <= 3; ++i) {
    client_.Send((*relay)->address(), "nobody listens");
    (*relay)->path().WaitForSent(Towards::kServer, i);
  }
  Socket again(address);
  client_.Send((*relay)->address(), "hello");
  while (again.Receive().bytes != "hello") {
  }
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

TEST(UdpRelayAddressTest, WhatIsNoAddressIsRefused) {
  EXPECT_FALSE(UdpRelay::Start("localhost:80", {}).ok());
  EXPECT_FALSE(UdpRelay::Start("127.0.0.1", {}).ok());
  EXPECT_FALSE(UdpRelay::Start("127.0.0.1:80", {.listen = "nowhere"}).ok());
  EXPECT_FALSE(UdpRelay::Start("127.0.0.1:80", {.listen = "192.0.2.1:0"}).ok());
  EXPECT_FALSE(UdpRelay::Start("127.0.0.1:80", {.max_clients = 0}).ok());
}

}  // namespace
}  // namespace anywire::test
