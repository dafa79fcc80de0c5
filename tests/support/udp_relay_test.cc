// Whose datagrams the relay moves, of which size, and how many at once.
#include "tests/support/udp_relay.h"

#include <set>
#include <string>
#include <vector>

#include "tests/support/udp_relay_fixture.h"

namespace anywire::test {
namespace {

using std::chrono::milliseconds;

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

// Where the host has no IPv6 this is all that can be had.
void ExpectNoRelayOfIpv6() {
  EXPECT_FALSE(UdpRelay::Start("[::1]:4000", UdpRelay::Options()).ok());
}

TEST_F(UdpRelayTest, IPv6) {
  if (!HasIpv6()) return ExpectNoRelayOfIpv6();
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
  if (!HasIpv6()) return ExpectNoRelayOfIpv6();
  Socket server("[::1]:0"), client("[::1]:0");
  auto relay = UdpRelay::Start(server.address(), options_);
  ASSERT_EQ(absl::OkStatus(), relay.status());
  for (const size_t size : {65'508, 1}) {
    client.Send((*relay)->address(), std::string(size, 'x'));
  }
  EXPECT_EQ(1u, server.Receive().bytes.size());
  EXPECT_EQ(1u, (*relay)->counts().unsent);
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

TEST(UdpRelayAddressTest, WhatIsNoAddressIsRefused) {
  EXPECT_FALSE(UdpRelay::Start("localhost:80", {}).ok());
  EXPECT_FALSE(UdpRelay::Start("127.0.0.1", {}).ok());
  EXPECT_FALSE(UdpRelay::Start("127.0.0.1:80", {.listen = "nowhere"}).ok());
  EXPECT_FALSE(UdpRelay::Start("127.0.0.1:80", {.listen = "192.0.2.1:0"}).ok());
  EXPECT_FALSE(UdpRelay::Start("127.0.0.1:80", {.max_clients = 0}).ok());
}

}  // namespace
}  // namespace anywire::test
