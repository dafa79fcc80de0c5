#include "runtime/message/message_bytes.h"

#include <string>
#include <vector>

#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/wrappers.pb.h"
#include "gtest/gtest.h"

namespace anywire {
namespace {

using google::protobuf::BytesValue;
using google::protobuf::UninterpretedOption;

std::vector<uint8_t> BytesOf(const google::protobuf::MessageLite& message) {
  std::vector<uint8_t> bytes(message.ByteSizeLong());
  WriteMessage(message, bytes.size(), bytes.data());
  return bytes;
}

// A message of so many bytes, of which a tag and a length are four.
BytesValue MessageOfSize(size_t size) {
  std::string value(size - 4, '\0');
  for (size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i * 7 + i / 251);
  BytesValue message;
  message.set_value(value);
  return message;
}

TEST(MessageBytesTest, WhatIsWrittenIsReadAgainOnBothSidesOfAStep) {
  for (const size_t size : {kCopyAtOnce - 1, kCopyAtOnce, kCopyAtOnce + 1, 2 * kCopyAtOnce,
                            3 * kCopyAtOnce + 17, 9 * kCopyAtOnce}) {
    const BytesValue written = MessageOfSize(size);
    const std::vector<uint8_t> bytes = BytesOf(written);
    EXPECT_EQ(bytes.size(), size);
    EXPECT_EQ(std::string(bytes.begin(), bytes.end()), written.SerializeAsString());
    BytesValue read;
    read.set_value("something that was there before");
    ASSERT_TRUE(ReadMessage(bytes, read)) << size;
    EXPECT_EQ(read.value(), written.value()) << size;
  }
}

TEST(MessageBytesTest, BytesThatAreCutShortAreNoMessage) {
  for (const size_t size : {size_t{100}, kCopyAtOnce, 3 * kCopyAtOnce}) {
    std::vector<uint8_t> bytes = BytesOf(MessageOfSize(size));
    bytes.pop_back();
    BytesValue read;
    EXPECT_FALSE(ReadMessage(bytes, read)) << size;
  }
}

// The length of the value says 40 MB, of which a small part is there.
TEST(MessageBytesTest, BytesThatAreOnlyClaimedGetNoMemory) {
  std::vector<uint8_t> bytes = {0x0a, 0x80, 0xb4, 0x89, 0x13};
  bytes.resize(2 * kCopyAtOnce);
  BytesValue read;
  EXPECT_FALSE(ReadMessage(bytes, read));
  EXPECT_LT(read.value().capacity(), 4 * kCopyAtOnce);
}

TEST(MessageBytesTest, AMessageWithoutARequiredFieldIsNoneAndNoNoise) {
  testing::internal::CaptureStderr();
  UninterpretedOption::NamePart little;
  EXPECT_FALSE(ReadMessage({}, little));
  UninterpretedOption large;
  large.set_string_value(std::string(2 * kCopyAtOnce, 'x'));
  large.add_name()->set_name_part("is_extension is missing");
  std::vector<uint8_t> bytes(large.ByteSizeLong());
  ASSERT_TRUE(large.SerializePartialToArray(bytes.data(), static_cast<int>(bytes.size())));
  UninterpretedOption read;
  EXPECT_FALSE(ReadMessage(bytes, read));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace anywire
