// The schema, the runtime's own defaults, the README and the reader agree on every field.
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "idl/config.pb.h"
#include "runtime/config/config.h"
#include "runtime/config/field_rules.h"
#include "runtime/config/testing.h"

namespace anywire::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

struct Field {
  std::string name;
  const FieldDescriptor* descriptor;
  Rule rule;
};

std::vector<Field> FieldsOf(const Descriptor* message) {
  std::vector<Field> fields;
  for (int i = 0; i < message->field_count(); ++i) {
    const FieldDescriptor* field = message->field(i);
    fields.push_back({field->name(), field, field->options().GetExtension(rule)});
  }
  return fields;
}

// The messages whose fields all are settings, with the key of each in the file.
const std::map<std::string, const Descriptor*>& SettingMessages() {
  static const auto& messages = *new std::map<std::string, const Descriptor*>(
      {{"runtime", Runtime::descriptor()}, {"limits", Limits::descriptor()}});
  return messages;
}

// `value` as the file writes it for this rule.
std::string Written(const Rule& rule, const std::string& value) {
  return rule.kind() == Rule::COUNT ? value : absl::StrCat("\"", value, "\"");
}

// A range's end moved by one unit of its field, or "" where nothing lies beyond.
std::string Beyond(const Rule& rule, const std::string& end, int direction) {
  switch (rule.kind()) {
    case Rule::COUNT: {
      int64_t number;
      EXPECT_TRUE(absl::SimpleAtoi(end, &number));
      return absl::StrCat(number + direction);
    }
    case Rule::SIZE: {
      const uint64_t bytes = ParseSizeText(end).value();
      return bytes == 0 && direction < 0 ? "" : absl::StrCat(bytes + direction, "B");
    }
    case Rule::DURATION: {
      const absl::Duration duration = ParseDurationText(end).value();
      const bool nothing = duration == absl::InfiniteDuration() ||
                           (duration == absl::ZeroDuration() && direction < 0);
      return nothing ? "" : absl::StrCat(absl::ToInt64Nanoseconds(duration) + direction, "ns");
    }
    default:
      return "";
  }
}

absl::StatusOr<Config> ParseSetting(const std::string& message, const Field& field,
                                    const std::string& value) {
  return ParseConfig(
      absl::StrCat(message, " { ", field.name, ": ", Written(field.rule, value), " }"),
      Format::kText, "f");
}

TextByName DescribeSettings(const std::string& message, const Config& config) {
  return message == "runtime" ? Describe(config.runtime()) : Describe(config.defaults().limits);
}

// A value of the schema as Describe shows it.
std::string Described(const Rule& rule, const std::string& value) {
  switch (rule.kind()) {
    case Rule::SIZE:
      return absl::StrCat(ParseSizeText(value).value());
    case Rule::DURATION:
      return absl::FormatDuration(ParseDurationText(value).value());
    default:
      return value;
  }
}

TEST(SchemaTest, EveryScalarHasARuleAndATypeThatTheReaderKnows) {
  for (const Descriptor* message : {ConfigFile::descriptor(), Service::descriptor(),
                                    Runtime::descriptor(), Limits::descriptor()}) {
    for (const Field& field : FieldsOf(message)) {
      SCOPED_TRACE(field.descriptor->full_name());
      switch (field.descriptor->type()) {
        case FieldDescriptor::TYPE_MESSAGE:
          EXPECT_EQ(field.rule.kind(), Rule::KIND_UNSPECIFIED);
          break;
        case FieldDescriptor::TYPE_STRING:
          EXPECT_NE(field.rule.kind(), Rule::KIND_UNSPECIFIED);
          EXPECT_NE(field.rule.kind(), Rule::COUNT);
          EXPECT_TRUE(field.descriptor->has_presence() || field.descriptor->is_repeated());
          break;
        case FieldDescriptor::TYPE_UINT32:
          EXPECT_EQ(field.rule.kind(), Rule::COUNT);
          EXPECT_TRUE(field.descriptor->has_presence());
          break;
        default:
          ADD_FAILURE() << "no reader for this type";
      }
    }
  }
}

TEST(SchemaTest, DefaultsAreTheRuntimesOwn) {
  for (const auto& [name, message] : SettingMessages()) {
    const TextByName defaults = DescribeSettings(name, Config());
    EXPECT_EQ(defaults.size(), static_cast<size_t>(message->field_count()));
    for (const Field& field : FieldsOf(message)) {
      SCOPED_TRACE(field.descriptor->full_name());
      if (field.name == "io_threads") {
        EXPECT_EQ(field.rule.default_value(), "cores, at most 4");
        EXPECT_EQ(defaults.at(field.name), absl::StrCat(DefaultIoThreads()));
      } else {
        EXPECT_EQ(defaults.at(field.name), Described(field.rule, field.rule.default_value()));
      }
    }
  }
}

TEST(SchemaTest, DefaultIoThreadsAreFew) {
  EXPECT_GE(DefaultIoThreads(), 1u);
  EXPECT_LE(DefaultIoThreads(), 4u);
}

TEST(SchemaTest, EachSettingReachesItsOptionAndNoOther) {
  for (const auto& [name, message] : SettingMessages()) {
    const TextByName defaults = DescribeSettings(name, Config());
    for (const Field& field : FieldsOf(message)) {
      SCOPED_TRACE(field.descriptor->full_name());
      for (const std::string& value : {field.rule.min(), field.rule.max()}) {
        const absl::StatusOr<Config> config = ParseSetting(name, field, value);
        ASSERT_TRUE(config.ok()) << config.status();
        const TextByName described = DescribeSettings(name, *config);
        EXPECT_EQ(described.at(field.name), Described(field.rule, value));
        if (described.at(field.name) != defaults.at(field.name)) {
          EXPECT_EQ(Differences(defaults, described), field.name);
        }
      }
    }
  }
}

TEST(SchemaTest, RangesEndWhereTheySay) {
  for (const auto& [name, message] : SettingMessages()) {
    for (const Field& field : FieldsOf(message)) {
      SCOPED_TRACE(field.descriptor->full_name());
      for (const auto& [end, inward] : {std::pair(field.rule.min(), 1), {field.rule.max(), -1}}) {
        EXPECT_TRUE(ParseSetting(name, field, end).ok()) << end;
        if (const std::string inside = Beyond(field.rule, end, inward); !inside.empty()) {
          EXPECT_TRUE(ParseSetting(name, field, inside).ok()) << inside;
        }
        if (const std::string outside = Beyond(field.rule, end, -inward); !outside.empty()) {
          EXPECT_FALSE(ParseSetting(name, field, outside).ok()) << outside;
        }
      }
    }
  }
}

TEST(SchemaTest, EachChoiceOfAServiceReachesItsOptionAndNoOther) {
  int choices = 0;
  const auto parse = [](const std::string& settings) {
    const absl::StatusOr<Config> config =
        ParseConfig(absl::StrCat("service { name: \"a\" connect: \"tcp://h:1\" ", settings, " }"),
                    Format::kText, "f");
    EXPECT_TRUE(config.ok()) << config.status();
    return Describe(config->services().at(0));
  };
  for (const Field& field : FieldsOf(Service::descriptor())) {
    if (field.rule.kind() != Rule::CHOICE) continue;
    SCOPED_TRACE(field.name);
    for (const std::string& choice : field.rule.choice()) {
      ++choices;
      const TextByName described = parse(absl::StrCat(field.name, ": \"", choice, "\""));
      EXPECT_EQ(described.at(field.name), choice);
      EXPECT_EQ(Differences(parse(""), described), field.name);
    }
  }
  EXPECT_EQ(choices, 5);
}

TEST(SchemaTest, ServiceOverridesKeepTheRangesOfTheRuntime) {
  const std::vector<Field> runtime = FieldsOf(Runtime::descriptor());
  int overrides = 0;
  for (const Field& field : FieldsOf(Service::descriptor())) {
    for (const Field& general : runtime) {
      if (general.name != field.name) continue;
      SCOPED_TRACE(field.name);
      ++overrides;
      EXPECT_EQ(field.rule.kind(), general.rule.kind());
      EXPECT_EQ(field.rule.min(), general.rule.min());
      EXPECT_EQ(field.rule.max(), general.rule.max());
      EXPECT_EQ(field.rule.default_value(), "runtime's");
      // And an override reaches the service alone.
      const absl::StatusOr<Config> config =
          ParseConfig(absl::StrCat("service { name: \"a\" connect: \"tcp://h:1\" ", field.name,
                                   ": ", Written(field.rule, field.rule.max()), " }"),
                      Format::kText, "f");
      ASSERT_TRUE(config.ok()) << config.status();
      EXPECT_EQ(Describe(config->services()[0]).at(field.name),
                Described(field.rule, field.rule.max()));
      EXPECT_EQ(Describe(config->defaults()), Describe(Config().defaults()));
    }
  }
  EXPECT_EQ(overrides, 4);
}

// A row of a table in the README: | `key` | default | range | meaning |.
TEST(SchemaTest, ReadmeHasEveryKeyWithItsDefaultAndRange) {
  std::ifstream file("runtime/config/README.md");
  const std::string readme(std::istreambuf_iterator<char>(file), {});
  std::map<std::string, std::vector<std::string>> rows;
  std::string section;
  for (const absl::string_view line : absl::StrSplit(readme, '\n')) {
    if (absl::StartsWith(line, "#")) section = std::string(line);
    std::vector<std::string> cells = absl::StrSplit(line, " | ");
    if (cells.size() == 4 && absl::StartsWith(cells[0], "| `")) {
      rows[absl::StrCat(section, " ", cells[0].substr(2))] = cells;
    }
  }
  size_t fields = 0;
  for (const Descriptor* message :
       {Service::descriptor(), Runtime::descriptor(), Limits::descriptor()}) {
    for (const Field& field : FieldsOf(message)) {
      ++fields;
      const std::string key = absl::StrCat("### ", message->name(), " `", field.name, "`");
      SCOPED_TRACE(key);
      ASSERT_TRUE(rows.contains(key));
      const std::vector<std::string>& row = rows[key];
      if (!field.rule.default_value().empty()) {
        EXPECT_EQ(row[1], field.rule.default_value());
      }
      if (!field.rule.min().empty()) {
        EXPECT_EQ(row[2], absl::StrCat(field.rule.min(), " to ", field.rule.max()));
      }
      if (field.rule.kind() == Rule::CHOICE) {
        EXPECT_EQ(row[2], absl::StrJoin(field.rule.choice(), ", "));
        EXPECT_TRUE(absl::c_linear_search(field.rule.choice(), row[1])) << row[1];
      }
    }
  }
  EXPECT_EQ(rows.size(), fields);
}

}  // namespace
}  // namespace anywire::config
