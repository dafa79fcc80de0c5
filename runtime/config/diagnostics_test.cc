#include "runtime/config/diagnostics.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/config/utf8.h"

namespace anywire::config {
namespace {

TEST(DiagnosticsTest, HarmlessTextIsShownAsItIs) {
  EXPECT_EQ(Printable(""), "");
  EXPECT_EQ(Printable("plain \"text\" \\ 100%"), "plain \"text\" \\ 100%");
  EXPECT_EQ(Printable("\xC3\xBC \xE2\x82\xAC \xF0\x9F\x98\x80"),
            "\xC3\xBC \xE2\x82\xAC \xF0\x9F\x98\x80");
}

TEST(DiagnosticsTest, ControlCharactersAreEscaped) {
  for (int c = 0; c < 0x20; ++c) {
    const std::string shown = Printable(std::string(1, static_cast<char>(c)));
    EXPECT_EQ(shown[0], '\\') << c;
    EXPECT_GE(shown.size(), 2u) << c;
  }
  EXPECT_EQ(Printable(std::string("\0\x1b\n\r\t\x7f", 6)), "\\x00\\x1b\\n\\r\\t\\x7f");
  EXPECT_EQ(Printable("\xC2\x9B"), "\\u009b");      // C1: also a terminal's escape
  EXPECT_EQ(Printable("\xE2\x80\xAE"), "\\u202e");  // right to left
  EXPECT_EQ(Printable("\xE2\x80\xA8"), "\\u2028");  // a line separator
  EXPECT_EQ(Printable("\xEF\xBB\xBF"), "\\ufeff");
}

TEST(DiagnosticsTest, BytesThatAreNotUtf8AreEscaped) {
  EXPECT_EQ(Printable("a\xFFz"), "a\\xffz");
  EXPECT_EQ(Printable("\xE2\x82"), "\\xe2\\x82");
}

TEST(DiagnosticsTest, LongTextIsCutBetweenCharacters) {
  EXPECT_EQ(Printable("abcd", 4), "abcd");
  EXPECT_EQ(Printable("abcde", 4), "abcd...");
  EXPECT_EQ(Printable("\xC3\xBC\xC3\xBC\xC3\xBC", 2), "\xC3\xBC\xC3\xBC...");
}

TEST(DiagnosticsTest, NearestIsTheOneThatIsMeant) {
  const std::vector<std::string> items = {"listen",         "connect", "limits", "io_threads",
                                          "worker_threads", "tcp",     "unix"};
  EXPECT_EQ(Nearest("lisen", items), "listen");
  EXPECT_EQ(Nearest("LISTEN", items), "listen");
  EXPECT_EQ(Nearest("conect", items), "connect");
  EXPECT_EQ(Nearest("limit", items), "limits");
  EXPECT_EQ(Nearest("workerThreads", items), "worker_threads");
  EXPECT_EQ(Nearest("tpc", items), "tcp");
  EXPECT_EQ(Nearest("threads", items), "io_threads");  // contained in it
}

TEST(DiagnosticsTest, NothingIsNearWhatIsFar) {
  const std::vector<std::string> items = {"listen", "a", "tcp"};
  EXPECT_EQ(Nearest("", items), "");
  EXPECT_EQ(Nearest("b", items), "");
  EXPECT_EQ(Nearest("udp", items), "");
  EXPECT_EQ(Nearest("service", items), "");
  EXPECT_EQ(Nearest("listen", {}), "");
  EXPECT_EQ(Nearest(std::string(1 << 20, 'x'), items), "");
}

TEST(DiagnosticsTest, ListsAreCut) {
  EXPECT_EQ(List({}), "");
  EXPECT_EQ(List({"a", "b"}), "a, b");
  const std::string of_24 = List(std::vector<std::string>(24, "x"));
  EXPECT_EQ(of_24.size(), 24 + 2 * 23u);
  EXPECT_EQ(List(std::vector<std::string>(25, "x")), of_24 + " and 1 more");
}

TEST(DiagnosticsTest, ErrorLine) {
  EXPECT_EQ(ErrorAt("f", {3, 9}, "bad", "good"),
            absl::InvalidArgumentError("f:3:9: bad; allowed: good"));
  EXPECT_EQ(ErrorAt("f", {}, "bad", ""), absl::InvalidArgumentError("f: bad"));
}

TEST(Utf8Test, EveryCharacterSurvives) {
  for (uint32_t code = 0; code <= 0x10FFFF; ++code) {
    if (code >= 0xD800 && code <= 0xDFFF) continue;
    std::string text;
    AppendUtf8(code, text);
    const Utf8Character character = FirstCharacter(text + "x");
    ASSERT_EQ(character.code, code);
    ASSERT_EQ(character.size, text.size());
    ASSERT_EQ(FirstCharacter(text.substr(0, text.size() - 1)).size, 0u) << code;
  }
}

TEST(Utf8Test, WhatIsNoCharacter) {
  for (const char* bytes : {"", "\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF",
                            "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
                            "\xF8\x88\x80\x80\x80", "\xFF", "\xC3(", "\xE2\x82("}) {
    EXPECT_EQ(FirstCharacter(bytes).size, 0u) << bytes;
  }
  EXPECT_EQ(ValidUtf8Prefix("ab\xC3\xBC\xFFz"), 4u);
  EXPECT_EQ(ValidUtf8Prefix("ab"), 2u);
}

}  // namespace
}  // namespace anywire::config
