#include "transports/udp/reliability/packet.h"

#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace anywire::udp {
namespace {

using Bytes = std::vector<uint8_t>;

Parameters Usual() { return ParametersOf(Options()); }

// A packet that `write` makes, sealed anew after `change`.
template <typename Write, typename Packet>
Bytes Written(Write write, const Packet& packet, size_t size = 2000) {
  Bytes bytes(size);
  bytes.resize(write(packet, absl::MakeSpan(bytes)));
  return bytes;
}
Bytes Resealed(Bytes bytes) {
  SealPacket(bytes.data(), bytes.size() - kCheckSize);
  return bytes;
}

TEST(PacketTest, OpenComesBackAsItWasWritten) {
  Token token;
  token.fill(7);
  for (const bool with_token : {false, true}) {
    OpenPacket open{.client_id = 0x0102030405060708, .parameters = Usual()};
    if (with_token) open.token = token;
    const Bytes bytes = Written(WriteOpen, open);
    EXPECT_EQ(kBaseDatagramSize, bytes.size());
    EXPECT_EQ(PacketKind::kOpen, IdentifyPacket(bytes));
    const std::optional<OpenPacket> read = ReadOpen(bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(kVersion, read->version);
    EXPECT_EQ(open.client_id, read->client_id);
    EXPECT_EQ(open.parameters, read->parameters);
    EXPECT_EQ(open.token, read->token);
  }
}

TEST(PacketTest, AnswersComeBackAsTheyWereWritten) {
  Token token;
  token.fill(9);
  const Bytes retry = Written(WriteRetry, RetryPacket{5, token});
  EXPECT_EQ(kRetrySize, retry.size());
  EXPECT_EQ(PacketKind::kRetry, IdentifyPacket(retry));
  EXPECT_EQ(5u, ReadRetry(retry)->client_id);
  EXPECT_EQ(token, ReadRetry(retry)->token);

  const Bytes accept = Written(WriteAccept, AcceptPacket{5, 6, Usual()});
  EXPECT_EQ(kAcceptSize, accept.size());
  EXPECT_EQ(PacketKind::kAccept, IdentifyPacket(accept));
  EXPECT_EQ(5u, ReadAccept(accept)->client_id);
  EXPECT_EQ(6u, ReadAccept(accept)->server_id);
  EXPECT_EQ(Usual(), ReadAccept(accept)->parameters);

  const Bytes refuse = Written(WriteRefuse, RefusePacket{5, RefuseReason::kNotListening, 1, 3});
  EXPECT_EQ(kRefuseSize, refuse.size());
  EXPECT_EQ(PacketKind::kRefuse, IdentifyPacket(refuse));
  EXPECT_EQ(5u, ReadRefuse(refuse)->client_id);
  EXPECT_EQ(RefuseReason::kNotListening, ReadRefuse(refuse)->reason);
  EXPECT_EQ(1, ReadRefuse(refuse)->lowest_version);
  EXPECT_EQ(3, ReadRefuse(refuse)->highest_version);

  const Bytes reset = Written(WriteReset, ResetPacket{77});
  EXPECT_EQ(kResetSize, reset.size());
  EXPECT_EQ(PacketKind::kReset, IdentifyPacket(reset));
  EXPECT_EQ(77u, ReadReset(reset)->id);
}

// Nothing that a server sends unasked is as large as what it answers.
TEST(PacketTest, AnswersAreSmallerThanWhatTheyAnswer) {
  EXPECT_LT(kRetrySize, kBaseDatagramSize);
  EXPECT_LT(kAcceptSize, kBaseDatagramSize);
  EXPECT_LT(kRefuseSize, kBaseDatagramSize);
  EXPECT_LT(kResetSize, kSmallestDataSize);
}

TEST(PacketTest, DataIsWrittenInPlace) {
  Bytes bytes(kSmallestDataSize);
  WriteDataHeader(3, kLastPacketNumber, bytes.data());
  bytes[kDataHeaderSize] = 0x42;
  EXPECT_EQ(bytes.size(), SealPacket(bytes.data(), kDataHeaderSize + 1));
  EXPECT_EQ(PacketKind::kData, IdentifyPacket(bytes));
  const std::optional<DataPacket> data = ReadData(bytes);
  ASSERT_TRUE(data);
  EXPECT_EQ(3u, data->id);
  EXPECT_EQ(kLastPacketNumber, data->number);
  ASSERT_EQ(1u, data->chunks.size());
  EXPECT_EQ(0x42, data->chunks[0]);

  WriteDataHeader(3, kLastPacketNumber + 1, bytes.data());
  EXPECT_FALSE(ReadData(Resealed(bytes))) << "a number beyond the last";
  bytes.pop_back();
  EXPECT_FALSE(ReadData(Resealed(bytes))) << "no chunk";
}

TEST(PacketTest, EveryChangedBitIsFound) {
  const Bytes original = Written(WriteAccept, AcceptPacket{5, 6, Usual()});
  for (size_t bit = 0; bit < original.size() * 8; ++bit) {
    Bytes bytes = original;
    bytes[bit / 8] ^= 1 << (bit % 8);
    EXPECT_FALSE(IdentifyPacket(bytes)) << bit;
  }
  for (size_t size = 0; size < original.size(); ++size) {
    EXPECT_FALSE(IdentifyPacket(absl::MakeConstSpan(original).first(size))) << size;
  }
}

TEST(PacketTest, UnknownKindsAreNone) {
  Bytes bytes(50);
  for (int kind = 0; kind < 256; ++kind) {
    bytes[0] = static_cast<uint8_t>(kind);
    EXPECT_EQ(kind >= 0xa1 && kind <= 0xa6, IdentifyPacket(Resealed(bytes)).has_value()) << kind;
  }
}

TEST(PacketTest, SizesAreExact) {
  const auto changed_by = [](Bytes bytes, int by) {
    bytes.resize(bytes.size() + static_cast<size_t>(by));
    return Resealed(bytes);
  };
  for (const int by : {-1, 1}) {
    EXPECT_FALSE(ReadRetry(changed_by(Written(WriteRetry, RetryPacket{}), by)));
    EXPECT_FALSE(ReadAccept(changed_by(Written(WriteAccept, AcceptPacket{1, 2, Usual()}), by)));
    EXPECT_FALSE(ReadRefuse(changed_by(Written(WriteRefuse, RefusePacket{}), by)));
    EXPECT_FALSE(ReadReset(changed_by(Written(WriteReset, ResetPacket{}), by)));
  }
  const Bytes open = Written(WriteOpen, OpenPacket{.parameters = Usual()});
  EXPECT_FALSE(ReadOpen(changed_by(open, -1))) << "smaller than any answer could be worth";
  EXPECT_TRUE(ReadOpen(changed_by(open, 1)));
}

TEST(PacketTest, MagicVersionTokenSizeAndReason) {
  const Bytes open = Written(WriteOpen, OpenPacket{.client_id = 8, .parameters = Usual()});
  for (size_t i = 1; i <= 3; ++i) {
    Bytes bytes = open;
    bytes[i] ^= 1;
    EXPECT_FALSE(ReadOpen(Resealed(bytes)));
  }
  Bytes other_version = open;
  other_version[4] = 2;
  std::memset(other_version.data() + 13, 0xff, 100);  // whatever it means there
  ASSERT_TRUE(ReadOpen(Resealed(other_version)));
  EXPECT_EQ(2, ReadOpen(Resealed(other_version))->version);
  EXPECT_EQ(8u, ReadOpen(Resealed(other_version))->client_id);
  for (const uint8_t size : {1, 23, 25, 255}) {
    Bytes bytes = open;
    bytes[37] = size;
    EXPECT_FALSE(ReadOpen(Resealed(bytes))) << int{size};
  }
  Bytes retry = Written(WriteRetry, RetryPacket{});
  retry[4] = 2;
  EXPECT_FALSE(ReadRetry(Resealed(retry)));
  for (const uint8_t reason : {0, 4}) {
    Bytes refuse = Written(WriteRefuse, RefusePacket{});
    refuse[13] = reason;
    EXPECT_FALSE(ReadRefuse(Resealed(refuse))) << int{reason};
  }
}

TEST(PacketTest, ParametersAtTheirLimits) {
  struct Case {
    uint32_t Parameters::*field;
    std::vector<uint32_t> good, bad;
  };
  const uint32_t window = (16 << 10) + kFrameCost;
  const std::vector<Case> cases = {
      {&Parameters::max_datagram_size, {1200, 65'507}, {0, 1199, 65'508}},
      {&Parameters::max_frame_size, {1024, 65'536}, {1023, 65'537}},
      {&Parameters::receive_window, {window, 1 << 30}, {window - 1, (1 << 30) + 1}},
      {&Parameters::idle_timeout_ms, {1, 86'400'000}, {0, 86'400'001}},
      {&Parameters::max_ack_delay_us, {0, 1'000'000}, {1'000'001, UINT32_MAX}},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    for (const bool good : {true, false}) {
      for (const uint32_t value : good ? cases[i].good : cases[i].bad) {
        OpenPacket open{.parameters = Usual()};
        open.parameters.*cases[i].field = value;
        EXPECT_EQ(good, ReadOpen(Written(WriteOpen, open)).has_value()) << i << " " << value;
        const AcceptPacket accept{1, 2, open.parameters};
        EXPECT_EQ(good, ReadAccept(Written(WriteAccept, accept)).has_value()) << i << " " << value;
      }
    }
  }
}

// Whatever bytes come, readers stay within them (the sanitizers look).
TEST(PacketTest, RandomBytes) {
  std::mt19937_64 random(test::TestSeed(4));
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes(random() % 64 + (random() % 8 == 0 ? 1190 : 0));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    if (!bytes.empty()) bytes[0] = static_cast<uint8_t>(0xa0 + random() % 8);
    if (bytes.size() >= 4) std::memcpy(bytes.data() + 1, "awu", 3);
    IdentifyPacket(bytes);
    ReadOpen(bytes);
    ReadRetry(bytes);
    ReadAccept(bytes);
    ReadRefuse(bytes);
    ReadData(bytes);
    ReadReset(bytes);
  }
}

}  // namespace
}  // namespace anywire::udp
