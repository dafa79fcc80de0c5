// Broken files: text made of good text by random changes never crashes the reader, is refused with
// one clean line, and where it is accepted means to us what it means to protobuf. ANYWIRE_TEST_SEED
// sets the seed.
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "idl/config.pb.h"
#include "runtime/config/binder.h"
#include "runtime/config/config.h"
#include "runtime/config/fake_transports.h"
#include "runtime/config/json_reader.h"
#include "runtime/config/testing.h"
#include "runtime/config/text_reader.h"
#include "runtime/config/utf8.h"

namespace anywire::config {
namespace {

constexpr int kRounds = 15000;

uint64_t Seed() {
  uint64_t seed = 20220623;
  const char* given = std::getenv("ANYWIRE_TEST_SEED");  // NOLINT(concurrency-mt-unsafe)
  if (given != nullptr && !absl::SimpleAtoi(given, &seed)) ADD_FAILURE() << "ANYWIRE_TEST_SEED";
  return seed;
}

class Mutator {
 public:
  Mutator(uint64_t seed, std::string original) : random_(seed), original_(std::move(original)) {}

  std::string Next() {
    std::string text = original_;
    for (size_t changes = 1 + Below(4); changes > 0; --changes) Change(text);
    return text;
  }

 private:
  size_t Below(size_t limit) { return random_() % limit; }

  void Change(std::string& text) {
    static constexpr absl::string_view kPieces[] = {
        "{",    "}",     "[",           "]",    "<",       ">",      ":",       ",",        ";",
        "\"",   "'",     "\\",          "\\u",  "\\ud83d", "#",      "//",      "-",        "\n",
        "\r\n", "\t",    " ",           "null", "true",    "inf",    "0x",      "1e9",      "1.5",
        "-1",   "07",    "99999999999", "é",    "\xff",    "\x01",   "service", "limits",   "30s",
        "4MiB", "\"a\"", "listen:",     "{}",   "[]",      "\"1B\"", "name:",   "\"name\":"};
    if (text.empty()) text = "{";
    const size_t at = Below(text.size());
    const size_t length = 1 + Below(std::min<size_t>(8, text.size() - at));
    switch (Below(6)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, std::string(kPieces[Below(std::size(kPieces))]));
        break;
      case 2:
        text.replace(at, length, std::string(kPieces[Below(std::size(kPieces))]));
        break;
      case 3:
        text[at] = static_cast<char>(Below(256));
        break;
      case 4:
        text.insert(Below(text.size()), text.substr(at, Below(80)));
        break;
      default:
        text.resize(at);
    }
  }

  std::mt19937_64 random_;
  const std::string original_;
};

void ExpectCleanLine(const absl::Status& status, const std::string& text) {
  const absl::string_view line = status.message();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  EXPECT_TRUE(absl::StartsWith(line, "f:")) << line;
  EXPECT_EQ(ValidUtf8Prefix(line), line.size()) << line;
  EXPECT_EQ(Printable(line, line.size()), line);
  EXPECT_TRUE(absl::StrContains(line, "; allowed: ")) << line;
  EXPECT_LT(line.size(), 1200u) << line;
}

// Whether we take the text; then protobuf's own parser must take it too and see the same message.
bool ReadsAsProtobufDoes(const std::string& text, Format format) {
  const bool json = format == Format::kJson;
  absl::string_view body = text;
  absl::ConsumePrefix(&body, "\xEF\xBB\xBF");
  if (ValidUtf8Prefix(body) != body.size()) return false;
  const absl::StatusOr<Value> value = json ? ReadJson(body, "f") : ReadText(body, "f");
  ConfigFile ours;
  PlaceByPath places;
  if (!value.ok() || !Bind(*value, json, "f", ours, places).ok()) return false;
  ConfigFile theirs;
  if (json) {
    const auto status = google::protobuf::util::JsonStringToMessage(std::string(body), &theirs);
    EXPECT_TRUE(status.ok()) << status.ToString() << "\n" << text;
  } else {
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(std::string(body), &theirs)) << text;
  }
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(ours, theirs)) << text;
  return true;
}

void MutateAndRead(const std::string& sample, Format format) {
  const uint64_t seed = Seed();
  std::cout << "ANYWIRE_TEST_SEED=" << seed << "\n";
  SCOPED_TRACE(absl::StrCat("ANYWIRE_TEST_SEED=", seed));
  const TransportRegistry registry = FakeTransports();
  Mutator mutator(seed, TestData(sample));
  int accepted = 0;
  for (int round = 0; round < kRounds && !testing::Test::HasFailure(); ++round) {
    const std::string text = mutator.Next();
    const absl::StatusOr<Config> config = ParseConfig(text, format, "f");
    if (!config.ok()) {
      ExpectCleanLine(config.status(), text);
    } else if (absl::Status status = config->CheckTransports(registry); !status.ok()) {
      ExpectCleanLine(status, text);
    }
    const bool read = ReadsAsProtobufDoes(text, format);
    EXPECT_TRUE(read || !config.ok()) << text;
    accepted += config.ok();
  }
  // Neither all nor none, or the changes are too wild or too tame to find anything.
  EXPECT_GT(accepted, kRounds / 100);
  EXPECT_LT(accepted, kRounds / 2);
}

TEST(MutationTest, TextFormat) { MutateAndRead("sample.textproto", Format::kText); }
TEST(MutationTest, Json) { MutateAndRead("sample.json", Format::kJson); }

TEST(MutationTest, EveryPrefixIsRefusedCleanly) {
  for (const auto& [sample, format] :
       {std::pair("sample.textproto", Format::kText), {"sample.json", Format::kJson}}) {
    const std::string text = TestData(sample);
    for (size_t size = 0; size < text.size(); ++size) {
      const std::string prefix = text.substr(0, size);
      const absl::StatusOr<Config> config = ParseConfig(prefix, format, "f");
      if (!config.ok()) ExpectCleanLine(config.status(), prefix);
      ReadsAsProtobufDoes(prefix, format);
    }
  }
}

}  // namespace
}  // namespace anywire::config
