#include "transports/udp/reliability/chunk.h"

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace anywire::udp {
namespace {

using ::testing::HasSubstr;
using Bytes = std::vector<uint8_t>;

// Writes into so much room what `write` writes, and whether it fitted.
template <typename Write>
std::pair<Bytes, bool> WriteInto(size_t room, Write write) {
  Bytes bytes(room);
  ChunkWriter writer(absl::MakeSpan(bytes));
  const bool fitted = write(writer);
  bytes.resize(writer.size());
  return {bytes, fitted};
}
// In as little room as it needs; less is refused, and then nothing is written.
template <typename Write>
Bytes WriteTight(Write write) {
  const Bytes bytes = WriteInto(70'000, write).first;
  const auto [tight, fitted] = WriteInto(bytes.size(), write);
  EXPECT_TRUE(fitted);
  EXPECT_EQ(bytes, tight);
  return bytes;
}

// Of the first chunk; "" when it is fine.
std::string ErrorOf(const Bytes& bytes) {
  ChunkReader reader(bytes);
  while (reader.Next()) {
  }
  return reader.error() == nullptr ? "" : reader.error();
}

TEST(ChunkTest, SmallOnesInARow) {
  const Bytes bytes = WriteTight([](ChunkWriter& writer) {
    return writer.Ping() && writer.MaxData(300) && writer.Close(7) && writer.Abort(15, "why");
  });
  ChunkReader reader(bytes);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(ChunkKind::kPing, reader.kind());
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(ChunkKind::kMaxData, reader.kind());
  EXPECT_EQ(300u, reader.value());
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(ChunkKind::kClose, reader.kind());
  EXPECT_EQ(7u, reader.value());
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(ChunkKind::kAbort, reader.kind());
  EXPECT_EQ(15, reader.abort().code);
  EXPECT_EQ("why", reader.abort().text);
  EXPECT_FALSE(reader.Next());
  EXPECT_EQ(nullptr, reader.error());
}

TEST(ChunkTest, NothingIsWrittenWithoutRoom) {
  IntervalSet packets;
  packets.Add({5, 9});
  const Bytes body(20);
  const std::vector<std::function<bool(ChunkWriter&)>> writes = {
      [](ChunkWriter& writer) { return writer.Ping(); },
      [](ChunkWriter& writer) { return writer.MaxData(1 << 20); },
      [](ChunkWriter& writer) { return writer.Close(1 << 20); },
      [](ChunkWriter& writer) { return writer.Abort(1, "text"); },
      [&packets](ChunkWriter& writer) { return writer.Ack(packets, 64, 0, 1000); },
      [&body](ChunkWriter& writer) {
        return writer.Frame({.id = 300, .stream = 1, .after = 1, .frame_size = 20, .bytes = body});
      },
  };
  for (const auto& write : writes) {
    const size_t need = WriteTight(write).size();
    for (size_t room = 0; room < need; ++room) {
      const auto [bytes, fitted] = WriteInto(room, write);
      EXPECT_FALSE(fitted) << room;
      EXPECT_TRUE(bytes.empty()) << room;
    }
  }
}

TEST(ChunkTest, PaddingIsTheRest) {
  const auto [bytes, fitted] = WriteInto(100, [](ChunkWriter& writer) {
    writer.Ping();
    writer.Padding();
    return writer.left() == 0;
  });
  EXPECT_TRUE(fitted);
  EXPECT_EQ(100u, bytes.size());
  Bytes filled = bytes;
  filled.back() = 0xff;  // whatever
  ChunkReader reader(filled);
  EXPECT_TRUE(reader.Next());
  EXPECT_TRUE(reader.Next());
  EXPECT_EQ(ChunkKind::kPadding, reader.kind());
  EXPECT_FALSE(reader.Next());
  EXPECT_EQ(nullptr, reader.error());
}

TEST(ChunkTest, FramesWholeAndInParts) {
  std::mt19937_64 random(test::TestSeed(5));
  for (int i = 0; i < 2000; ++i) {
    const Bytes body(1 + random() % 300, static_cast<uint8_t>(i));
    FrameChunk chunk;
    chunk.id = 2 + (random() >> (random() % 63));
    chunk.stream = random() >> (random() % 64);
    chunk.after = random() % 2 == 0 ? 0 : 1 + random() % (chunk.id - 1);
    chunk.offset = random() % 2 == 0 ? 0 : random() % 1000;
    chunk.frame_size = chunk.offset + body.size() + (random() % 2 == 0 ? 0 : random() % 1000);
    chunk.bytes = body;
    const Bytes bytes = WriteTight([&](ChunkWriter& writer) { return writer.Frame(chunk); });
    EXPECT_EQ(bytes.size(), ChunkWriter::FrameOverhead(chunk, body.size()) + body.size());
    ChunkReader reader(bytes);
    ASSERT_TRUE(reader.Next()) << reader.error();
    EXPECT_EQ(ChunkKind::kFrame, reader.kind());
    EXPECT_EQ(chunk.id, reader.frame().id);
    EXPECT_EQ(chunk.stream, reader.frame().stream);
    EXPECT_EQ(chunk.after, reader.frame().after);
    EXPECT_EQ(chunk.offset, reader.frame().offset);
    EXPECT_EQ(chunk.frame_size, reader.frame().frame_size);
    EXPECT_EQ(body, Bytes(reader.frame().bytes.begin(), reader.frame().bytes.end()));
    EXPECT_FALSE(reader.Next());
  }
}

TEST(ChunkTest, AcksOfAnyRanges) {
  std::mt19937_64 random(test::TestSeed(6));
  for (int i = 0; i < 2000; ++i) {
    IntervalSet packets;
    const uint64_t scale = uint64_t{1} << (random() % 40);
    for (uint64_t k = random() % 100; k < 100; ++k) {
      const uint64_t begin = random() % (scale * 100);
      packets.Add({begin, begin + 1 + random() % scale});
    }
    if (packets.empty()) continue;
    const size_t most = 1 + random() % kMaxAckRanges;
    const uint64_t not_below = random() % 4 == 0 ? packets[random() % packets.count()].end : 0;
    size_t expected = 1;
    while (expected < std::min(most, packets.count()) &&
           packets[packets.count() - 1 - expected].end > not_below) {
      ++expected;
    }
    const Bytes bytes =
        WriteTight([&](ChunkWriter& writer) { return writer.Ack(packets, most, not_below, 1234); });
    ChunkReader reader(bytes);
    ASSERT_TRUE(reader.Next()) << reader.error();
    EXPECT_EQ(ChunkKind::kAck, reader.kind());
    EXPECT_EQ(1234u, reader.ack().delay_us);
    ASSERT_EQ(expected, reader.ack().count);
    EXPECT_EQ(packets.back().end - 1, reader.ack().largest());
    for (size_t k = 0; k < expected; ++k) {
      EXPECT_EQ(packets[packets.count() - 1 - k], reader.ack().ranges[k]);
    }
    EXPECT_FALSE(reader.Next());
  }
}

TEST(ChunkTest, AckTellsAsManyRangesAsHaveRoom) {
  IntervalSet packets;
  for (uint64_t i = 0; i < 64; ++i) packets.Add({i * 10, i * 10 + 1});
  const auto [bytes, fitted] =
      WriteInto(30, [&](ChunkWriter& writer) { return writer.Ack(packets, 64, 0, 0); });
  EXPECT_TRUE(fitted);
  EXPECT_LE(bytes.size(), 30u);
  ChunkReader reader(bytes);
  ASSERT_TRUE(reader.Next()) << reader.error();
  EXPECT_EQ(13u, reader.ack().count);
}

TEST(ChunkTest, AcksAtTheirLimits) {
  Bytes most = {0x02, 0xff, 0x7f, 0, 63, 0};  // largest 16,383, 63 more ranges
  for (int i = 0; i < 63; ++i) most.insert(most.end(), {0, 0});
  EXPECT_EQ("", ErrorOf(most));
  most[4] = 64;
  most.insert(most.end(), {0, 0});
  EXPECT_THAT(ErrorOf(most), HasSubstr("too many ranges"));

  EXPECT_EQ("", ErrorOf({0x02, 5, 0, 0, 5}));
  EXPECT_THAT(ErrorOf({0x02, 5, 0, 0, 6}), HasSubstr("below packet 0"));
  EXPECT_EQ("", ErrorOf({0x02, 5, 0, 1, 0, 0, 3})) << "5, and 0 to 3";
  EXPECT_THAT(ErrorOf({0x02, 5, 0, 1, 0, 0, 4}), HasSubstr("below packet 0"));
  EXPECT_EQ("", ErrorOf({0x02, 5, 0, 1, 0, 3, 0})) << "5, and 0";
  EXPECT_THAT(ErrorOf({0x02, 5, 0, 1, 0, 4, 0}), HasSubstr("below packet 0"));
  EXPECT_THAT(ErrorOf({0x02, 5, 0, 1, 5, 0, 0}), HasSubstr("below packet 0"));
  Bytes far = {0x02};
  for (int i = 0; i < 9; ++i) far.push_back(0xff);
  far.insert(far.end(), {1, 0, 0, 0});  // largest 2^64 - 1
  EXPECT_THAT(ErrorOf(far), HasSubstr("below packet 0"));
}

TEST(ChunkTest, BreachesHaveAName) {
  for (int kind = 0; kind < 256; ++kind) {
    const bool known = kind <= 5 || (kind >= 0x10 && kind <= 0x13);
    EXPECT_EQ(!known,
              ErrorOf({static_cast<uint8_t>(kind)}).find("unknown kind") != std::string::npos)
        << kind;
  }
  EXPECT_THAT(ErrorOf({0x03}), HasSubstr("cut short"));
  EXPECT_THAT(ErrorOf({0x03, 0x80, 0x00}), HasSubstr("shortest form"));
  EXPECT_THAT(ErrorOf({0x10, 0, 1, 1, 9}), HasSubstr("number 0"));
  EXPECT_THAT(ErrorOf({0x10, 1, 1, 0}), HasSubstr("empty"));
  EXPECT_THAT(ErrorOf({0x10, 1, 1, 2, 9}), HasSubstr("cut short"));
  EXPECT_THAT(ErrorOf({0x11, 5, 1, 0, 1, 9}), HasSubstr("follows"));
  EXPECT_EQ("", ErrorOf({0x11, 5, 1, 4, 1, 9}));
  EXPECT_THAT(ErrorOf({0x11, 5, 1, 5, 1, 9}), HasSubstr("follows"));
  EXPECT_EQ("", ErrorOf({0x12, 5, 1, 3, 5, 2, 9, 9}));
  EXPECT_THAT(ErrorOf({0x12, 5, 1, 4, 5, 2, 9, 9}), HasSubstr("beyond its end"));
  EXPECT_THAT(ErrorOf({0x12, 5, 1, 6, 5, 1, 9}), HasSubstr("beyond its end"));
  EXPECT_THAT(ErrorOf({0x05, 0, 0}), HasSubstr("no such code"));
  EXPECT_EQ("", ErrorOf({0x05, 16, 0}));
  EXPECT_THAT(ErrorOf({0x05, 17, 0}), HasSubstr("no such code"));
  EXPECT_EQ("", ErrorOf(WriteTight(
                    [](ChunkWriter& writer) { return writer.Abort(1, std::string(256, 'x')); })));
  EXPECT_THAT(ErrorOf(WriteTight(
                  [](ChunkWriter& writer) { return writer.Abort(1, std::string(257, 'x')); })),
              HasSubstr("too long"));
}

TEST(ChunkTest, RandomBytesEndWithAnErrorOrNot) {
  std::mt19937_64 random(test::TestSeed(7));
  for (int i = 0; i < 50'000; ++i) {
    Bytes bytes(random() % 40);
    for (uint8_t& byte : bytes)
      byte = static_cast<uint8_t>(random() % 2 ? random() : random() % 20);
    ChunkReader reader(bytes);
    size_t chunks = 0;
    while (reader.Next()) ASSERT_LE(++chunks, bytes.size());
  }
}

}  // namespace
}  // namespace anywire::udp
