#include "transports/stream/framing.h"

#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transports/stream/preface.h"

namespace anywire {
namespace {

using ::testing::HasSubstr;
using Bytes = std::vector<uint8_t>;

HeaderState Parse(const Bytes& bytes, FrameHeader* header, std::string* why = nullptr,
                  size_t max = kMaxFrameSize) {
  const char* text = "";
  const HeaderState state = ParseFrameHeader(bytes, max, header, &text);
  if (why != nullptr) *why = text;
  return state;
}

TEST(FramingTest, HeadersRoundTripAtEverySizeOfVarint) {
  std::vector<uint64_t> streams = {0, 1, UINT64_MAX};
  for (int bits = 7; bits < 64; bits += 7) {
    for (int64_t delta : {-1, 0, 1}) streams.push_back((uint64_t{1} << bits) + delta);
  }
  for (size_t size : {size_t{1}, size_t{127}, size_t{128}, size_t{16383}, size_t{16384},
                      kMaxFrameSize - 1, kMaxFrameSize}) {
    for (uint64_t stream : streams) {
      uint8_t written[kMaxFrameHeaderSize];
      const size_t length = WriteFrameHeader(stream, size, written) - written;
      ASSERT_EQ(FrameHeaderSize(stream, size), length);
      for (size_t part = 0; part < length; ++part) {
        FrameHeader header;
        EXPECT_EQ(HeaderState::kIncomplete, Parse(Bytes(written, written + part), &header));
      }
      FrameHeader header;
      ASSERT_EQ(HeaderState::kComplete, Parse(Bytes(written, written + length), &header));
      EXPECT_EQ(stream, header.stream);
      EXPECT_EQ(size, header.body_size);
      EXPECT_EQ(length, header.header_size);
    }
  }
}

TEST(FramingTest, LengthsAtTheLimit) {
  FrameHeader header;
  std::string why;
  EXPECT_EQ(HeaderState::kBad, Parse({0x00, 0x01}, &header, &why));
  EXPECT_THAT(why, HasSubstr("empty"));
  EXPECT_EQ(HeaderState::kComplete, Parse({0x80, 0x80, 0x04, 0x00}, &header));  // 65,536
  EXPECT_EQ(HeaderState::kBad, Parse({0x81, 0x80, 0x04, 0x00}, &header, &why));
  EXPECT_THAT(why, HasSubstr("longer than allowed"));
  // Known to be bad before the stream's number comes.
  EXPECT_EQ(HeaderState::kBad, Parse({0x81, 0x80, 0x04}, &header));
  EXPECT_EQ(HeaderState::kComplete, Parse({100, 1}, &header, &why, 100));
  EXPECT_EQ(HeaderState::kBad, Parse({101, 1}, &header, &why, 100));
  EXPECT_EQ(HeaderState::kComplete, Parse({99, 1}, &header, &why, 100));
}

TEST(FramingTest, VarintsThatAreNotTheShortestAreBad) {
  FrameHeader header;
  EXPECT_EQ(HeaderState::kBad, Parse({0x81, 0x00, 0x01}, &header));
  EXPECT_EQ(HeaderState::kBad, Parse({0x80, 0x00, 0x01}, &header));
  EXPECT_EQ(HeaderState::kBad, Parse({0x01, 0x80, 0x00}, &header));
  EXPECT_EQ(HeaderState::kBad, Parse({0x01, 0xFF, 0x80, 0x00}, &header));
}

TEST(FramingTest, VarintsOfMoreThan64BitsAreBad) {
  FrameHeader header;
  Bytes most = {0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01};
  ASSERT_EQ(HeaderState::kComplete, Parse(most, &header));
  EXPECT_EQ(UINT64_MAX, header.stream);
  most.back() = 0x02;
  EXPECT_EQ(HeaderState::kBad, Parse(most, &header));
  most.back() = 0x81;
  EXPECT_EQ(HeaderState::kBad, Parse(most, &header)) << "an eleventh byte";
  EXPECT_EQ(HeaderState::kBad, Parse(Bytes(20, 0xFF), &header));
}

TEST(PrefaceTest, IsDecidedByItsFirstDifferingByte) {
  const Bytes preface(kPreface, kPreface + kPrefaceSize);
  EXPECT_EQ(StreamProtocol::kAnywire, DecideProtocol(preface));
  for (size_t size = 0; size < kPrefaceSize; ++size) {
    Bytes part(preface.begin(), preface.begin() + size);
    EXPECT_EQ(StreamProtocol::kUndecided, DecideProtocol(part));
    part.push_back(preface[size] ^ 0x01);
    EXPECT_EQ(StreamProtocol::kUnknown, DecideProtocol(part));
  }
  for (absl::string_view other : {"PRI * HTTP/2.0", "GET / HTTP/1.1", "\x16\x03\x01"}) {
    EXPECT_EQ(StreamProtocol::kUnknown, DecideProtocol(Bytes(other.begin(), other.end())));
  }
}

// The bytes of the example in PROTOCOL.md: "AE 61" or "2A * 200", up to the first double space.
Bytes DocumentedExample() {
  std::ifstream file("transports/stream/PROTOCOL.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::vector<std::string> parts = absl::StrSplit(text.str(), "<!-- a test compares");
  EXPECT_EQ(2u, parts.size());
  const std::vector<std::string> fenced = absl::StrSplit(parts.back(), "```");
  Bytes bytes;
  for (absl::string_view line : absl::StrSplit(fenced.at(1), '\n', absl::SkipEmpty())) {
    const std::vector<std::string> tokens =
        absl::StrSplit(line.substr(0, line.find("  ")), ' ', absl::SkipEmpty());
    const bool repeated = tokens.size() == 3 && tokens[1] == "*";
    int count = 1;
    EXPECT_TRUE(!repeated || absl::SimpleAtoi(tokens[2], &count));
    for (const std::string& token : tokens) {
      bytes.insert(bytes.end(), count, static_cast<uint8_t>(std::stoul(token, nullptr, 16)));
      if (repeated) break;
    }
  }
  return bytes;
}

TEST(ProtocolTest, DocumentedExampleIsWhatTheCodeWrites) {
  Bytes expected(kPreface, kPreface + kPrefaceSize);
  const auto add_frame = [&expected](uint64_t stream, const Bytes& body) {
    uint8_t header[kMaxFrameHeaderSize];
    expected.insert(expected.end(), header, WriteFrameHeader(stream, body.size(), header));
    expected.insert(expected.end(), body.begin(), body.end());
  };
  add_frame(1, {'h', 'i'});
  add_frame(300, Bytes(200, 0x2A));
  EXPECT_EQ(expected, DocumentedExample());
}

}  // namespace
}  // namespace anywire
