// Encoding and decoding, piece by piece: what is written is read again, and what is malformed is
// found.
#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "anywire/delivery.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/wire/call_frames.h"
#include "runtime/wire/control_frames.h"
#include "runtime/wire/metadata_block.h"
#include "transports/varint.h"

namespace anywire::wire {
namespace {

Bytes BytesOf(const std::string& text) {
  return absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}
std::string TextOf(Bytes bytes) { return std::string(bytes.begin(), bytes.end()); }
uint8_t* To(std::string& text) { return reinterpret_cast<uint8_t*>(text.data()); }

// ---- varint

TEST(VarintTest, RoundTripAtEverySize) {
  for (int bits = 0; bits <= 64; ++bits) {
    const uint64_t top = bits == 0 ? 0 : uint64_t{1} << (bits - 1);
    for (const uint64_t value : {top, top - 1, top + 1, top | (top - 1)}) {
      std::string bytes(VarintSize(value), '\0');
      EXPECT_EQ(WriteVarint(value, To(bytes)), To(bytes) + bytes.size());
      Reader reader(BytesOf(bytes));
      uint64_t read = 0;
      EXPECT_TRUE(reader.ReadVarint(&read)) << value;
      EXPECT_EQ(read, value);
      EXPECT_TRUE(reader.done());
      // Every shorter piece of it is cut short.
      for (size_t size = 0; size < bytes.size(); ++size) {
        Reader cut(BytesOf(bytes).subspan(0, size));
        EXPECT_FALSE(cut.ReadVarint(&read));
      }
    }
  }
}

TEST(VarintTest, RefusesLongFormsAndMoreThan64Bits) {
  uint64_t value = 0;
  for (const std::string& bytes :
       {std::string("\x80\x00", 2), std::string("\xff\x80\x00", 3),
        std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10),
        std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11)}) {
    Reader reader(BytesOf(bytes));
    EXPECT_FALSE(reader.ReadVarint(&value));
  }
  const std::string most("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
  Reader reader(BytesOf(most));
  EXPECT_TRUE(reader.ReadVarint(&value));
  EXPECT_EQ(value, ~uint64_t{0});
}

TEST(VarintTest, StringLongerThanWhatIsLeft) {
  absl::string_view text;
  const std::string whole =
      "\x03"
      "abc";
  Reader exact(BytesOf(whole));
  EXPECT_TRUE(exact.ReadString(&text));
  EXPECT_EQ(text, "abc");
  const std::string short_of_one =
      "\x04"
      "abc";
  Reader cut(BytesOf(short_of_one));
  EXPECT_FALSE(cut.ReadString(&text));
  const std::string longest = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
  Reader huge(BytesOf(longest));
  EXPECT_FALSE(huge.ReadString(&text));
}

// ---- metadata

TEST(MetadataBlockTest, RoundTrip) {
  const Metadata metadata{{"a", ""}, {"b-bin", absl::string_view("\0\xff", 2)}, {"a", "x"}};
  const std::string block = EncodeMetadata(metadata);
  Reader reader(BytesOf(block));
  absl::string_view entries;
  ASSERT_TRUE(reader.ReadString(&entries));
  Metadata read;
  absl::Status fault;
  ASSERT_TRUE(DecodeMetadata(entries, MetadataLimits(), &read, &fault));
  EXPECT_TRUE(fault.ok());
  EXPECT_TRUE(std::equal(read.begin(), read.end(), metadata.begin(), metadata.end()));
}

// The code of what is wrong with `metadata` under `limits`, the same when sent and when received.
absl::StatusCode Fault(const Metadata& metadata, const MetadataLimits& limits) {
  Metadata read;
  absl::Status fault;
  const std::string block = EncodeMetadata(metadata);
  Reader reader(BytesOf(block));
  absl::string_view entries;
  EXPECT_TRUE(reader.ReadString(&entries));
  EXPECT_TRUE(DecodeMetadata(entries, limits, &read, &fault));
  EXPECT_EQ(CheckMetadata(metadata, limits).code(), fault.code());
  return fault.code();
}

TEST(MetadataBlockTest, LimitsAtBelowAndAbove) {
  const MetadataLimits limits{100, 2};
  EXPECT_EQ(Fault({{"k", std::string(66, 'v')}}, limits), absl::StatusCode::kOk);
  EXPECT_EQ(Fault({{"k", std::string(67, 'v')}}, limits), absl::StatusCode::kOk);
  EXPECT_EQ(Fault({{"k", std::string(68, 'v')}}, limits), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Fault({{"k", ""}}, limits), absl::StatusCode::kOk);
  EXPECT_EQ(Fault({{"k", ""}, {"k", ""}}, limits), absl::StatusCode::kOk);
  EXPECT_EQ(Fault({{"k", ""}, {"k", ""}, {"k", ""}}, limits), absl::StatusCode::kResourceExhausted);
}

TEST(MetadataBlockTest, BadEntriesAreTheCallsFault) {
  EXPECT_EQ(Fault({{"K", ""}}, MetadataLimits()), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Fault({{"k", "\n"}}, MetadataLimits()), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Fault({{"", ""}}, MetadataLimits()), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Fault({{"grpc-status", ""}}, MetadataLimits()), absl::StatusCode::kInvalidArgument);
}

TEST(MetadataBlockTest, CutShortIsMalformed) {
  const std::string block = EncodeMetadata({{"key", "value"}});
  Metadata read;
  absl::Status fault;
  for (size_t size = 2; size < block.size(); ++size) {
    const absl::string_view entries = absl::string_view(block).substr(1, size - 1);
    EXPECT_FALSE(DecodeMetadata(entries, MetadataLimits(), &read, &fault)) << size;
  }
}

// ---- frames of calls

std::string WriteOpen(const OpenFrame& frame, const std::string& message) {
  std::string bytes(OpenHeadSize(frame), '\xee');
  EXPECT_EQ(WriteOpenHead(frame, To(bytes)), To(bytes) + bytes.size());
  return bytes + message;
}

TEST(OpenFrameTest, RoundTripOfEveryCombinationOfFlags) {
  const std::string block = EncodeMetadata({{"k", "v"}});
  for (uint8_t flags = 0; flags < 64; ++flags) {
    OpenFrame frame;
    frame.flags = flags;
    frame.method = 300;
    frame.name = "a/b";
    frame.deadline_us = 1000000;
    frame.metadata = block;
    frame.message_size = 500;
    const std::string message = flags & kMessage ? "hello" : "";
    const std::string bytes = WriteOpen(frame, message);
    OpenFrame read;
    const char* const wrong = ReadOpen(BytesOf(bytes), &read);
    const bool sense = !(flags & kPartial) || ((flags & kMessage) && !(flags & kEnd));
    EXPECT_EQ(wrong == nullptr, sense) << int{flags};
    if (wrong != nullptr) continue;
    EXPECT_EQ(read.flags, flags);
    EXPECT_EQ(read.method, 300u);
    EXPECT_EQ(read.name, flags & kLiteral ? "a/b" : "");
    EXPECT_EQ(read.deadline_us, flags & kDeadline ? 1000000u : 0u);
    EXPECT_EQ(read.metadata, flags & kMetadata ? block.substr(1) : "");
    EXPECT_EQ(TextOf(read.message), message);
    if (flags & kMessage) {
      EXPECT_EQ(read.message_size, flags & kPartial ? 500u : 5u);
    }
  }
}

TEST(OpenFrameTest, EveryCutIsFound) {
  const std::string block = EncodeMetadata({{"k", "v"}});
  OpenFrame frame;
  frame.flags = kLiteral | kDeadline | kMetadata | kMessage | kPartial;
  frame.method = 300;
  frame.name = "a/b";
  frame.deadline_us = 1000000;
  frame.metadata = block;
  frame.message_size = 500;
  const std::string bytes = WriteOpen(frame, "");
  OpenFrame read;
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_NE(ReadOpen(BytesOf(bytes).subspan(0, size), &read), nullptr) << size;
  }
  EXPECT_EQ(ReadOpen(BytesOf(bytes), &read), nullptr);
}

TEST(OpenFrameTest, NameLimitAndTrailingBytes) {
  for (const size_t size : {0, 1, 1023, 1024, 1025}) {
    const std::string name(size, 'n');
    OpenFrame frame;
    frame.flags = kLiteral;
    frame.name = name;
    OpenFrame read;
    EXPECT_EQ(ReadOpen(BytesOf(WriteOpen(frame, "")), &read) == nullptr, size >= 1 && size <= 1024)
        << size;
  }
  OpenFrame read;
  EXPECT_NE(ReadOpen(BytesOf(WriteOpen(OpenFrame(), "x")), &read), nullptr);
}

TEST(DataFrameTest, FirstAndLaterPieces) {
  DataFrame frame;
  frame.flags = kMessage | kPartial;
  frame.message_size = 1000;
  for (const bool first : {true, false}) {
    std::string bytes(DataHeadSize(frame, first), '\0');
    WriteDataHead(frame, first, To(bytes));
    EXPECT_EQ(bytes.size(), first ? 3u : 1u);
    bytes += "abc";
    DataFrame read;
    ASSERT_EQ(ReadData(BytesOf(bytes), first, &read), nullptr);
    EXPECT_EQ(read.message_size, first ? 1000u : 0u);
    EXPECT_EQ(TextOf(read.message), "abc");
  }
}

TEST(DataFrameTest, Malformed) {
  DataFrame read;
  EXPECT_NE(ReadData(BytesOf(""), true, &read), nullptr);
  EXPECT_NE(ReadData(BytesOf("\x40"), true, &read), nullptr);       // says nothing
  EXPECT_NE(ReadData(BytesOf("\x41x"), true, &read), nullptr);      // bytes after the end
  EXPECT_NE(ReadData(BytesOf("\x42\x05x"), true, &read), nullptr);  // P without S
  EXPECT_NE(ReadData(BytesOf("\x47\x05x"), true, &read), nullptr);  // P with E
  EXPECT_NE(ReadData(BytesOf("\x46"), true, &read), nullptr);       // no size
  EXPECT_NE(ReadData(BytesOf("\x48\x05x"), true, &read), nullptr);  // metadata cut short
  EXPECT_EQ(ReadData(BytesOf("\x44"), true, &read), nullptr);       // an empty message
  EXPECT_EQ(read.message_size, 0u);
}

FinishFrame RoundTrip(const absl::Status& status, bool not_processed = false) {
  const std::string bytes = EncodeFinish(status, not_processed, "", "", false);
  FinishFrame frame;
  EXPECT_EQ(ReadFinish(BytesOf(bytes), &frame), nullptr);
  return frame;
}

TEST(FinishFrameTest, EveryCodeWithTextAndDetails) {
  for (int code = 0; code <= 16; ++code) {
    absl::Status status(static_cast<absl::StatusCode>(code), "text \n\xf0\x9f\x98\x80");
    status.SetPayload("a", absl::Cord("1"));
    status.SetPayload("b", absl::Cord(std::string(1000, '\0')));
    EXPECT_EQ(RoundTrip(status).status, status);
  }
  EXPECT_TRUE(RoundTrip(absl::AbortedError(""), true).flags & kNotProcessed);
}

TEST(FinishFrameTest, TextIsCutAtTheLimitBetweenCharacters) {
  for (const size_t size : {16383, 16384, 16385}) {
    const std::string text(size, 'x');
    EXPECT_EQ(RoundTrip(absl::AbortedError(text)).status.message().size(),
              std::min<size_t>(size, 16384));
  }
  std::string text(16382, 'x');
  text += "\xf0\x9f\x98\x80";
  EXPECT_EQ(RoundTrip(absl::AbortedError(text)).status.message(), text.substr(0, 16382));
}

TEST(FinishFrameTest, DetailsPastTheLimitsAreLeftOut) {
  for (const int count : {15, 16, 17}) {
    absl::Status status = absl::AbortedError("x");
    for (int i = 0; i < count; ++i) {
      status.SetPayload(std::string(1, static_cast<char>('a' + i)), absl::Cord("v"));
    }
    int read = 0;
    RoundTrip(status).status.ForEachPayload(
        [&read](absl::string_view, const absl::Cord&) { ++read; });
    EXPECT_EQ(read, std::min(count, 16));
  }
  for (const size_t size : {32762, 32763, 32764}) {  // one byte of url, four of lengths
    absl::Status status = absl::AbortedError("x");
    status.SetPayload("u", absl::Cord(std::string(size, 'v')));
    EXPECT_EQ(RoundTrip(status).status.GetPayload("u").has_value(), size <= 32763) << size;
  }
}

TEST(FinishFrameTest, TheDeliveryDoesNotTravel) {
  const absl::Status status = WithDelivery(absl::UnavailableError("x"), Delivery::kNotProcessed);
  EXPECT_EQ(RoundTrip(status).status, absl::UnavailableError("x"));
  // Nor is it taken from a peer that sends it.
  std::string bytes = "\xd0\x0e\x01";
  for (const absl::string_view part : {kDeliveryPayload, absl::string_view("not processed")}) {
    bytes += static_cast<char>(part.size());
    bytes.append(part.data(), part.size());
  }
  FinishFrame frame;
  ASSERT_EQ(ReadFinish(BytesOf(bytes), &frame), nullptr);
  EXPECT_EQ(DeliveryOf(frame.status), Delivery::kUnknown);
}

TEST(FinishFrameTest, Malformed) {
  FinishFrame frame;
  const auto wrong = [&frame](absl::string_view bytes) {
    return ReadFinish(BytesOf(std::string(bytes)), &frame) != nullptr;
  };
  EXPECT_TRUE(wrong("\xc0"));                                 // no code
  EXPECT_TRUE(wrong("\xc0\x11"));                             // code 17
  EXPECT_FALSE(wrong("\xc0\x10"));                            // code 16
  EXPECT_TRUE(wrong(absl::string_view("\xe0\x00", 2)));       // OK, not processed
  EXPECT_TRUE(wrong(absl::string_view("\xc1\x00\x01x", 4)));  // OK with text
  EXPECT_TRUE(wrong("\xc4\x01x"));                            // a failure with a message
  EXPECT_TRUE(wrong(absl::string_view("\xc1\x01\x00", 3)));   // text of nothing
  EXPECT_TRUE(wrong("\xc1\x01\x02x"));                        // text cut short
  EXPECT_TRUE(wrong(absl::string_view("\xd0\x01\x00", 3)));   // no details
  EXPECT_TRUE(wrong("\xd0\x01\x01\x01"));                     // details cut short
  EXPECT_TRUE(wrong("\xd0\x01\x11"));                         // 17 details
  EXPECT_TRUE(wrong("\xc0\x01x"));                            // bytes after the end
  EXPECT_TRUE(wrong("\xc2\x01\x02x"));                        // metadata cut short
}

TEST(NumberFrameTest, ResetAndCredit) {
  absl::StatusCode code;
  EXPECT_EQ(ReadReset(BytesOf("\x01\x04"), &code), nullptr);
  EXPECT_EQ(code, absl::StatusCode::kDeadlineExceeded);
  EXPECT_NE(ReadReset(BytesOf(std::string("\x01\x00", 2)), &code), nullptr);
  EXPECT_NE(ReadReset(BytesOf("\x01\x11"), &code), nullptr);
  EXPECT_NE(ReadReset(BytesOf("\x01"), &code), nullptr);
  EXPECT_NE(ReadReset(BytesOf("\x01\x01\x01"), &code), nullptr);
  uint64_t amount = 0;
  std::string credit(NumberFrameSize(70000), '\0');
  WriteNumberFrame(kCredit, 70000, To(credit));
  EXPECT_EQ(ReadCredit(BytesOf(credit), &amount), nullptr);
  EXPECT_EQ(amount, 70000u);
  EXPECT_NE(ReadCredit(BytesOf(std::string("\x02\x00", 2)), &amount), nullptr);
  EXPECT_NE(ReadCredit(BytesOf("\x02"), &amount), nullptr);
}

// ---- frames of stream 0

TEST(HelloTest, RoundTripAndLimits) {
  Hello hello;
  hello.max_concurrent_calls = 65535;
  hello.call_window = uint64_t{1} << 40;
  hello.connection_window = uint64_t{1} << 40;
  hello.max_methods = uint64_t{1} << 20;
  hello.optional_features = 5;
  Hello read;
  ASSERT_EQ(ReadHello(BytesOf(EncodeHello(hello)), &read), nullptr);
  EXPECT_EQ(read.max_concurrent_calls, hello.max_concurrent_calls);
  EXPECT_EQ(read.call_window, hello.call_window);
  EXPECT_EQ(read.connection_window, hello.connection_window);
  EXPECT_EQ(read.max_methods, hello.max_methods);
  EXPECT_EQ(read.optional_features, 5u);

  const auto accepted = [](uint64_t Hello::*field, uint64_t value) {
    Hello hello;
    if (field == &Hello::call_window) hello.connection_window = uint64_t{1} << 40;
    hello.*field = value;
    Hello read;
    return ReadHello(BytesOf(EncodeHello(hello)), &read) == nullptr;
  };
  EXPECT_FALSE(accepted(&Hello::max_concurrent_calls, 0));
  EXPECT_TRUE(accepted(&Hello::max_concurrent_calls, 1));
  EXPECT_FALSE(accepted(&Hello::max_concurrent_calls, 65536));
  EXPECT_FALSE(accepted(&Hello::call_window, 16383));
  EXPECT_TRUE(accepted(&Hello::call_window, 16384));
  EXPECT_FALSE(accepted(&Hello::call_window, (uint64_t{1} << 40) + 1));
  EXPECT_FALSE(accepted(&Hello::connection_window, 65535));
  EXPECT_FALSE(accepted(&Hello::connection_window, (uint64_t{1} << 40) + 1));
  EXPECT_FALSE(accepted(&Hello::max_methods, (uint64_t{1} << 20) + 1));
}

TEST(HelloTest, Malformed) {
  const std::string good = EncodeHello(Hello());
  Hello read;
  EXPECT_EQ(ReadHello(BytesOf(good), &read), nullptr);
  for (size_t size = 1; size < good.size(); ++size) {
    EXPECT_NE(ReadHello(BytesOf(good).subspan(0, size), &read), nullptr) << size;
  }
  std::string other = good;
  other[1] = 'x';
  EXPECT_NE(ReadHello(BytesOf(other), &read), nullptr);
  EXPECT_NE(ReadHello(BytesOf(good + std::string("\x01\x05\x01\x05", 4)), &read), nullptr);
  EXPECT_EQ(ReadHello(BytesOf(good + std::string("\x63\x05", 2)), &read), nullptr);  // unknown
  EXPECT_NE(ReadHello(BytesOf(good + std::string("\x63", 1)), &read), nullptr);
  // A call window above the connection's.
  EXPECT_NE(ReadHello(BytesOf(good + std::string("\x02\x81\x80\x04", 4)), &read), nullptr);
  Hello versions;
  versions.lowest_version = 0;
  EXPECT_NE(ReadHello(BytesOf(EncodeHello(versions)), &read), nullptr);
  versions.lowest_version = kVersion + 1;
  EXPECT_NE(ReadHello(BytesOf(EncodeHello(versions)), &read), nullptr);
  for (const size_t count : {63, 64, 65}) {
    std::string many = good;
    for (size_t i = 0; i < count; ++i) many += {static_cast<char>(5 + i), 5};
    EXPECT_EQ(ReadHello(BytesOf(many), &read) == nullptr, count <= 64) << count;
  }
}

TEST(HelloTest, NoSettingComesTwice) {
  const std::string good = EncodeHello(Hello());
  Hello read;
  EXPECT_STREQ(ReadHello(BytesOf(good + std::string("\x04\x05\x04\x05", 4)), &read),
               "HELLO: a setting twice");
  EXPECT_STREQ(ReadHello(BytesOf(good + std::string("\x63\x05\x62\x05\x63\x06", 6)), &read),
               "HELLO: a setting twice");  // unknown
}

TEST(ControlFramesTest, PingAndGoaway) {
  std::string ping(kPingFrameSize, '\0');
  WritePing(kPing, 0x0123456789abcdef, To(ping));
  uint64_t value = 0;
  EXPECT_EQ(ReadPing(BytesOf(ping), &value), nullptr);
  EXPECT_EQ(value, 0x0123456789abcdefu);
  EXPECT_NE(ReadPing(BytesOf(ping + "x"), &value), nullptr);
  EXPECT_NE(ReadPing(BytesOf(ping).subspan(0, 8), &value), nullptr);

  Goaway goaway;
  for (const size_t size : {0, 511, 512, 513}) {
    const std::string bytes = EncodeGoaway({15, std::string(size, 'x')});
    ASSERT_EQ(ReadGoaway(BytesOf(bytes), &goaway), nullptr);
    EXPECT_EQ(goaway.code, 15);
    EXPECT_EQ(goaway.text.size(), std::min<size_t>(size, 512));
  }
  EXPECT_NE(ReadGoaway(BytesOf("\x13"), &goaway), nullptr);
  EXPECT_NE(ReadGoaway(BytesOf("\x13\x11"), &goaway), nullptr);
  EXPECT_NE(ReadGoaway(BytesOf("\x13\x01" + std::string(513, 'x')), &goaway), nullptr);
}

}  // namespace
}  // namespace anywire::wire
