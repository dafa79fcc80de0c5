// A connection's life when little goes wrong.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "transports/udp/reliability/chunk.h"
#include "transports/udp/reliability/connection_machine.h"
#include "transports/udp/reliability/ends_fixture.h"
#include "transports/udp/reliability/packet.h"

namespace anywire::udp::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ConnectionTest : public EndsTest {};

TEST_F(ConnectionTest, OpensInTwoRoundTripsAndKnowsThePath) {
  Start();
  const Instant begin = network_->now();
  ASSERT_TRUE(RunUntilState(client(), State::kOpen, seconds(1)));
  EXPECT_EQ(2 * kRoundTrip, network_->now() - begin);
  EXPECT_EQ(kRoundTrip, client().rtt().smoothed());
  ASSERT_NE(nullptr, client_->peer);
  EXPECT_EQ(State::kHalfOpen, server().state());
  EXPECT_EQ(1u, network_->endpoint().half_open());
  ASSERT_TRUE(RunUntilState(server(), State::kOpen, seconds(1)));
  EXPECT_EQ(2 * kRoundTrip + kDelay, network_->now() - begin);
  EXPECT_EQ(kRoundTrip, server().rtt().smoothed());
  EXPECT_EQ(0u, network_->endpoint().half_open());
}

// Nor do their RETRYs make it ask at once.
TEST_F(ConnectionTest, AnswersToOthersDoNotOpen) {
  Start();
  network_->on_datagram = [](bool, Datagram&) { return false; };
  network_->RunFor(Duration(1));
  const size_t asked = network_->datagrams();
  Datagram accept(kAcceptSize), retry(kRetrySize);
  WriteAccept({client().local_id() + 1, 2, ParametersOf(Options())}, absl::MakeSpan(accept));
  WriteRetry({.client_id = client().local_id() + 1}, absl::MakeSpan(retry));
  client().HandleDatagram(network_->now(), accept);
  client().HandleDatagram(network_->now(), retry);
  network_->RunFor(Duration(1));
  EXPECT_EQ(State::kOpening, client().state());
  EXPECT_EQ(asked, network_->datagrams());
}

TEST_F(ConnectionTest, OpensWithNothingToSayAndNothingToProbe) {
  client_options_.max_datagram_size = server_options_.connection.max_datagram_size =
      kBaseDatagramSize;
  Open();
}

TEST_F(ConnectionTest, TheLesserLimitsHold) {
  server_options_.connection.max_frame_size = 2000;
  client_options_.max_frame_size = 5000;
  server_options_.connection.max_datagram_size = 1300;
  Open();
  EXPECT_EQ(2000u, client().max_frame_size());
  EXPECT_EQ(2000u, server().max_frame_size());
  EXPECT_EQ(1300u, client().datagram_size());
  EXPECT_EQ(1300u, server().datagram_size());
}

TEST_F(ConnectionTest, FramesGoBothWays) {
  Open();
  EXPECT_TRUE(Send(client(), 7, "hello"));
  EXPECT_TRUE(Send(client(), 7, "again"));
  EXPECT_TRUE(Send(server(), 8, "there"));
  network_->RunFor(kDelay);
  EXPECT_THAT(Receive(server()), ElementsAre("7:hello", "7:again"));
  EXPECT_THAT(Receive(client()), ElementsAre("8:there"));
}

// The server may write before the client has been heard of again; that waits.
TEST_F(ConnectionTest, AServersFirstFramesWaitForTheClient) {
  Start();
  ASSERT_TRUE(network_->RunUntil([this] { return client_->peer != nullptr; }, seconds(1)));
  ASSERT_EQ(State::kHalfOpen, server().state());
  EXPECT_TRUE(Send(server(), 0, "hello"));
  ASSERT_TRUE(RunUntilFrames(client(), seconds(1)));
  EXPECT_THAT(Receive(client()), ElementsAre("0:hello"));
}

TEST_F(ConnectionTest, AReplyAcknowledgesItsRequest) {
  Open();
  network_->on_step = [this] {
    for (const std::string& frame : Receive(server())) Send(server(), 1, frame);
  };
  const size_t before = network_->datagrams();
  constexpr size_t kCalls = 50;
  for (size_t i = 0; i < kCalls; ++i) {
    Send(client(), 1, "call");
    ASSERT_TRUE(RunUntilFrames(client(), kRoundTrip)) << i;
    Receive(client());
  }
  EXPECT_EQ(2 * kCalls, network_->datagrams() - before);
}

TEST_F(ConnectionTest, SmallFramesShareDatagrams) {
  Open();
  const size_t before = network_->datagrams();
  for (int i = 0; i < 20; ++i) Send(client(), 1 + i, std::string(50, 'x'));
  network_->RunFor(kDelay);
  EXPECT_EQ(20u, Receive(server()).size());
  EXPECT_EQ(1u, network_->datagrams() - before);
}

TEST_F(ConnectionTest, IdleIsSilent) {
  Open();
  const size_t before = network_->datagrams();
  network_->RunFor(seconds(29));
  EXPECT_EQ(before, network_->datagrams());
}

// The last packet of a call: nothing comes after it from which its loss could be seen.
TEST_F(ConnectionTest, ALostRequestIsSentAgainSoon) {
  Open();
  LoseNextTo(Side::kServer);
  Send(client(), 1, "call");
  const Instant begin = network_->now();
  ASSERT_TRUE(RunUntilFrames(server(), seconds(1)));
  // A probe timeout, of which the handshake's few samples make two and a half round trips.
  EXPECT_LE(network_->now() - begin, 3 * kRoundTrip + milliseconds(2));
  EXPECT_THAT(Receive(server()), ElementsAre("1:call"));
  network_->RunFor(seconds(1));
  EXPECT_THAT(Receive(server()), IsEmpty()) << "though two probes carried it";
}

// The reason for all this.
TEST_F(ConnectionTest, ALostPacketHoldsUpItsOwnStreamOnly) {
  Open();
  LoseNextTo(Side::kServer);
  Send(client(), 1, "lost");
  network_->RunFor(Duration(1));
  Send(client(), 1, "waits");
  Send(client(), 2, "does not");
  network_->RunFor(kDelay);
  EXPECT_THAT(Receive(server()), ElementsAre("2:does not"));
  network_->RunFor(seconds(1));
  EXPECT_THAT(Receive(server()), ElementsAre("1:lost", "1:waits"));
}

TEST_F(ConnectionTest, AReaderThatDoesNotReadStopsTheWriter) {
  server_options_.connection.receive_window = 50'000;
  client_options_.send_buffer = 60'000;
  Open();
  size_t sent = 0;
  for (int i = 0; i < 100; ++i) {
    while (Send(client(), 1 + i % 5, std::string(1000, 'x'))) ++sent;
    network_->RunFor(milliseconds(50));
    EXPECT_FALSE(client().TakeRoom() && i > 10);
    EXPECT_LE(server().held(), 50'000u);
    EXPECT_LE(client().held(), 60'000u);
  }
  EXPECT_EQ(50'000 / 1128 + 60'000 / 1128, sent);
  size_t received = 0;
  network_->on_step = [&] { received += Receive(server()).size(); };
  EXPECT_TRUE(network_->RunUntil([&] { return received == sent; }, seconds(2)));
  EXPECT_TRUE(client().TakeRoom());
  network_->RunFor(kRoundTrip);
  EXPECT_EQ(0u, client().held());
}

TEST_F(ConnectionTest, CreditThatWasLostIsToldAgain) {
  server_options_.connection.receive_window = 20'000;
  Open();
  while (Send(client(), 1, std::string(1000, 'x'))) {
  }
  network_->RunFor(seconds(1));
  LoseNextTo(Side::kClient);
  EXPECT_EQ(17u, Receive(server()).size());
  network_->RunFor(Duration(0));
  EXPECT_FALSE(losing()) << "what was lost told of credit";
  // Long before the probe timeout: others have arrived.
  for (int i = 0; i < 4; ++i) {
    Send(server(), 2, "x");
    network_->RunFor(Duration(1));
  }
  EXPECT_TRUE(RunUntilFrames(server(), 2 * kRoundTrip + milliseconds(1)));
}

TEST_F(ConnectionTest, AProbeTellsOfCreditToo) {
  server_options_.connection.receive_window = 20'000;
  Open();
  while (Send(client(), 1, std::string(1000, 'x'))) {
  }
  network_->RunFor(seconds(1));
  LoseNextTo(Side::kClient);
  Receive(server());
  const Duration timeout = server().rtt().ProbeTimeout(client_options_.max_ack_delay);
  EXPECT_TRUE(RunUntilFrames(server(), timeout + kRoundTrip));
  EXPECT_FALSE(losing());
}

TEST_F(ConnectionTest, NoMoreThanAWindowIsOnItsWay) {
  Open();
  const uint64_t before = network_->bytes(true);
  while (Send(client(), 1, std::string(10'000, 'x'))) {
  }
  network_->RunFor(kRoundTrip - Duration(1));
  EXPECT_LE(network_->bytes(true) - before, InitialWindow(kBaseDatagramSize));
  EXPECT_GE(network_->bytes(true) - before, InitialWindow(kBaseDatagramSize) - 1452);
  network_->RunFor(kRoundTrip);
  EXPECT_LE(network_->bytes(true) - before, 3 * InitialWindow(kBaseDatagramSize)) << "it doubles";
  EXPECT_GE(network_->bytes(true) - before, 2 * InitialWindow(kBaseDatagramSize));
}

TEST_F(ConnectionTest, LargeFramesOnALongWay) {
  path_.delay = milliseconds(100);
  Options options;
  options.max_frame_size = kLargestMaxFrameSize;
  client_options_ = server_options_.connection = options;
  Open();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Send(client(), 1, std::string(64 << 10, 'a' + i)));
  size_t received = 0;
  network_->on_step = [&] {
    for (const std::string& frame : Receive(server())) {
      EXPECT_EQ(absl::StrCat("1:", std::string(64 << 10, static_cast<char>('a' + received))),
                frame);
      ++received;
    }
  };
  EXPECT_TRUE(network_->RunUntil([&] { return received == 5; }, seconds(10)));
}

TEST_F(ConnectionTest, PathMtuIsFound) {
  path_.mtu = 1400;
  Options options;
  options.max_datagram_size = 9000;
  client_options_ = server_options_.connection = options;
  Open();
  network_->RunFor(seconds(5));
  for (ConnectionMachine* const machine : {&client(), &server()}) {
    EXPECT_LE(machine->datagram_size(), 1400u);
    EXPECT_GE(machine->datagram_size(), 1380u);
  }
}

// The first probe is lost, but not what the server waits for.
TEST_F(ConnectionTest, PathMtuProbesDoNotHoldUpTheOpening) {
  for (const size_t mtu : {1200, 1400, 1500}) {
    SCOPED_TRACE(mtu);
    path_.mtu = mtu;
    Start();
    ASSERT_TRUE(RunUntilState(client(), State::kOpen, seconds(1)));
    EXPECT_TRUE(RunUntilState(server(), State::kOpen, kDelay));
  }
}

// However large, and though it is lost.
TEST_F(ConnectionTest, PathMtuProbesDoNotHoldUpFrames) {
  path_.mtu = 1472;
  Options options;
  options.max_datagram_size = kLargestDatagramSize;
  client_options_ = server_options_.connection = options;
  Open();
  for (int i = 0; i < 200; ++i) {
    Send(client(), 1, std::string(3000, 'x'));
    ASSERT_TRUE(RunUntilFrames(server(), kDelay)) << i;
    Receive(server());
  }
  EXPECT_GE(client().datagram_size(), 1472 - PathMtu::kSearchStep) << "and found its size";
}

TEST_F(ConnectionTest, WithinAHostTheLargestDatagramIsFoundAtOnce) {
  path_.delay = std::chrono::microseconds(20);
  Options options;
  options.max_datagram_size = kLargestDatagramSize;
  client_options_ = server_options_.connection = options;
  Open();
  EXPECT_EQ(kLargestDatagramSize, client().datagram_size());
  EXPECT_EQ(kLargestDatagramSize, server().datagram_size());
}

TEST_F(ConnectionTest, APathThatShrinksIsNoticed) {
  Open();
  EXPECT_EQ(1452u, client().datagram_size());
  network_->path().mtu = 1250;
  for (int i = 0; i < 10; ++i) Send(client(), 1, std::string(5000, 'x'));
  size_t received = 0;
  network_->on_step = [&] { received += Receive(server()).size(); };
  EXPECT_TRUE(network_->RunUntil([&] { return received == 10; }, seconds(5)));
  EXPECT_EQ(kBaseDatagramSize, client().datagram_size());
}

// The probe beside it is small, passes, and says nothing of large ones.
TEST_F(ConnectionTest, OneLargeFrameOnAPathThatHasShrunk) {
  Open();
  network_->path().mtu = 1250;
  for (int i = 0; i < 3; ++i) {
    Send(client(), 1, std::string(1390, 'x'));
    EXPECT_TRUE(RunUntilFrames(server(), 10 * kRoundTrip)) << i;
    Receive(server());
  }
  EXPECT_EQ(kBaseDatagramSize, client().datagram_size());
}

TEST_F(ConnectionTest, ALargeFrameBesideSmallOnesOnAPathThatHasShrunk) {
  Open();
  network_->path().mtu = 1250;
  Send(client(), 2, std::string(1390, 'x'));
  bool arrived = false;
  Instant next = network_->now();
  network_->on_step = [&] {
    if (network_->now() >= next) {
      Send(client(), 3, "small");
      next = network_->now() + milliseconds(3);
    }
    for (const std::string& frame : Receive(server())) arrived |= frame.size() > 1000;
  };
  for (int i = 0; i < 100 && !arrived; ++i) network_->RunFor(milliseconds(1));
  EXPECT_TRUE(arrived);
  EXPECT_EQ(kBaseDatagramSize, client().datagram_size());
}

TEST_F(ConnectionTest, ALossyPathIsNoBlackHole) {
  Open();
  network_->path().loss = 10;
  size_t received = 0;
  network_->on_step = [&] {
    while (received < 1000 && Send(client(), 1, std::string(2000, 'x'))) {
    }
    received += Receive(server()).size();
    EXPECT_EQ(1452u, client().datagram_size());
  };
  EXPECT_TRUE(network_->RunUntil([&] { return received >= 1000; }, seconds(100)));
}

// All that was on its way is lost, and that once.
TEST_F(ConnectionTest, ASilenceIsNoBlackHole) {
  Open();
  for (int i = 0; i < 10; ++i) Send(client(), 1, std::string(5000, 'x'));
  network_->path().loss = 100;
  network_->RunFor(seconds(5));
  network_->path().loss = 0;
  size_t received = 0;
  network_->on_step = [&] { received += Receive(server()).size(); };
  EXPECT_TRUE(network_->RunUntil([&] { return received == 10; }, seconds(10)));
  EXPECT_EQ(1452u, client().datagram_size());
}

// What the peer has not seen is not repeated by the path, but the path may repeat what it has seen.
TEST_F(ConnectionTest, ARecordedSessionChangesNothingWhenItIsPlayedAgain) {
  std::vector<Datagram> to_server, to_client;
  Start();
  network_->on_datagram = [&](bool is_to_server, Datagram& datagram) {
    (is_to_server ? to_server : to_client).push_back(datagram);
    return true;
  };
  Open();
  for (int i = 0; i < 20; ++i) {
    Send(client(), 1 + i % 3, absl::StrCat("request ", i));
    network_->RunFor(kDelay);
    for (const std::string& frame : Receive(server())) Send(server(), 1 + i % 3, frame);
    network_->RunFor(kRoundTrip);
    EXPECT_EQ(1u, Receive(client()).size());
  }
  network_->on_datagram = nullptr;
  network_->RunFor(kRoundTrip);
  const size_t before = network_->datagrams();
  for (int i = 0; i < 10; ++i) {
    std::shuffle(to_server.begin(), to_server.end(), network_->random());
    std::shuffle(to_client.begin(), to_client.end(), network_->random());
    for (const Datagram& datagram : to_server) network_->Inject(client_->address, datagram);
    for (const Datagram& datagram : to_client) client().HandleDatagram(network_->now(), datagram);
    network_->RunFor(kRoundTrip);
  }
  EXPECT_THAT(Receive(server()), IsEmpty());
  EXPECT_THAT(Receive(client()), IsEmpty());
  EXPECT_EQ(before, network_->datagrams()) << "nor is any of it answered";
  Send(client(), 1, "goes on");
  network_->RunFor(kDelay);
  EXPECT_THAT(Receive(server()), ElementsAre("1:goes on"));
  EXPECT_EQ(1u, network_->endpoint().connections());
}

}  // namespace
}  // namespace anywire::udp::test
