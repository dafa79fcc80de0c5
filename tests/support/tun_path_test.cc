// The kernel's own TCP and UDP through a bad path, and through one that is good.
#include "tests/support/tun_path.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/body.h"
#include "tests/support/census.h"
#include "tests/support/network_namespace.h"
#include "tests/support/seed.h"
#include "tests/support/watchdog.h"
#include "transports/stream/unique_fd.h"

namespace anywire::test {
namespace {

constexpr uint16_t kPort = 4000;

sockaddr_in At(const char* host, uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, host, &address.sin_addr);
  return address;
}

int Bind(int fd, const sockaddr_in& address) {
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}
int Connect(int fd, const sockaddr_in& address) {
  return connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

class TunPathTest : public ::testing::Test {
 protected:
  TunPathTest() : watchdog_("TunPathTest", absl::Seconds(50)) {}
  ~TunPathTest() override {
    tun_.reset();
    EXPECT_EQ(absl::OkStatus(), census_.BackToBaseline());
  }

  // Skips the test, with the reason, where the system has no TUN devices or namespaces.
  void Start(const PathOptions& path) {
    // One for each test: what TCP still has to say in the last one is not counted in the next.
    const absl::Status entered = EnterNewNetworkNamespace();
    if (!entered.ok()) GTEST_SKIP() << entered.message();
    absl::StatusOr<std::unique_ptr<TunPath>> tun =
        TunPath::Start({.path = path, .seed = TestSeed(34)});
    if (!tun.ok()) GTEST_SKIP() << tun.status().message();
    tun_ = *std::move(tun);
  }
  PathControl& path() { return tun_->path(); }

  static UniqueFd Socket(int type) { return UniqueFd(socket(AF_INET, type | SOCK_CLOEXEC, 0)); }

  // A connection of TCP, over which so many bytes go there and come back.
  static void Echo(size_t size) {
    const UniqueFd listening = Socket(SOCK_STREAM);
    const int on = 1;
    setsockopt(listening.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    ASSERT_EQ(0, Bind(listening.get(), At(TunPath::kServerHost, kPort)));
    ASSERT_EQ(0, listen(listening.get(), 1));
    std::thread server([&listening] {
      const UniqueFd accepted(accept(listening.get(), nullptr, nullptr));
      char bytes[4096];
      for (ssize_t got; (got = recv(accepted.get(), bytes, sizeof(bytes), 0)) > 0;) {
        ASSERT_EQ(got, send(accepted.get(), bytes, static_cast<size_t>(got), 0));
      }
    });
    {
      const UniqueFd client = Socket(SOCK_STREAM);
      ASSERT_EQ(0, Connect(client.get(), At(TunPath::kServerSeenHost, kPort)));
      const std::string body = MakeBody({.call = 1}, size);
      std::thread sender([&client, &body] {
        EXPECT_EQ(static_cast<ssize_t>(body.size()),
                  send(client.get(), body.data(), body.size(), 0));
        shutdown(client.get(), SHUT_WR);
      });
      std::string received(size, '\0');
      EXPECT_EQ(static_cast<ssize_t>(size), recv(client.get(), &received[0], size, MSG_WAITALL));
      EXPECT_EQ(absl::OkStatus(), CheckBody({.call = 1}, received));
      sender.join();
    }
    server.join();
  }

  const Watchdog watchdog_;
  const Census census_;
  std::unique_ptr<TunPath> tun_;
};

TEST_F(TunPathTest, TcpThroughAGoodPath) {
  Start({.delay = std::chrono::microseconds(100)});
  if (IsSkipped()) return;
  Echo(1 << 20);
  for (const Towards towards : {Towards::kServer, Towards::kClient}) {
    const PathCounts counts = path().counts(towards);
    EXPECT_EQ(counts.sent, counts.arrived());
    EXPECT_GT(counts.sent, (1u << 20) / TunPath::kMtu) << "packets are no larger than the MTU";
  }
}

// Not for what is damaged: of two bits flipped, one packet in 32 passes TCP's checksum.
TEST_F(TunPathTest, TcpMakesUpForWhatIsLost) {
  Start({.delay = std::chrono::microseconds(500), .reorder = 5, .loss = 5, .duplicate = 5});
  if (IsSkipped()) return;
  Echo(1'000'000);
  const PathCounts there = path().counts(Towards::kServer), back = path().counts(Towards::kClient);
  for (const PathCounts& counts : {there, back}) {
    EXPECT_GT(counts.sent, 1'000'000u / TunPath::kMtu);
    EXPECT_GT(counts.lost, 0u);
    EXPECT_GT(counts.reordered, 0u);
    EXPECT_GT(counts.duplicated, 0u);
  }
}

// Datagrams there, so each is one packet, and counts are exact.
class UdpThroughTunTest : public TunPathTest {
 protected:
  void Start(const PathOptions& path) {
    TunPathTest::Start(path);
    if (IsSkipped()) return;
    server_ = Socket(SOCK_DGRAM);
    client_ = Socket(SOCK_DGRAM);
    ASSERT_EQ(0, Bind(server_.get(), At(TunPath::kServerHost, kPort)));
    ASSERT_EQ(0, Connect(client_.get(), At(TunPath::kServerSeenHost, kPort)));
  }
  void TearDown() override {
    server_.Reset();
    client_.Reset();
  }
  void Send(const std::string& bytes) {
    ASSERT_EQ(static_cast<ssize_t>(bytes.size()),
              send(client_.get(), bytes.data(), bytes.size(), 0));
  }
  std::string Receive(const UniqueFd& fd) {
    std::string bytes(2000, '\0');
    peer_size_ = sizeof(peer_);
    const ssize_t size = recvfrom(fd.get(), &bytes[0], bytes.size(), 0,
                                  reinterpret_cast<sockaddr*>(&peer_), &peer_size_);
    EXPECT_GE(size, 0);
    return bytes.substr(0, static_cast<size_t>(size));
  }

  UniqueFd server_, client_;
  sockaddr_in peer_ = {};  // of the last Receive
  socklen_t peer_size_ = 0;
};

TEST_F(UdpThroughTunTest, ThereAndBack) {
  Start({.delay = std::chrono::nanoseconds(0)});
  if (IsSkipped()) return;
  Send("request");
  EXPECT_EQ("request", Receive(server_));
  EXPECT_EQ(At(TunPath::kServerSeenHost, 0).sin_addr.s_addr, peer_.sin_addr.s_addr);
  EXPECT_GE(ntohs(peer_.sin_port), TunPath::kFirstClientPort);
  ASSERT_EQ(5,
            sendto(server_.get(), "reply", 5, 0, reinterpret_cast<sockaddr*>(&peer_), peer_size_));
  EXPECT_EQ("reply", Receive(client_));
  EXPECT_EQ(1u, path().counts(Towards::kServer).sent);
  EXPECT_EQ(1u, path().counts(Towards::kClient).sent);
}

TEST_F(UdpThroughTunTest, LosesWhatItIsTold) {
  Start({.delay = std::chrono::nanoseconds(0), .loss = 20});
  if (IsSkipped()) return;
  std::vector<std::string> received;
  for (uint64_t i = 1; i <= 500; ++i) {
    Send(std::to_string(i));
    path().WaitForSent(Towards::kServer, i);
    while (received.size() < path().counts(Towards::kServer).arrived()) {
      received.push_back(Receive(server_));
    }
  }
  EXPECT_NEAR(100, path().counts(Towards::kServer).lost, 60);
  EXPECT_EQ(500 - path().counts(Towards::kServer).lost, received.size());
}

TEST_F(UdpThroughTunTest, APartitionIsOfOneDirection) {
  Start({.delay = std::chrono::nanoseconds(0)});
  if (IsSkipped()) return;
  Send("before");
  Receive(server_);
  path().Partition(Towards::kServer, true);
  Send("lost");
  ASSERT_EQ(4,
            sendto(server_.get(), "back", 4, 0, reinterpret_cast<sockaddr*>(&peer_), peer_size_));
  EXPECT_EQ("back", Receive(client_));
  path().WaitForSent(Towards::kServer, 2);
  path().Partition(Towards::kServer, false);
  Send("after");
  EXPECT_EQ("after", Receive(server_));
  EXPECT_EQ(1u, path().counts(Towards::kServer).partitioned);
  EXPECT_EQ(0u, path().counts(Towards::kClient).partitioned);
}

TEST_F(UdpThroughTunTest, TheMtuOfThePathMayBeSmallerThanThatOfTheInterface) {
  Start({.delay = std::chrono::nanoseconds(0), .mtu = 1000});
  if (IsSkipped()) return;
  constexpr size_t kHeaders = 28;  // of IPv4 and UDP
  for (const size_t size : {999 - kHeaders, 1000 - kHeaders, 1001 - kHeaders}) {
    Send(std::string(size, 'x'));
  }
  EXPECT_EQ(999 - kHeaders, Receive(server_).size());
  EXPECT_EQ(1000 - kHeaders, Receive(server_).size());
  path().WaitForSent(Towards::kServer, 3);
  EXPECT_EQ(1u, path().counts(Towards::kServer).too_large);
}

// The system's answer has the refused packet in it, by which the client's socket is found.
TEST_F(UdpThroughTunTest, WhereNobodyListensIsSaid) {
  Start({.delay = std::chrono::nanoseconds(0)});
  if (IsSkipped()) return;
  server_.Reset();
  Send("hello");
  char byte;
  EXPECT_EQ(-1, recv(client_.get(), &byte, 1, 0));
  EXPECT_EQ(ECONNREFUSED, errno);
  EXPECT_EQ(1u, path().counts(Towards::kClient).sent);
}

std::vector<uint8_t> Packet(uint8_t protocol, const std::vector<uint8_t>& payload) {
  std::vector<uint8_t> packet(20);
  packet[0] = 0x45;
  packet[9] = protocol;
  packet[12] = 1;  // from
  packet[16] = 2;  // to
  packet.insert(packet.end(), payload.begin(), payload.end());
  return packet;
}

TEST(MirrorPacketTest, AddressesAreExchanged) {
  const std::vector<uint8_t> to_server = {0xff, 0xff, 0x7f, 0xff}, to_client = {0, 1, 0x80, 0};
  std::vector<uint8_t> packet = Packet(17, to_server);
  EXPECT_EQ(Towards::kServer, MirrorPacket(absl::MakeSpan(packet)));
  EXPECT_EQ(2, packet[12]);
  EXPECT_EQ(1, packet[16]);
  packet = Packet(6, to_client);
  EXPECT_EQ(Towards::kClient, MirrorPacket(absl::MakeSpan(packet)));
}

TEST(MirrorPacketTest, AnErrorGoesTheOtherWay) {
  std::vector<uint8_t> error = {3, 3, 0, 0, 0, 0, 0, 0};
  const std::vector<uint8_t> about = Packet(17, {0xff, 0xff, 0x7f, 0xff});
  error.insert(error.end(), about.begin(), about.end());
  std::vector<uint8_t> packet = Packet(1, error);
  EXPECT_EQ(Towards::kClient, MirrorPacket(absl::MakeSpan(packet)));
  EXPECT_EQ(2, packet[28 + 12]);
  EXPECT_EQ(1, packet[28 + 16]);
}

TEST(MirrorPacketTest, WhatIsNoPacketIsLeftAlone) {
  const std::vector<uint8_t> whole = Packet(17, {0, 1, 0, 2});
  for (size_t size = 0; size < 20; ++size) {
    std::vector<uint8_t> packet(whole.begin(), whole.begin() + static_cast<long>(size));
    const std::vector<uint8_t> before = packet;
    EXPECT_EQ(std::nullopt, MirrorPacket(absl::MakeSpan(packet)));
    EXPECT_EQ(before, packet);
  }
  for (const uint8_t first :
       {0x35, 0x65, 0x44, 0x4f}) {  // versions, and headers of 16 and 60 bytes
    std::vector<uint8_t> packet = whole;
    packet[0] = first;
    EXPECT_EQ(std::nullopt, MirrorPacket(absl::MakeSpan(packet))) << int{first};
  }
}

TEST(MirrorPacketTest, AHeaderMayHaveOptions) {
  std::vector<uint8_t> packet = Packet(17, {0, 0, 0, 0, 0, 1, 0, 2});
  ASSERT_EQ(28u, packet.size());
  for (const uint8_t first : {0x46, 0x47}) {
    packet[0] = first;  // headers of 24 and 28 bytes
    EXPECT_NE(std::nullopt, MirrorPacket(absl::MakeSpan(packet))) << int{first};
  }
  EXPECT_EQ(std::nullopt, MirrorPacket(absl::MakeSpan(packet).first(27)));
  packet[0] = 0x46;
  EXPECT_EQ(Towards::kServer, MirrorPacket(absl::MakeSpan(packet)));
  packet[26] = 0x80;
  EXPECT_EQ(Towards::kClient, MirrorPacket(absl::MakeSpan(packet)));
}

// Errors within errors, and without end.
TEST(MirrorPacketTest, AnyBytesAreTaken) {
  std::mt19937_64 random(TestSeed(35));
  for (int i = 0; i < 100'000; ++i) {
    std::vector<uint8_t> packet(random() % 100);
    for (uint8_t& byte : packet) byte = random() % 4 == 0 ? static_cast<uint8_t>(random()) : 3;
    for (size_t at = 0; at + 9 < packet.size(); at += 28) {
      packet[at] = 0x45;
      packet[at + 9] = 1;
    }
    MirrorPacket(absl::MakeSpan(packet));
  }
}

}  // namespace
}  // namespace anywire::test
