#include "anywire/metadata.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace anywire {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(MetadataTest, KeepsOrderAndRepeatedKeys) {
  Metadata metadata{{"a", "1"}, {"b", "2"}};
  metadata.Add("a", "3");
  EXPECT_EQ(metadata.size(), 3u);
  EXPECT_EQ(metadata.Get("a"), "1");
  EXPECT_THAT(metadata.GetAll("a"), ElementsAre("1", "3"));
  EXPECT_EQ(metadata.Get("c"), std::nullopt);
  EXPECT_TRUE(metadata.GetAll("c").empty());
  EXPECT_EQ(metadata.begin()->second, "1");
  metadata.Clear();
  EXPECT_TRUE(metadata.empty());
}

TEST(MetadataTest, CountsThirtyTwoBytesAnEntry) {
  EXPECT_EQ(Metadata().ByteSize(), 0u);
  EXPECT_EQ((Metadata{{"abc", "defg"}, {"x", ""}}).ByteSize(), 7u + 32 + 1 + 32);
}

TEST(MetadataTest, EveryLegalKeyByteIsAccepted) {
  for (int c = 0; c < 256; ++c) {
    const bool legal =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
    EXPECT_EQ(Metadata::CheckEntry(std::string("k") + static_cast<char>(c), "v").ok(), legal) << c;
  }
}

TEST(MetadataTest, ValuesArePrintableUnlessBinary) {
  for (int c = 0; c < 256; ++c) {
    const std::string value(1, static_cast<char>(c));
    EXPECT_EQ(Metadata::CheckEntry("key", value).ok(), c >= 0x20 && c <= 0x7e) << c;
    EXPECT_TRUE(Metadata::CheckEntry("key-bin", value).ok()) << c;
  }
}

TEST(MetadataTest, KeyLengthLimit) {
  EXPECT_TRUE(Metadata::CheckEntry(std::string(255, 'k'), "").ok());
  EXPECT_TRUE(Metadata::CheckEntry(std::string(256, 'k'), "").ok());
  EXPECT_FALSE(Metadata::CheckEntry(std::string(257, 'k'), "").ok());
  EXPECT_FALSE(Metadata::CheckEntry("", "v").ok());
}

TEST(MetadataTest, ReservedKeysAreRefused) {
  EXPECT_FALSE(Metadata::CheckEntry("grpc-status", "0").ok());
  EXPECT_FALSE(Metadata::CheckEntry("anywire-x-bin", "0").ok());
  EXPECT_TRUE(Metadata::CheckEntry("grpcx", "0").ok());
  EXPECT_TRUE(Metadata::CheckEntry("my-grpc-", "0").ok());
}

TEST(MetadataTest, CheckNamesTheFirstBrokenKey) {
  const absl::Status status = Metadata{{"good", "1"}, {"Bad", "2"}, {"also bad", "3"}}.Check();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"Bad\""));
  EXPECT_TRUE((Metadata{{"good", "1"}}).Check().ok());
}

}  // namespace
}  // namespace anywire
