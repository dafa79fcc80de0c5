// Peers that break the rules, and strangers.
#include <algorithm>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/support/seed.h"
#include "transports/udp/reliability/chunk.h"
#include "transports/udp/reliability/connection_machine.h"
#include "transports/udp/reliability/ends_fixture.h"
#include "transports/udp/reliability/packet.h"
#include "transports/udp/reliability/talk.h"

namespace anywire::udp::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class HostileTest : public EndsTest {
 protected:
  // A packet to the server, as the client would seal it, with these chunks.
  Datagram Forge(absl::Span<const uint8_t> chunks, uint64_t number) {
    Datagram datagram(kDataHeaderSize + chunks.size() + kCheckSize);
    WriteDataHeader(server().local_id(), number, datagram.data());
    std::copy(chunks.begin(), chunks.end(), datagram.begin() + kDataHeaderSize);
    SealPacket(datagram.data(), kDataHeaderSize + chunks.size());
    return datagram;
  }
  // Gives it to the server, and returns what it thinks of it.
  absl::Status Inject(const std::vector<uint8_t>& chunks) {
    ConnectionMachine& machine = server();
    network_->Inject(client_->address, Forge(chunks, next_number_++));
    return machine.status();
  }

  // A frame of this size in pieces of a byte each, all apart.
  static std::vector<uint8_t> EveryOtherByte(size_t size) {
    std::vector<uint8_t> chunks(kBaseDatagramSize - kDataHeaderSize - kCheckSize);
    ChunkWriter writer(absl::MakeSpan(chunks));
    const uint8_t byte = 9;
    for (uint64_t at = 0; at < size; at += 2) {
      const FrameChunk piece = {
          .id = 50, .stream = 1, .offset = at, .frame_size = size, .bytes = {&byte, 1}};
      if (!writer.Frame(piece)) break;
    }
    chunks.resize(writer.size());
    return chunks;
  }

  uint64_t next_number_ = 1000;
};

TEST_F(HostileTest, EachBreachEndsTheConnectionAndSaysWhy) {
  struct Case {
    std::vector<uint8_t> chunks;
    absl::string_view why;
  };
  const std::vector<Case> cases = {
      {{0x77}, "unknown kind"},
      {{0x01, 0x03}, "cut short"},
      {{0x02, 0xff, 0x7f, 0, 0, 0}, "not sent"},
      {{0x13, 5, 1, 5, 0, 4, 1, 9}, "follows one that cannot be"},
      {{0x12, 50, 1, 0, 4, 2, 1, 2, 0x12, 50, 1, 1, 4, 2, 3, 3}, "different bytes"},
      {{0x10, 0xff, 0x7f, 1, 1, 9}, "too far ahead"},
      {{0x12, 50, 1, 0, 0xff, 0xff, 3, 1, 9}, "larger than allowed"},
      {{0x04, 7, 0x04, 8}, "has changed"},
      {{0x04, 7, 0x10, 8, 1, 1, 9}, "after the last"},
      {{0x10, 8, 1, 1, 9, 0x04, 7}, "more frames have come"},
      {{0x11, 51, 1, 1, 1, 9, 0x11, 52, 1, 2, 1, 9}, "follow the same one"},
      {EveryOtherByte(4096), "too many pieces"},
  };
  for (const Case& test : cases) {
    network_ = nullptr;
    Open();
    const absl::Status status = Inject(test.chunks);
    EXPECT_EQ(absl::StatusCode::kDataLoss, status.code());
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(test.why)));
    Receive(server());
    EXPECT_TRUE(RunUntilState(client(), State::kEnded, kDelay)) << "the peer is told";
    EXPECT_THAT(std::string(client().status().message()), HasSubstr(std::string(test.why)));
    network_->RunFor(Duration(0));
    EXPECT_EQ(0u, network_->endpoint().connections());
  }
}

// Whoever acknowledges what it has not seen makes a sender flood the path.
TEST_F(HostileTest, BlindAcknowledgementsAreFoundOut) {
  Open();
  size_t packets = 0;
  absl::Status status;
  network_->on_datagram = [&](bool to_server, Datagram& datagram) {
    const std::optional<DataPacket> packet = ReadData(datagram);
    if (to_server || !packet) return true;
    ++packets;
    // All up to this one have come, it says, though none does.
    uint8_t chunks[30];
    ChunkWriter writer(chunks);
    IntervalSet all;
    all.Add({0, packet->number + 1});
    writer.Ack(all, 1, 0, 0);
    network_->Inject(client_->address,
                     Forge(absl::MakeConstSpan(chunks, writer.size()), next_number_++));
    status = server().status();
    return false;
  };
  network_->on_step = [&] {
    while (client_->peer != nullptr && Send(server(), 1, std::string(1000, 'x'))) {
    }
  };
  network_->RunUntil([&] { return client_->peer == nullptr; }, seconds(60));
  EXPECT_EQ(absl::StatusCode::kDataLoss, status.code()) << status;
  EXPECT_LE(packets, 512u);
}

// Its acknowledgements are remembered behind the packet that it does not acknowledge.
TEST_F(HostileTest, APeerThatAsksAndNeverAcknowledgesIsStillServed) {
  constexpr size_t kBelow = LossDetector::kMaxPackets - 2;  // and the packet before
  for (const size_t pings : {kBelow, kBelow + 1, kBelow + 2, 3 * kBelow}) {
    SCOPED_TRACE(pings);
    network_ = nullptr;
    Open();
    size_t sent = 0;  // by the server
    network_->on_datagram = [&sent](bool to_server, Datagram&) {
      sent += to_server ? 0 : 1;
      return !to_server;
    };
    Send(server(), 1, "never acknowledged");
    network_->RunFor(milliseconds(1));
    const uint8_t ping = 0x01;
    for (size_t i = 0; i < pings; ++i) {
      // With a gap before it, so that each is answered at once.
      network_->Inject(client_->address, Forge({&ping, 1}, next_number_ += 2));
      network_->RunFor(Duration(1));
      ASSERT_NE(nullptr, client_->peer);
    }
    // Probes go on, ever more seldom, and the machine sleeps between them.
    for (int i = 0; i < 5; ++i) {
      const size_t before = sent;
      network_->RunFor(LossDetector::kMaxProbeTimeout);
      EXPECT_GE(sent, before + 2);
      EXPECT_GT(server().NextWakeup(), network_->now());
      network_->Inject(client_->address, Forge({&ping, 1}, next_number_ += 2));
    }
  }
}

TEST_F(HostileTest, FramesWithoutCreditAreABreach) {
  server_options_.connection.receive_window = 20'000;
  Open();
  absl::Status status;
  for (uint64_t id = 1; id < 1000 && status.ok(); ++id) {
    std::vector<uint8_t> chunks(100);
    ChunkWriter writer(absl::MakeSpan(chunks));
    const uint8_t byte = 1;
    // Little of much: it counts in full.
    writer.Frame({.id = 100 + id, .stream = 1, .frame_size = 5000, .bytes = {&byte, 1}});
    chunks.resize(writer.size());
    ASSERT_LE(server().held(), 20'000u);
    status = Inject(chunks);
    EXPECT_LE(id, 4u);
  }
  EXPECT_THAT(std::string(status.message()), HasSubstr("receive window"));
}

TEST_F(HostileTest, OthersCannotSpeakForAPeer) {
  Open();
  PeerAddress other = client_->address;
  other.bytes[23] = 1;
  network_->Inject(other, Forge(std::vector<uint8_t>{0x77}, 1000));
  EXPECT_EQ(State::kOpen, server().state());
  const uint8_t ping = 0x01;
  Datagram wrong = Forge({&ping, 1}, 1001);
  wrong[3] ^= 1;
  SealPacket(wrong.data(), wrong.size() - kCheckSize);
  network_->Inject(client_->address, wrong);
  EXPECT_EQ(State::kOpen, server().state());
}

// Nobody else's bytes disturb two ends that talk, cost memory, or are answered at length.
TEST_F(HostileTest, RandomDatagramsDisturbNobody) {
  const uint64_t seed = anywire::test::TestSeed(12);
  std::mt19937_64 random(seed);
  server_options_.connection.receive_window = 60'000;
  Start();
  std::vector<Datagram> seen;
  network_->on_datagram = [&](bool, Datagram& datagram) {
    seen.push_back(datagram);
    if (seen.size() > 200) seen.erase(seen.begin() + static_cast<long>(random() % 200));
    return true;
  };
  Open();
  Talk there({.salt = seed, .frames = 2000, .largest = 3000});
  Talk back({.salt = seed + 1, .frames = 2000, .largest = 3000});
  network_->on_step = [&] {
    ASSERT_NE(nullptr, client_->peer);
    there.Send(client());
    back.Receive(client());
    back.Send(server());
    there.Receive(server());
    for (int i = 0; i < 40; ++i) {
      Datagram datagram;
      if (random() % 2 == 0) {
        datagram.resize(random() % 1300);
        for (uint8_t& byte : datagram) byte = static_cast<uint8_t>(random());
      } else {
        datagram = seen[random() % seen.size()];
        for (uint64_t k = 1 + random() % 4; k > 0; --k) {
          datagram[random() % datagram.size()] = static_cast<uint8_t>(random());
        }
      }
      if (!datagram.empty() && random() % 2 == 0) {
        datagram[0] = static_cast<uint8_t>(0xa0 + random() % 8);
      }
      // Half of them with a check that is right, as a stranger who knows the format would, but not
      // as one who knows our ids.
      if (random() % 2 == 0 && datagram.size() > 30) {
        const bool is_long = datagram[0] <= static_cast<uint8_t>(PacketKind::kRefuse);
        const uint64_t guess = random();
        std::memcpy(datagram.data() + (is_long ? 5 : 1), &guess, sizeof(guess));
        SealPacket(datagram.data(), datagram.size() - kCheckSize);
      }
      PeerAddress from = client_->address;
      if (random() % 2 == 0) from.bytes[10] = static_cast<uint8_t>(random());
      if (random() % 2 == 0) {
        network_->Inject(from, datagram);
      } else {
        client().HandleDatagram(network_->now(), datagram);
      }
      ASSERT_NE(nullptr, client_->peer);
    }
  };
  EXPECT_TRUE(
      network_->RunUntil([&] { return there.is_complete() && back.is_complete(); }, seconds(100)))
      << client().status();
  EXPECT_EQ(1u, network_->endpoint().connections());
}

// A peer that knows all our ids, and means no good: its own connection ends or goes on, and no more
// memory is held than was granted.
TEST_F(HostileTest, RandomChunksOfThePeerItself) {
  std::mt19937_64 random(anywire::test::TestSeed(13));
  server_options_.connection.receive_window = 60'000;
  server_options_.connection.idle_timeout = seconds(1);
  network_ = nullptr;
  size_t ended = 0, survived = 0;
  for (int round = 0; round < 300; ++round) {
    network_ = nullptr;
    Open();
    network_->on_datagram = [](bool to_server, Datagram&) { return !to_server; };
    for (int i = 0; i < 100 && client_->peer != nullptr; ++i) {
      std::vector<uint8_t> chunks(1000);
      ChunkWriter writer(absl::MakeSpan(chunks));
      for (uint64_t k = 1 + random() % 5; k > 0; --k) {
        // Parts of frames as they might be, in any order; now and then something is not.
        const auto lie = [&random] { return random() % 1000 == 0; };
        const uint64_t id = 1 + random() % static_cast<uint64_t>(10 + i);
        const uint64_t size = lie() ? 1 + random() % 5000 : 1 + id * 97 % 500;
        const uint64_t offset = 128 * (random() % (1 + size / 128));
        const std::vector<uint8_t> body(std::clamp<uint64_t>(size - offset, 1, 128), lie() ? 1 : 0);
        writer.Frame({.id = id,
                      .stream = lie() ? random() % 3 : id % 3,
                      .after = lie()    ? random() % id
                               : id > 3 ? uint64_t{3}
                                        : uint64_t{0},
                      .offset = offset,
                      .frame_size = size,
                      .bytes = body});
        if (random() % 10 == 0) writer.MaxData(random() >> (random() % 64));
        if (lie()) writer.Close(random() % 200);
      }
      if (random() % 300 == 0) chunks[random() % writer.size()] ^= 1 << (random() % 8);
      chunks.resize(writer.size());
      network_->Inject(client_->address, Forge(chunks, next_number_ += 1 + random() % 3));
      ASSERT_LE(server().held(), 60'000u + 1 + 3000) << "the last may be the breach";
      if (random() % 4 == 0) Receive(server());
      network_->RunFor(milliseconds(1));
    }
    client_->peer == nullptr ? ++ended : ++survived;
    network_->RunFor(seconds(3));
    if (client_->peer != nullptr) {
      Receive(server());
      network_->RunFor(seconds(1));
    }
    EXPECT_EQ(0u, network_->endpoint().connections());
  }
  EXPECT_GT(ended, 10u);
  EXPECT_GT(survived, 10u);
}

}  // namespace
}  // namespace anywire::udp::test
