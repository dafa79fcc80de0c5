#include "runtime/config/json_reader.h"

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "runtime/config/utf8.h"

namespace anywire::config {
namespace {

constexpr absl::string_view kValues = "a string in double quotes, a number, {...}, [...] or null";

// Whether `text` is a number of RFC 8259, section 6.
bool IsNumber(absl::string_view text) {
  const auto digits = [&text] {
    const size_t before = text.size();
    while (!text.empty() && absl::ascii_isdigit(text[0])) text.remove_prefix(1);
    return before - text.size();
  };
  absl::ConsumePrefix(&text, "-");
  const bool zero = absl::StartsWith(text, "0");
  const size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (absl::ConsumePrefix(&text, ".") && digits() == 0) return false;
  if (absl::ConsumePrefix(&text, "e") || absl::ConsumePrefix(&text, "E")) {
    if (!absl::ConsumePrefix(&text, "+")) absl::ConsumePrefix(&text, "-");
    if (digits() == 0) return false;
  }
  return text.empty();
}

class JsonReader {
 public:
  JsonReader(absl::string_view text, absl::string_view file) : rest_(text), file_(file) {}

  absl::StatusOr<Value> Read() {
    Value file;
    SkipSpace();
    if (!Is('{')) {
      Fail(here_, absl::StrCat("expected \"{\" at the start of a JSON file, ", Found()),
           "one object: { ... }");
    } else {
      ReadValue(file);
      SkipSpace();
      if (status_.ok() && !rest_.empty()) {
        Fail(here_, absl::StrCat("expected the end of the file, ", Found()), "one object");
      }
    }
    if (!status_.ok()) return status_;
    return file;
  }

 private:
  // ---- characters ----

  bool Is(char c) const { return !rest_.empty() && rest_[0] == c; }

  // `bytes` of them, which end with a whole character.
  void Advance(size_t bytes) {
    for (; bytes > 0; --bytes) {
      const char c = rest_[0];
      rest_.remove_prefix(1);
      if (c == '\n') {
        ++here_.line;
        here_.column = 1;
      } else if (rest_.empty() || (static_cast<uint8_t>(rest_[0]) & 0xC0) != 0x80) {
        ++here_.column;
      }
    }
  }

  bool Skip(char c) {
    if (!Is(c)) return false;
    Advance(1);
    return true;
  }

  void SkipSpace() {
    while (Is(' ') || Is('\t') || Is('\n') || Is('\r')) Advance(1);
    if (Is('#') || absl::StartsWith(rest_, "//") || absl::StartsWith(rest_, "/*")) {
      Fail(here_, "a comment, which JSON does not have",
           "comments in text format (any file name but *.json)");
    }
  }

  // The run of characters that a number or a word may consist of.
  absl::string_view Bare() const {
    size_t size = 0;
    while (size < rest_.size() &&
           (absl::ascii_isalnum(rest_[size]) || rest_[size] == '_' || rest_[size] == '.' ||
            rest_[size] == '+' || rest_[size] == '-')) {
      ++size;
    }
    return rest_.substr(0, size);
  }

  std::string Found() const {
    if (rest_.empty()) return "found the end of the file";
    const absl::string_view bare = Bare();
    if (!bare.empty()) return absl::StrCat("found ", Quoted(bare));
    if (Is('"')) return "found a string";
    return absl::StrCat("found ", Quoted(rest_.substr(0, FirstCharacter(rest_).size)));
  }

  // ---- errors ----

  void Fail(Position at, absl::string_view what, absl::string_view allowed) {
    if (status_.ok()) status_ = ErrorAt(file_, at, what, allowed);
  }

  void FailInside(absl::string_view opening, const Value& value, absl::string_view allowed) {
    Fail(here_,
         absl::StrCat(Found(), " inside the \"", opening, "\" of ", value.at.line, ":",
                      value.at.column),
         allowed);
  }

  // ---- the grammar ----

  // At its first character.
  void ReadValue(Value& value) {
    value.at = here_;
    if (++depth_ > kMaxDepth) {
      Fail(here_, "braces and brackets too deep in each other", absl::StrCat(kMaxDepth, " levels"));
    } else if (Skip('{')) {
      value.kind = Value::kObject;
      ReadMembers(value);
    } else if (Skip('[')) {
      value.kind = Value::kList;
      ReadItems(value);
    } else if (Is('"')) {
      value.kind = Value::kString;
      ReadString(value.text);
    } else {
      ReadBare(value);
    }
    --depth_;
  }

  void ReadMembers(Value& object) {
    SkipSpace();
    if (Skip('}')) return;
    do {
      SkipSpace();
      if (status_.ok() && !Is('"')) {
        const bool comma = Is('}') && !object.members.empty();
        Fail(here_, absl::StrCat("expected a key, ", Found()),
             comma ? "no \",\" before \"}\"" : "a key in double quotes");
      }
      if (!status_.ok()) return;
      Member& member = object.members.emplace_back();
      member.at = here_;
      ReadString(member.key);
      SkipSpace();
      if (status_.ok() && !Skip(':')) {
        Fail(here_, absl::StrCat(Found(), " after the key ", Quoted(member.key)),
             "\":\" and a value");
      }
      SkipSpace();
      if (!status_.ok()) return;
      ReadValue(member.value);
      SkipSpace();
    } while (status_.ok() && Skip(','));
    if (status_.ok() && !Skip('}')) {
      FailInside("{", object, "\",\" or \"}\"");
    }
  }

  void ReadItems(Value& list) {
    SkipSpace();
    if (Skip(']')) return;
    do {
      SkipSpace();
      if (Is(']')) Fail(here_, "expected a value, found \"]\"", "no \",\" before \"]\"");
      if (!status_.ok()) return;
      ReadValue(list.items.emplace_back());
      SkipSpace();
    } while (status_.ok() && Skip(','));
    if (status_.ok() && !Skip(']')) {
      FailInside("[", list, "\",\" or \"]\"");
    }
  }

  void ReadBare(Value& value) {
    const absl::string_view bare = Bare();
    if (bare == "null") {
      value.kind = Value::kNothing;
    } else if (IsNumber(bare)) {
      value.kind = Value::kNumber;
    } else if (bare == "true" || bare == "false" ||
               (!bare.empty() && absl::ascii_isdigit(bare[0]) &&
                absl::ascii_isalpha(bare.back()))) {
      // The last is 30s or 4MiB, which is no JSON, but the reader of the keys can say what is
      // missing: quotes.
      value.kind = Value::kWord;
    } else {
      Fail(here_, absl::StrCat("expected a value, ", Found()), kValues);
      return;
    }
    value.text = std::string(bare);
    Advance(bare.size());
  }

  // At the opening quote.
  void ReadString(std::string& to) {
    const Position start = here_;
    Advance(1);
    while (status_.ok() && !Skip('"')) {
      if (rest_.empty() || Is('\n') || Is('\r')) {
        Fail(start, "a string that does not end on its line",
             "a closing quote; \\n for a line break");
      } else if (Is('\\')) {
        ReadEscape(to);
      } else if (static_cast<uint8_t>(rest_[0]) < 0x20) {
        Fail(here_, "a control character in a string", "\\t, \\n or \\u00xx");
      } else {
        to.push_back(rest_[0]);
        Advance(1);
      }
    }
  }

  // At the backslash.
  void ReadEscape(std::string& to) {
    const Position start = here_;
    Advance(1);
    constexpr absl::string_view kNames = "\"\\/bfnrt";
    constexpr absl::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const size_t index = rest_.empty() ? absl::string_view::npos : kNames.find(rest_[0]);
    if (index != absl::string_view::npos) {
      to.push_back(kMeanings[index]);
      Advance(1);
      return;
    }
    uint32_t code = 0;
    bool good = ReadUnicodeEscape(code);
    if (good && code >= 0xD800 && code <= 0xDBFF) {
      uint32_t low = 0;
      good = Skip('\\') && ReadUnicodeEscape(low) && low >= 0xDC00 && low <= 0xDFFF;
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
      good = false;
    }
    if (!good) {
      Fail(start, "an unknown escape in a string",
           "\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u00e9 and pairs such as \\ud83d\\ude00");
      return;
    }
    AppendUtf8(code, to);
  }

  // At the "u" of \u1234.
  bool ReadUnicodeEscape(uint32_t& code) {
    if (rest_.size() < 5 || rest_[0] != 'u') return false;
    code = 0;
    for (const char c : rest_.substr(1, 4)) {
      if (!absl::ascii_isxdigit(c)) return false;
      const char lower = absl::ascii_tolower(c);
      code = code << 4 | static_cast<uint32_t>(lower <= '9' ? lower - '0' : lower - 'a' + 10);
    }
    Advance(5);
    return true;
  }

  absl::string_view rest_;
  absl::string_view file_;
  Position here_ = {1, 1};
  int depth_ = 0;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<Value> ReadJson(absl::string_view text, absl::string_view file) {
  return JsonReader(text, file).Read();
}

}  // namespace anywire::config
