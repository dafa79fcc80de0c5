#include <malloc.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/ipv6.h"
#include "tests/support/seed.h"
#include "transports/udp/udp_transport_fixture.h"

namespace anywire::udp {
namespace {

using anywire::test::Content;
using anywire::test::Frame;
using anywire::test::Patience;
using anywire::test::Peer;
using anywire::test::TestSeed;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Connected;
using test::DatagramFaults;
using test::UdpTransportTest;
using ::testing::HasSubstr;

TEST_F(UdpTransportTest, Addresses) {
  for (const char* good : {"127.0.0.1:1", "[::1]:65535", "host.example:4000", "0.0.0.0:0"}) {
    EXPECT_TRUE(transport_->CheckAddress(good).ok()) << good;
  }
  for (const char* bad : {"", "host", ":1", "host:65536", "::1:80", "[::1", "a b:1"}) {
    EXPECT_EQ(absl::StatusCode::kInvalidArgument, transport_->CheckAddress(bad).code()) << bad;
  }
  EXPECT_THAT(std::string(Connect("127.0.0.1:0").status().message()), HasSubstr("port 0"));
}

TEST_F(UdpTransportTest, IPv6) {
  const absl::Status listening = Listen("[::1]:0");
  if (!anywire::test::HasIpv6()) {
    EXPECT_THAT(listening.message(), HasSubstr("[::1]")) << "an error that names the address";
    return;
  }
  ASSERT_EQ(absl::OkStatus(), listening);
  EXPECT_TRUE(absl::StartsWith(listener_->address(), "udp://[::1]:"));
  Join(Target("[::1]"));
  ExpectEcho();
  EXPECT_TRUE(client().connection().info().host_private);
}

// Each connection knows at which of the host's addresses it was asked for.
TEST_F(UdpTransportTest, EveryAddressOfTheHost) {
  for (const auto& [bound, hosts] :
       {std::pair<std::string, std::vector<std::string>>("0.0.0.0:0", {"127.0.0.1", "127.0.0.9"}),
        {"[::]:0", {"[::1]", "127.0.0.1", "127.0.0.9"}}}) {
    if (bound[0] == '[' && !anywire::test::HasIpv6()) continue;
    ASSERT_TRUE(Listen(bound).ok());
    for (const std::string& host : hosts) {
      Join(Target(host));
      ExpectEcho();
      const ConnectionInfo& at_client = client().connection().info();
      const ConnectionInfo& at_server = server().connection().info();
      const std::string mapped = host[0] != '[' && bound[0] == '[' ? "[::ffff:" : "";
      EXPECT_THAT(at_server.local_address, HasSubstr(mapped + host));
      EXPECT_THAT(at_client.remote_address, HasSubstr(host));
      EXPECT_TRUE(at_client.host_private && at_server.host_private);
    }
  }
}

TEST_F(UdpTransportTest, TakenByAnotherProgram) {
  const SocketAddress any = LookUp({"127.0.0.1", 0}, true).value().at(0);
  DatagramSocket other = DatagramSocket::Bind(any, DatagramSocket::Reuse::kNone).value();
  const std::string address = other.local_address().value().ToString();
  EventLoop second("second");
  EXPECT_EQ(absl::StatusCode::kAlreadyExists, Listen(address).code());
  EXPECT_EQ(absl::StatusCode::kAlreadyExists,
            Listen(address, {.loops = {&server_loop_, &second}}).code());
}

// Connections go on at an address that is listened on anew.
TEST_F(UdpTransportTest, AddressIsTakenOverFromAListenerThatIsGone) {
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  Join(Target());
  const std::string address = Target();
  for (int i = 0; i < 3; ++i) {
    Close();
    EXPECT_EQ(absl::StatusCode::kUnavailable, Connect(address).status().code());
    ExpectEcho();
    ASSERT_TRUE(Listen(address).ok());
    ExpectEcho();
    Connected client = Connect(address);
    Connected server = Accept();
    EXPECT_TRUE(client.ok() && server.ok());
    client_loop_.RunAndWait([&] { client->reset(); });
    server_loop_.RunAndWait([&] { server->reset(); });
  }
  Close();
  // Not for other loops: sockets live on theirs.
  EventLoop other("other");
  EXPECT_EQ(absl::StatusCode::kAlreadyExists, Listen(address, {.loops = {&other}}).code());
  ASSERT_TRUE(Listen(address).ok());
}

TEST_F(UdpTransportTest, TwoDoNotTakeTheSameAddressOver) {
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  Join(Target());
  const std::string address = Target();
  Close();
  ASSERT_TRUE(Listen(address).ok());
  const std::unique_ptr<Listener> first = std::move(listener_);
  EXPECT_EQ(absl::StatusCode::kAlreadyExists, Listen(address).code());
  server_loop_.RunAndWait([&] { const_cast<std::unique_ptr<Listener>&>(first) = nullptr; });
}

// ---- peers that are gone

TEST_F(UdpTransportTest, NobodyListensIsNoticedAtOnce) {
  UdpOptions options = Quiet();
  options.endpoint.connection.initial_rtt = kLongestInitialRtt;  // and so it asks but once
  Use(options);
  const SocketAddress any = LookUp({"127.0.0.1", 0}, true).value().at(0);
  std::optional<DatagramSocket> other(
      DatagramSocket::Bind(any, DatagramSocket::Reuse::kNone).value());
  const std::string address = other->local_address().value().ToString();
  other.reset();
  const Instant begin = std::chrono::steady_clock::now();
  const absl::Status status = Connect(address).status();
  EXPECT_EQ(absl::StatusCode::kUnavailable, status.code());
  EXPECT_THAT(std::string(status.message()), HasSubstr("nobody listens there"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(20)) << "it waited";
}

// A server that has lost its memory says so to those who knew it.
TEST_F(UdpTransportTest, RestartedServerIsNoticedInARoundTrip) {
  UdpOptions options = Quiet();
  options.endpoint.connection.linger_timeout = Duration(0);
  Use(options);
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  const std::string address = Target();
  Join(address);
  ExpectEcho();
  VanishServer();
  ASSERT_TRUE(Listen(address).ok());
  const Instant begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(client().Send(1, "do you remember me?").ok());
  const absl::Status end = client().ReceiveEnd();
  EXPECT_EQ(absl::StatusCode::kUnavailable, end.code());
  EXPECT_THAT(std::string(end.message()), HasSubstr("does not know the connection any more"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(20)) << "it waited";
}

TEST_F(UdpTransportTest, KilledServerIsNoticedByItsHost) {
  UdpOptions options = Quiet();
  options.endpoint.connection.linger_timeout = Duration(0);
  Use(options);
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  Join(Target());
  ExpectEcho();
  VanishServer();
  const Instant begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(client().Send(1, "anybody?").ok());
  const absl::Status end = client().ReceiveEnd();
  EXPECT_EQ(absl::StatusCode::kUnavailable, end.code());
  EXPECT_THAT(std::string(end.message()), HasSubstr("nobody is there"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(20)) << "it waited";
}

// ---- ends

// A reply, and then its server goes, over a path that loses every third datagram.
TEST_F(UdpTransportTest, WhatWasSentArrivesThoughItsSenderHasGone) {
  std::mt19937_64 random(TestSeed(7));
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  for (int round = 0; round < 10; ++round) {
    Join(Target());
    DatagramFaults faults;
    faults.LoseUnless([&random](absl::Span<const uint8_t>) { return random() % 3 != 0; });
    constexpr uint64_t kFrames = 20;
    for (uint64_t i = 0; i < kFrames; ++i) {
      ASSERT_TRUE(server().Send(1, Content(1, i, 3000)).ok());
    }
    servers_.clear();
    std::vector<Frame> frames;
    const absl::Status end = client().Receive(SIZE_MAX, frames);
    ASSERT_EQ(kFrames, frames.size()) << end;
    for (uint64_t i = 0; i < kFrames; ++i) EXPECT_EQ(Content(1, i, 3000), frames[i].bytes);
    EXPECT_EQ(absl::StatusCode::kUnavailable, end.code());
    faults.LoseUnless(nullptr);
    clients_.clear();
  }
}

// What cannot arrive is given up, and then the socket goes.
TEST_F(UdpTransportTest, LingeringEnds) {
  UdpOptions options = Quiet();
  options.endpoint.connection.linger_timeout = milliseconds(50);
  Use(options);
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  Join(Target());
  const std::string address = Target();
  DatagramFaults faults;
  faults.LoseUnless([](absl::Span<const uint8_t>) { return false; });
  ASSERT_TRUE(server().Send(1, "lost").ok());
  servers_.clear();
  clients_.clear();
  Close();
  ExpectComesFree(address);
}

// A loop that ends waits for nobody.
TEST_F(UdpTransportTest, LoopEndsAmidLingering) {
  UdpOptions options = Quiet();
  options.endpoint.connection.linger_timeout = std::chrono::minutes(1);
  Use(options);
  DatagramFaults faults;
  const Instant begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) {
    EventLoop loop("short-lived");
    ASSERT_TRUE(Listen("127.0.0.1:0").ok());
    Connected client = Await(loop, [&] { return transport_->Connect(loop, Target(), {}); });
    ASSERT_TRUE(client.ok()) << client.status();
    Peer peer(loop, *std::move(client));
    faults.LoseUnless([](absl::Span<const uint8_t>) { return false; });
    ASSERT_TRUE(peer.Send(1, "lost").ok());
    peer.Destroy();
    faults.LoseUnless(nullptr);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(30));
}

// Whoever began to connect and went away does not keep Accept from its end.
TEST_F(UdpTransportTest, HalfOpenConnectionsEnd) {
  UdpOptions options = Quiet();
  options.endpoint.connection.half_open_timeout = milliseconds(50);
  Use(options);
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  {
    // No DATA packet of its passes, and so its half of the connection stays half open.
    DatagramFaults faults;
    std::atomic<bool> accepted{false};
    faults.LoseUnless([&accepted](absl::Span<const uint8_t> datagram) {
      if (datagram[0] == 0xa3) accepted = true;
      return datagram[0] != 0xa5;
    });
    Connected client = Connect(Target());
    EXPECT_TRUE(client.ok()) << client.status();
    EXPECT_TRUE(accepted);
    server_loop_.RunAndWait([this] { listener_->Close(); });
    EXPECT_EQ(absl::StatusCode::kUnavailable, Accept().status().code());
    client_loop_.RunAndWait([&client] { client->reset(); });
  }
}

TEST_F(UdpTransportTest, ConnectionsThatWaitForAcceptAreLimited) {
  UdpOptions options = Quiet();
  options.backlog = 2;
  Use(options);
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  for (int i = 0; i < 3; ++i) {
    Connected client = Connect(Target());
    ASSERT_TRUE(client.ok()) << client.status();
    clients_.push_back(std::make_unique<Peer>(client_loop_, *std::move(client)));
    // (It may have been given up by now.)
    EXPECT_TRUE(clients_.back()->Send(1, "x").ok() || i == 2);
    server_loop_.RunAndWait([] {});
  }
  EXPECT_THAT(std::string(client().ReceiveEnd().message()), HasSubstr("wait to be accepted"));
  for (int i = 0; i < 2; ++i) {
    Connected server = Accept();
    ASSERT_TRUE(server.ok()) << server.status();
    servers_.push_back(std::make_unique<Peer>(server_loop_, *std::move(server)));
    EXPECT_EQ("x", servers_.back()->ReceiveOne().value_or(Frame{}).bytes);
  }
  EXPECT_EQ(absl::StatusCode::kDeadlineExceeded, Accept(milliseconds(20)).status().code());
  Join(Target());  // there is room again
}

TEST_F(UdpTransportTest, ConnectionsAreLimited) {
  UdpOptions options = Quiet();
  options.endpoint.max_connections = 2;
  Use(options);
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  Join(Target());
  Join(Target());
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, Connect(Target()).status().code());
}

// ---- strangers

TEST_F(UdpTransportTest, WhatStrangersSendHarmsNobody) {
  std::mt19937_64 random(TestSeed(9));
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  // What is really said, to be changed a little.
  std::vector<std::string> heard;
  {
    DatagramFaults faults;
    faults.LoseUnless([&heard](absl::Span<const uint8_t> datagram) {
      heard.emplace_back(datagram.begin(), datagram.end());
      return true;
    });
    Join(Target());
    ExpectEcho();
  }
  std::vector<DatagramSocket> strangers;
  const SocketAddress at =
      LookUp({"127.0.0.1", static_cast<uint16_t>(std::stoi(Target().substr(10)))}, true)
          .value()
          .at(0);
  for (int i = 0; i < 4; ++i) strangers.push_back(DatagramSocket::Connect(at).value());
  for (int i = 0; i < 5000; ++i) {
    std::string datagram;
    if (random() % 2 == 0) {
      datagram = heard[random() % heard.size()];
      for (uint64_t changes = random() % 4; changes > 0 && !datagram.empty(); --changes) {
        datagram[random() % datagram.size()] = static_cast<char>(random());
      }
      if (random() % 8 == 0) datagram.resize(random() % 2000);
    } else {
      datagram.resize(random() % 1500);
      for (char& c : datagram) c = static_cast<char>(random());
    }
    const absl::Span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(datagram.data()),
                                          datagram.size());
    strangers[random() % strangers.size()].SendOne(bytes, DatagramPath());
    if (i % 100 == 0) ExpectEcho();
    if (HasFailure()) return;
  }
  ExpectEcho();
  EXPECT_EQ(absl::StatusCode::kDeadlineExceeded, Accept(milliseconds(20)).status().code());
}

// ---- what users set

TEST_F(UdpTransportTest, WindowOutOfRangeIsRefused) {
  constexpr size_t kLeast = 256 << 10, kMost = 512 << 20;
  for (const size_t window : {size_t{0}, kLeast - 1, kLeast, kMost, kMost + 1, ~size_t{0}}) {
    const absl::Status status = Listen("127.0.0.1:0", {.loops = {}, .window = window});
    const bool is_allowed = window >= kLeast && window <= kMost;
    EXPECT_EQ(is_allowed ? absl::StatusCode::kOk : absl::StatusCode::kInvalidArgument,
              status.code())
        << window;
    if (is_allowed) continue;
    Connected connected = Await(client_loop_, [&] {
      return transport_->Connect(client_loop_, "127.0.0.1:1",
                                 {.in_place = std::nullopt, .window = window});
    });
    EXPECT_EQ(absl::StatusCode::kInvalidArgument, connected.status().code()) << window;
  }
}

TEST_F(UdpTransportTest, WindowIsAsAsked) {
  for (const size_t window : {size_t{256} << 10, size_t{2} << 20}) {
    for (const auto control :
         {anywire::CongestionControl::kNewReno, anywire::CongestionControl::kCubic}) {
      ASSERT_TRUE(
          Listen("127.0.0.1:0", {.loops = {}, .congestion_control = control, .window = window})
              .ok());
      Connected connected = Await(client_loop_, [&] {
        return transport_->Connect(
            client_loop_, Target(),
            {.in_place = std::nullopt, .congestion_control = control, .window = window});
      });
      Connected accepted = Accept();
      ASSERT_TRUE(connected.ok() && accepted.ok()) << connected.status() << accepted.status();
      Peer client(client_loop_, *std::move(connected));
      Peer server(server_loop_, *std::move(accepted));
      // Nobody reads: what the sender keeps is the window, and what has left it as much at most.
      for (Peer* peer : {&client, &server}) {
        size_t bytes = 0;
        while (bytes < 8 * window && peer->TryWrite(1, std::string(10'000, 'x'))) bytes += 10'000;
        EXPECT_GT(bytes, window * 9 / 10);
        EXPECT_LE(bytes, window);
      }
    }
  }
}

// ---- what a connection costs

TEST_F(UdpTransportTest, IdleConnectionsAreSmall) {
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  for (int i = 0; i < 20; ++i) {
    Join(Target());
    ExpectEcho();
  }
  const size_t before = mallinfo2().uordblks;
  constexpr size_t kConnections = 200;
  for (size_t i = 0; i < kConnections; ++i) {
    Join(Target());
    ExpectEcho();
  }
  const size_t each = (mallinfo2().uordblks - before) / kConnections;
  RecordProperty("bytes", static_cast<int>(each));
  EXPECT_LE(each, 2 * 8192u) << "of both sides together, with what the test has of them";
}

}  // namespace
}  // namespace anywire::udp
