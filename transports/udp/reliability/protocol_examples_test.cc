// The examples of PROTOCOL.md are what the code writes.
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "transports/udp/reliability/chunk.h"
#include "transports/udp/reliability/packet.h"

namespace anywire::udp {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint64_t kClientId = 0x0102030405060708;
constexpr uint64_t kServerId = 0x1112131415161718;

// The bytes of an example; what stands behind two spaces is a comment.
Bytes Documented(absl::string_view name) {
  std::ifstream file("transports/udp/PROTOCOL.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::vector<std::string> parts =
      absl::StrSplit(text.str(), absl::StrCat("<!-- example: ", name, " -->"));
  const std::vector<std::string> fenced = absl::StrSplit(parts.at(1), "```");
  Bytes bytes;
  for (const absl::string_view line : absl::StrSplit(fenced.at(1), '\n', absl::SkipEmpty())) {
    for (const absl::string_view token :
         absl::StrSplit(line.substr(0, line.find("  ")), ' ', absl::SkipEmpty())) {
      if (token == "<check>") {
        bytes.resize(bytes.size() + kCheckSize);
        SealPacket(bytes.data(), bytes.size() - kCheckSize);
      } else if (token == "<zeros>") {
        bytes.resize(kBaseDatagramSize - kCheckSize);
      } else {
        bytes.push_back(static_cast<uint8_t>(std::stoul(std::string(token), nullptr, 16)));
      }
    }
  }
  return bytes;
}

template <typename Write, typename Packet>
Bytes Written(Write write, const Packet& packet) {
  Bytes bytes(kBaseDatagramSize);
  bytes.resize(write(packet, absl::MakeSpan(bytes)));
  return bytes;
}

template <typename Write>
Bytes Data(uint64_t id, uint64_t number, Write write) {
  Bytes bytes(kBaseDatagramSize);
  WriteDataHeader(id, number, bytes.data());
  ChunkWriter writer(absl::MakeSpan(bytes).subspan(kDataHeaderSize));
  write(writer);
  bytes.resize(SealPacket(bytes.data(), kDataHeaderSize + writer.size()));
  return bytes;
}

TEST(ProtocolExamplesTest, Open) {
  EXPECT_EQ(Documented("open"),
            Written(WriteOpen,
                    OpenPacket{.client_id = kClientId, .parameters = ParametersOf(Options())}));
}

TEST(ProtocolExamplesTest, Accept) {
  EXPECT_EQ(Documented("accept"),
            Written(WriteAccept, AcceptPacket{kClientId, kServerId, ParametersOf(Options())}));
}

TEST(ProtocolExamplesTest, Reply) {
  IntervalSet packets;
  packets.Add({3, 6});
  const Bytes body = {'h', 'i'};
  EXPECT_EQ(Documented("reply"), Data(kClientId, 2, [&](ChunkWriter& writer) {
              writer.Ack(packets, 1, 0, 20);
              writer.Frame({.id = 3, .stream = 1, .frame_size = 2, .bytes = body});
            }));
}

TEST(ProtocolExamplesTest, Part) {
  const Bytes body = {'y', 'o'};
  EXPECT_EQ(Documented("part"), Data(kServerId, 7, [&](ChunkWriter& writer) {
              writer.Frame({.id = 128,
                            .stream = 3,
                            .after = 1,
                            .offset = 1000,
                            .frame_size = 1002,
                            .bytes = body});
            }));
}

TEST(ProtocolExamplesTest, Reset) {
  EXPECT_EQ(Documented("reset"), Written(WriteReset, ResetPacket{kServerId}));
}

}  // namespace
}  // namespace anywire::udp
