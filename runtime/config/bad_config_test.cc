// Every mistake is one exact line. The cases are in testdata/bad_text.txt and bad_json.txt; those
// that a text file cannot hold are here.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "runtime/config/config.h"
#include "runtime/config/fake_transports.h"
#include "runtime/config/testing.h"

namespace anywire::config {
namespace {

// What a program says of a configuration file, or "OK".
std::string Said(absl::string_view text, Format format, absl::string_view file = "f") {
  absl::StatusOr<Config> config = ParseConfig(text, format, file);
  const absl::Status status =
      config.ok() ? config->CheckTransports(FakeTransports()) : config.status();
  if (status.ok()) return "OK";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

struct Case {
  std::string name;
  std::string file;
  std::string expected;
};

std::vector<Case> CasesOf(const std::string& test_data) {
  std::vector<Case> cases;
  bool in_file = false;
  for (const absl::string_view whole_line : absl::StrSplit(TestData(test_data), '\n')) {
    absl::string_view line = whole_line;
    if (absl::ConsumePrefix(&line, "=== ")) {
      cases.push_back({std::string(line), "", ""});
      in_file = true;
    } else if (absl::ConsumePrefix(&line, ">>> ")) {
      cases.back().expected = absl::StrCat("f:", line);
      absl::string_view file = cases.back().file;
      absl::ConsumeSuffix(&file, "\n");
      cases.back().file = std::string(file);
      in_file = false;
    } else if (in_file) {
      absl::StrAppend(&cases.back().file, line, "\n");
    }
  }
  return cases;
}

void ExpectAll(const std::string& test_data, Format format, size_t at_least) {
  const std::vector<Case> cases = CasesOf(test_data);
  EXPECT_GE(cases.size(), at_least);
  for (const Case& c : cases) {
    EXPECT_EQ(Said(c.file, format), c.expected) << test_data << ": " << c.name;
    EXPECT_TRUE(absl::StrContains(c.expected, "; allowed: ")) << test_data << ": " << c.name;
  }
}

TEST(BadConfigTest, TextFormat) { ExpectAll("bad_text.txt", Format::kText, 80); }
TEST(BadConfigTest, Json) { ExpectAll("bad_json.txt", Format::kJson, 55); }

TEST(BadConfigTest, BytesThatAreNotUtf8) {
  EXPECT_EQ(Said("service {\n  name: \"\xC3\xBC\xff\" }", Format::kText),
            "f:2:11: not UTF-8: the byte \\xff; allowed: UTF-8 text");
  EXPECT_EQ(Said("{\"runtime\": {\n \"\xC3(\": 1}}", Format::kJson),
            "f:2:3: not UTF-8: the byte \\xc3; allowed: UTF-8 text");
  // Overlong, a surrogate, beyond U+10FFFF, cut short.
  for (const char* bytes : {"\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"}) {
    EXPECT_TRUE(absl::StartsWith(Said(bytes, Format::kText), "f:1:1: not UTF-8")) << bytes;
  }
}

TEST(BadConfigTest, ControlCharacters) {
  EXPECT_EQ(Said("\001", Format::kText),
            "f:1:1: a control character outside a string; allowed: text, spaces, tabs and line "
            "breaks");
  EXPECT_EQ(Said(absl::string_view("runtime { }\n\0", 13), Format::kText),
            "f:2:1: a control character outside a string; allowed: text, spaces, tabs and line "
            "breaks");
  EXPECT_EQ(Said("{\"\t\": 1}", Format::kJson),
            "f:1:3: a control character in a string; allowed: \\t, \\n or \\u00xx");
  EXPECT_EQ(Said(absl::string_view("{\0}", 3), Format::kJson),
            "f:1:2: expected a key, found \"\\x00\"; allowed: a key in double quotes");
}

TEST(BadConfigTest, ColumnsAreCharacters) {
  // A tab is one, an umlaut is one, the byte order mark is none; CR LF ends a line.
  EXPECT_TRUE(absl::StartsWith(Said("\t\tservce { }", Format::kText), "f:1:3: unknown key"));
  EXPECT_TRUE(absl::StartsWith(Said("{\t\t\"servce\": 1}", Format::kJson), "f:1:4: unknown key"));
  EXPECT_TRUE(absl::StartsWith(Said("\xEF\xBB\xBFservce { }", Format::kText), "f:1:1: unknown"));
  EXPECT_TRUE(absl::StartsWith(Said("\xEF\xBB\xBF{\"servce\": 1}", Format::kJson), "f:1:2: unk"));
  EXPECT_TRUE(absl::StartsWith(
      Said("service { listen: \"x:\xC3\xBC\xE2\x82\xAC\"\tlisen: 1 }", Format::kText),
      "f:1:26: unknown key \"lisen\""));
  EXPECT_TRUE(absl::StartsWith(Said("{\"service\": [{\"\xC3\xBC\": 1, \"b\": 2}]}", Format::kJson),
                               "f:1:15: unknown key \"\xC3\xBC\""));
  EXPECT_TRUE(absl::StartsWith(Said("#\r\n#\r\n servce { }", Format::kText), "f:3:2: unknown key"));
  EXPECT_TRUE(
      absl::StartsWith(Said("{\r\n\r\n \"servce\": 1}", Format::kJson), "f:3:2: unknown key"));
}

TEST(BadConfigTest, DepthHasALimit) {
  const auto nested = [](absl::string_view opening, int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) absl::StrAppend(&text, opening);
    return text;
  };
  const std::string too_deep = "braces and brackets too deep in each other; allowed: 32 levels";
  EXPECT_TRUE(absl::EndsWith(Said(nested("a{", 33), Format::kText), too_deep));
  EXPECT_FALSE(absl::EndsWith(Said(nested("a{", 32), Format::kText), too_deep));
  // The missing value inside is one more level.
  EXPECT_TRUE(absl::EndsWith(Said(nested("{\"a\":", 32), Format::kJson), too_deep));
  EXPECT_FALSE(absl::EndsWith(Said(nested("{\"a\":", 31), Format::kJson), too_deep));
  EXPECT_TRUE(absl::EndsWith(Said("a: " + nested("[", 100000), Format::kText), too_deep));
  EXPECT_TRUE(absl::EndsWith(Said("{\"a\": " + nested("[", 100000), Format::kJson), too_deep));
}

TEST(BadConfigTest, WhatTheUserWroteStaysOnOneLine) {
  EXPECT_EQ(Said("{\"\\u001b[2J\\n\\u202e\": 1}", Format::kJson),
            "f:1:2: unknown key \"\\x1b[2J\\n\\u202e\" at the top of the file; allowed: service, "
            "runtime, limits");
  const std::string line =
      Said("service { name: \"" + std::string(129, 'n') + "\" }", Format::kText);
  EXPECT_TRUE(absl::StrContains(line, "\"" + std::string(100, 'n') + "...\" is no name")) << line;
  EXPECT_TRUE(absl::StartsWith(Said("a: 1", Format::kText, "my\nfile"), "my\\nfile:1:1: "));
}

TEST(BadConfigTest, NameMayHave128Characters) {
  const auto said = [](size_t size) {
    return Said("service { connect: \"inproc:x\" name: \"" + std::string(size, 'n') + "\" }",
                Format::kText);
  };
  EXPECT_EQ(said(1), "OK");
  EXPECT_EQ(said(127), "OK");
  EXPECT_EQ(said(128), "OK");
  EXPECT_NE(said(129), "OK");
}

}  // namespace
}  // namespace anywire::config
