// What a connection does about losses, and does not do about what is none: seen from outside, in
// exact times and numbers.
#include <optional>
#include <string>
#include <vector>

#include "transports/udp/reliability/chunk.h"
#include "transports/udp/reliability/connection_machine.h"
#include "transports/udp/reliability/ends_fixture.h"
#include "transports/udp/reliability/packet.h"

namespace anywire::udp::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RecoveryTest : public EndsTest {
 protected:
  static bool CarriesFrame(const Datagram& datagram, uint64_t id) {
    if (IdentifyPacket(datagram) != PacketKind::kData) return false;
    const std::optional<DataPacket> packet = ReadData(datagram);
    if (!packet) return false;
    ChunkReader reader(packet->chunks);
    while (reader.Next()) {
      if (reader.kind() == ChunkKind::kFrame && reader.frame().id == id) return true;
    }
    return false;
  }
};

// Where a round trip is shorter than the delay of an acknowledgement, a gap is told of at once.
TEST_F(RecoveryTest, WithinAHostTheNextPacketShowsALoss) {
  path_.delay = microseconds(20);
  Open();
  LoseNextTo(Side::kServer);
  Send(client(), 1, "lost");
  network_->RunFor(Duration(1));
  Send(client(), 2, "next");
  network_->RunFor(microseconds(100) + 2 * path_.delay);
  EXPECT_THAT(Receive(server()), ElementsAre("2:next", "1:lost"));
}

// A packet is lost when three later ones have come, or one and an eighth of a round trip more has
// passed.
TEST_F(RecoveryTest, APacketThatIsOvertakenIsNotSentAgain) {
  Open();
  size_t carried = 0;
  std::optional<Datagram> late;
  network_->on_datagram = [&](bool to_server, Datagram& datagram) {
    if (!to_server || !CarriesFrame(datagram, 1)) return true;
    ++carried;
    if (late) return true;
    late = datagram;
    return false;
  };
  Send(client(), 1, "late");
  network_->RunFor(Duration(1));
  Send(client(), 2, "next");
  network_->RunFor(kDelay + milliseconds(1));
  network_->Inject(client_->address, *late);
  EXPECT_THAT(Receive(server()), ElementsAre("2:next", "1:late"));
  network_->RunFor(seconds(1));
  EXPECT_EQ(1u, carried);
  EXPECT_THAT(Receive(server()), IsEmpty());
}

TEST_F(RecoveryTest, ProbesOfADeadPathBecomeRare) {
  client_options_.idle_timeout = server_options_.connection.idle_timeout = seconds(300);
  Open();
  network_->on_datagram = [](bool, Datagram&) { return false; };
  const size_t before = network_->datagrams();
  Send(client(), 1, "x");
  network_->RunFor(seconds(60));
  // Two each time: after about 20 ms, after twice as much and so on, and then every ten seconds.
  EXPECT_GE(network_->datagrams() - before, 20u);
  EXPECT_LE(network_->datagrams() - before, 36u);
}

TEST_F(RecoveryTest, AProbeRepeatsTheGoodbye) {
  Open();
  LoseNextTo(Side::kServer);
  client().Close(network_->now());
  const Duration probe_timeout =
      client().rtt().ProbeTimeout(server_options_.connection.max_ack_delay);
  EXPECT_TRUE(RunUntilState(client(), State::kEnded, probe_timeout + kRoundTrip + milliseconds(1)));
  EXPECT_EQ("closed", client().status().message());
}

// The receiver remembers no more than so many ranges; what is below them is old, too.
TEST_F(RecoveryTest, WhatCameLongAgoIsNotTakenAgain) {
  Open();
  std::vector<Datagram> seen;
  bool losing = false;
  network_->on_datagram = [&](bool to_server, Datagram& datagram) {
    if (!to_server) return true;
    losing = !losing;
    if (!losing) seen.push_back(datagram);
    return !losing;
  };
  for (size_t i = 0; i < 2 * ReceivedPackets::kMaxRanges; ++i) {
    Send(client(), 1, "x");
    ASSERT_TRUE(RunUntilFrames(server(), seconds(10)));
    Receive(server());
  }
  network_->on_datagram = nullptr;
  network_->RunFor(seconds(1));
  const size_t before = network_->datagrams();
  for (const Datagram& datagram : seen) network_->Inject(client_->address, datagram);
  network_->RunFor(seconds(1));
  EXPECT_EQ(before, network_->datagrams()) << "nothing is answered";
}

TEST_F(RecoveryTest, NoFrameIsBegunTooFarAheadOfALostOne) {
  Open();
  bool losing = true;
  network_->on_datagram = [&losing](bool to_server, Datagram& datagram) {
    return !losing || !to_server || !CarriesFrame(datagram, 1);
  };
  Send(client(), 1, "lost");
  network_->RunFor(Duration(1));
  for (uint64_t i = 0; i < 5000; ++i) ASSERT_TRUE(Send(client(), 2 + i, "x"));
  size_t received = 0;
  network_->on_step = [&] {
    if (client_->peer != nullptr) received += Receive(server()).size();
  };
  network_->RunFor(seconds(1));
  // All but those that travel with it.
  EXPECT_GE(received, kFrameSpan / 2);
  EXPECT_LT(received, kFrameSpan);
  EXPECT_EQ(State::kOpen, client().state()) << client().status();
  losing = false;
  EXPECT_TRUE(network_->RunUntil([&] { return received == 5001; }, seconds(11))) << received;
}

// A stream that waits for a lost packet does not use up the credit that others need.
TEST_F(RecoveryTest, AStreamThatWaitsLeavesCreditToOthers) {
  path_.delay = milliseconds(50);
  client_options_.stream_window = 32 << 10;
  server_options_.connection.receive_window = 128 << 10;
  Open();
  // Until the congestion window is as large as all the credit.
  for (int i = 0; i < 20; ++i) {
    for (uint64_t stream = 10; stream < 20; ++stream) {
      for (int k = 0; k < 10; ++k) Send(client(), stream, std::string(1000, 'x'));
    }
    network_->RunFor(3 * path_.delay);
    Receive(server());
  }
  LoseNextTo(Side::kServer);
  Send(client(), 1, "lost");
  network_->RunFor(Duration(1));
  for (int i = 0; i < 200; ++i) Send(client(), 1, std::string(1000, 'x'));
  // No loss has been noticed yet.
  network_->RunFor(2 * path_.delay - milliseconds(10));
  Send(client(), 2, "another");
  network_->RunFor(path_.delay + milliseconds(1));
  EXPECT_THAT(Receive(server()), ElementsAre("2:another"));
}

}  // namespace
}  // namespace anywire::udp::test
