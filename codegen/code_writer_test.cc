#include "codegen/code_writer.h"

#include <string>

#include "gtest/gtest.h"

namespace anywire::codegen {
namespace {

std::string Commented(const std::string& leading, const std::string& trailing = "") {
  CodeWriter out;
  out.Comment({.leading = leading, .trailing = trailing});
  return out.text();
}

TEST(CodeWriter, CarriesLeadingAndTrailingWords) {
  EXPECT_EQ(Commented(""), "");
  EXPECT_EQ(Commented(" One.\n"), "// One.\n");
  EXPECT_EQ(Commented("", " Two.\n"), "// Two.\n");
  EXPECT_EQ(Commented(" One.\n", " Two.\n"), "// One.\n//\n// Two.\n");
}

TEST(CodeWriter, KeepsSpaceAndDropsEmptyLinesAround) {
  EXPECT_EQ(Commented("tight\n   deep\n"), "// tight\n//   deep\n");
  EXPECT_EQ(Commented("\n \n One.\n\n Two.\n\n"), "// One.\n//\n// Two.\n");
  EXPECT_EQ(Commented(" \n\n"), "");
  EXPECT_EQ(Commented(" carriage returns\r\n"), "// carriage returns\n");
}

TEST(CodeWriter, NoCommentContinuesOnTheNextLine) {
  EXPECT_EQ(Commented(" back \\\n"), "// back \\ //\n");
  EXPECT_EQ(Commented(" back \\ \t\n"), "// back \\ //\n");
  EXPECT_EQ(Commented(" three ?\?/\n"), "// three ?\?/ //\n");
  EXPECT_EQ(Commented(" a \\ b ?\?/ c\n"), "// a \\ b ?\?/ c\n");
}

TEST(CodeWriter, ShowsWhatWouldHide) {
  EXPECT_EQ(Commented(" a\x07z\x7f\n"), "// a<U+0007>z<U+007F>\n");
  EXPECT_EQ(Commented(" a\rz\n"), "// a<U+000D>z\n");
  EXPECT_EQ(Commented("\u202e\u2066\u200f\u2028\u061c\ufeff\n"),
            "// <U+202E><U+2066><U+200F><U+2028><U+061C><U+FEFF>\n");
  EXPECT_EQ(Commented(" 漢字 größer 🚀\n"), "// 漢字 größer 🚀\n");
}

TEST(CodeWriter, ShowsBytesThatAreNotUtf8) {
  EXPECT_EQ(Commented(" \xff\n"), "// <FF>\n");
  EXPECT_EQ(Commented(" \xc0\xaf\n"), "// <C0><AF>\n");                  // overlong
  EXPECT_EQ(Commented(" \xed\xa0\x80\n"), "// <ED><A0><80>\n");          // surrogate
  EXPECT_EQ(Commented(" \xf4\x90\x80\x80\n"), "// <F4><90><80><80>\n");  // past the last
  EXPECT_EQ(Commented(" \xe2\x82"), "// <E2><82>\n");                    // cut
  EXPECT_EQ(Commented(" \x80z\n"), "// <80>z\n");
}

TEST(CodeWriter, WrapsCallsAtAHundredColumns) {
  const std::string parameter(40, 'p');
  CodeWriter fits;
  fits.Call(std::string(14, 'f'), {parameter, parameter}, " {");  // 14 + 1 + 82 + 3 = 100
  EXPECT_EQ(fits.text().size(), 100u + 1u);
  EXPECT_EQ(fits.text(), std::string(14, 'f') + "(" + parameter + ", " + parameter + ") {\n");

  CodeWriter wraps;
  wraps.Call(std::string(15, 'f'), {parameter, parameter}, " {");
  EXPECT_EQ(wraps.text(),
            std::string(15, 'f') + "(\n    " + parameter + ", " + parameter + ") {\n");
}

TEST(CodeWriter, GivesEachParameterALineIfItMust) {
  const std::string parameter(60, 'p');
  CodeWriter out;
  out.Indent(2);
  out.Call("f", {parameter, parameter, "q"}, ";");
  EXPECT_EQ(out.text(), "  f(\n      " + parameter + ",\n      " + parameter + ",\n      q);\n");
}

TEST(CodeWriter, NeverBreaksAName) {
  const std::string name(300, 'n');
  CodeWriter out;
  out.Call(name, {}, ";");
  out.Call(name, {name}, ";");
  EXPECT_EQ(out.text(), name + "();\n" + name + "(\n    " + name + ");\n");
}

TEST(CodeWriter, LeavesEmptyLinesEmpty) {
  CodeWriter out;
  out.Indent(2);
  out.Line();
  out.Line("x", 1);
  EXPECT_EQ(out.text(), "\n  x1\n");
}

}  // namespace
}  // namespace anywire::codegen
