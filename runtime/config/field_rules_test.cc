#include "runtime/config/field_rules.h"

#include <limits>
#include <optional>

#include "gtest/gtest.h"

namespace anywire::config {
namespace {

TEST(FieldRulesTest, Durations) {
  EXPECT_EQ(ParseDurationText("0s"), absl::ZeroDuration());
  EXPECT_EQ(ParseDurationText("250ms"), absl::Milliseconds(250));
  EXPECT_EQ(ParseDurationText("1h30m"), absl::Minutes(90));
  EXPECT_EQ(ParseDurationText("0.5s"), absl::Milliseconds(500));
  EXPECT_EQ(ParseDurationText("3us"), absl::Microseconds(3));
  EXPECT_EQ(ParseDurationText("inf"), absl::InfiniteDuration());
  for (const char* bad : {"", "0", "30", "-1s", "+1s", "-inf", "s", "1 s", " 1s", "1s ", "1d", "1S",
                          "1s1", "1..5s", "infinite", "inf ", "1e3s", "nan", "1s\n"}) {
    EXPECT_EQ(ParseDurationText(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(ParseDurationText("9999999999999999999999999h"), std::nullopt);
}

TEST(FieldRulesTest, Sizes) {
  EXPECT_EQ(ParseSizeText("0B"), 0u);
  EXPECT_EQ(ParseSizeText("1023B"), 1023u);
  EXPECT_EQ(ParseSizeText("16KiB"), 16384u);
  EXPECT_EQ(ParseSizeText("4MiB"), 4194304u);
  EXPECT_EQ(ParseSizeText("1GiB"), 1073741824u);
  EXPECT_EQ(ParseSizeText("2TiB"), uint64_t{2} << 40);
  for (const char* bad : {"", "0", "4096", "B", "MiB", "-1B", "+1B", "1.5MiB", "4MB", "4mib",
                          "4 MiB", "4MiB ", " 4MiB", "4Mi", "0x10B", "18446744073709551616B"}) {
    EXPECT_EQ(ParseSizeText(bad), std::nullopt) << bad;
  }
}

TEST(FieldRulesTest, SizesDoNotOverflow) {
  constexpr uint64_t kLargest = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(ParseSizeText("18446744073709551615B"), kLargest);
  EXPECT_EQ(ParseSizeText("16777215TiB"), uint64_t{16777215} << 40);
  // 2^64 exactly, and what would wrap to something small.
  EXPECT_EQ(ParseSizeText("16777216TiB"), (kLargest >> 40) << 40);
  EXPECT_EQ(ParseSizeText("18014398509481985KiB"), (kLargest >> 10) << 10);
}

TEST(FieldRulesTest, FileModes) {
  EXPECT_EQ(ParseFileModeText("660"), 0660u);
  EXPECT_EQ(ParseFileModeText("0660"), 0660u);
  EXPECT_EQ(ParseFileModeText("000"), 0u);
  EXPECT_EQ(ParseFileModeText("777"), 0777u);
  for (const char* bad : {"", "0", "60", "66", "1660", "00660", "668", "rw-", "0o660", "66 "}) {
    EXPECT_EQ(ParseFileModeText(bad), std::nullopt) << bad;
  }
}

TEST(FieldRulesTest, GuessedUris) {
  EXPECT_EQ(GuessUri("localhost:80"), "tcp://localhost:80");
  EXPECT_EQ(GuessUri("[::1]:80"), "tcp://[::1]:80");
  EXPECT_EQ(GuessUri("/run/a"), "unix:///run/a");
  for (const char* hopeless : {"", ":80", "tpc://h:80", "::1:80", "a:b", "a", "a/b:80"}) {
    EXPECT_EQ(GuessUri(hopeless), "") << hopeless;
  }
}

}  // namespace
}  // namespace anywire::config
