#include "codegen/code_writer.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace anywire::codegen {
namespace {

constexpr int kColumns = 100;
constexpr int kContinuationIndent = 4;

struct CodePoint {
  uint32_t value = 0;
  size_t bytes = 0;  // 0: these bytes are not UTF-8
};

// The first code point of `text`, which is not empty.
CodePoint Decode(absl::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80) return {byte(0), 1};
  size_t bytes = 0;
  if ((byte(0) & 0xe0) == 0xc0) bytes = 2;
  if ((byte(0) & 0xf0) == 0xe0) bytes = 3;
  if ((byte(0) & 0xf8) == 0xf0) bytes = 4;
  if (bytes == 0 || text.size() < bytes) return {};
  uint32_t value = byte(0) & (0x7f >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[bytes] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return {};
  return {value, bytes};
}

// Control characters, line ends that only some tools know, and marks that make text read otherwise
// than it is compiled (compilers warn of them).
bool IsUnsafe(uint32_t c) {
  return (c < 0x20 && c != '\t') || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e ||
         c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

// What may stand behind "//" for one line of a comment.
std::string SafeCommentLine(absl::string_view line) {
  line = absl::StripTrailingAsciiWhitespace(line);
  std::string safe;
  while (!line.empty()) {
    const CodePoint c = Decode(line);
    if (c.bytes == 0) {
      absl::StrAppendFormat(&safe, "<%02X>", static_cast<uint8_t>(line[0]));
      line.remove_prefix(1);
      continue;
    }
    if (IsUnsafe(c.value)) {
      absl::StrAppendFormat(&safe, "<U+%04X>", c.value);
    } else {
      safe.append(line.data(), c.bytes);
    }
    line.remove_prefix(c.bytes);
  }
  // Either would draw the next line into the comment.
  if (absl::EndsWith(safe, "\\") || absl::EndsWith(safe, "?\?/")) safe += " //";
  return safe;
}

}  // namespace

void CodeWriter::WriteLine(absl::string_view line) {
  if (!line.empty()) absl::StrAppend(&text_, std::string(indent_, ' '), line);
  text_ += '\n';
}

bool CodeWriter::Fits(absl::string_view line, int more_indent) const {
  return indent_ + more_indent + static_cast<int>(line.size()) <= kColumns;
}

void CodeWriter::Call(absl::string_view head, const std::vector<std::string>& parameters,
                      absl::string_view tail) {
  const std::string joined = absl::StrJoin(parameters, ", ");
  const std::string one_line = absl::StrCat(head, "(", joined, ")", tail);
  if (parameters.empty() || Fits(one_line, 0)) {
    WriteLine(one_line);
    return;
  }
  Line(head, "(");
  indent_ += kContinuationIndent;
  const std::string second_line = absl::StrCat(joined, ")", tail);
  if (Fits(second_line, 0)) {
    WriteLine(second_line);
  } else {
    for (const std::string& parameter : parameters) {
      const bool is_last = &parameter == &parameters.back();
      Line(parameter, is_last ? absl::StrCat(")", tail) : ",");
    }
  }
  indent_ -= kContinuationIndent;
}

void CodeWriter::CommentLines(absl::string_view words) {
  std::vector<std::string> lines;
  for (const absl::string_view line : absl::StrSplit(words, '\n')) {
    lines.push_back(SafeCommentLine(line));
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  const auto is_empty = [](const std::string& line) { return line.empty(); };
  const auto first = std::find_if_not(lines.begin(), lines.end(), is_empty);
  for (auto line = first; line != lines.end(); ++line) {
    // protoc leaves the space that follows the comment sign.
    const bool has_space = line->empty() || (*line)[0] == ' ' || (*line)[0] == '\t';
    Line("//", has_space ? "" : " ", *line);
  }
}

void CodeWriter::Comment(const idl::Comment& comment) {
  CommentLines(comment.leading);
  if (!comment.leading.empty() && !comment.trailing.empty()) Line("//");
  CommentLines(comment.trailing);
}

}  // namespace anywire::codegen
