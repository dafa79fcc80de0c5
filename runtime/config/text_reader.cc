#include "runtime/config/text_reader.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "runtime/config/utf8.h"

namespace anywire::config {
namespace {

using google::protobuf::io::Tokenizer;

constexpr absl::string_view kValues =
    "a string in quotes, a number, or { and } around keys and values";

// Translates protobuf's places (lines from 0, bytes from 0 with tab stops at every 8) into ours.
// Quick when asked for places in ascending order.
class Places {
 public:
  explicit Places(absl::string_view text) : text_(text) {}

  // Where in the text, in bytes.
  size_t OffsetOf(int line, int display_column) {
    GoTo(line, display_column);
    return offset_;
  }

  Position PositionOf(int line, int display_column) {
    GoTo(line, display_column);
    return {line_ + 1, column_ + 1};
  }

 private:
  void GoTo(int line, int display_column) {
    if (line < line_ || (line == line_ && display_column < display_)) {
      line_ = column_ = display_ = 0;
      offset_ = 0;
    }
    while (line_ < line && offset_ < text_.size()) {
      if (text_[offset_++] == '\n') {
        ++line_;
        column_ = display_ = 0;
      }
    }
    while (display_ < display_column && offset_ < text_.size() && text_[offset_] != '\n') {
      display_ = text_[offset_] == '\t' ? (display_ / 8 + 1) * 8 : display_ + 1;
      ++offset_;
      const bool inside_character =
          offset_ < text_.size() && (static_cast<uint8_t>(text_[offset_]) & 0xC0) == 0x80;
      if (!inside_character) ++column_;
    }
  }

  absl::string_view text_;
  size_t offset_ = 0;
  int line_ = 0;
  int column_ = 0;
  int display_ = 0;
};

// The first complaint of the tokenizer.
class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  struct Error {
    int line;
    int column;
    std::string text;
  };

  void AddError(int line, int column, const std::string& message) override {
    if (!error_) error_ = Error{line, column, message};
  }

  const std::optional<Error>& error() const { return error_; }

 private:
  std::optional<Error> error_;
};

class TextReader {
 public:
  TextReader(absl::string_view text, absl::string_view file)
      : text_(text),
        file_(file),
        places_(text),
        input_(text.data(), static_cast<int>(text.size())),
        tokens_(&input_, &tokenizer_errors_) {
    tokens_.set_comment_style(Tokenizer::SH_COMMENT_STYLE);
    // 30s without quotes comes as two tokens, which ReadScalar joins, so that the error can speak
    // of quotes.
    tokens_.set_require_space_after_number(false);
  }

  absl::StatusOr<Value> Read() {
    Next();
    Value file;
    file.kind = Value::kObject;
    file.at = {1, 1};
    ReadMembers("", file);
    if (!status_.ok()) return status_;
    return file;
  }

 private:
  // ---- tokens ----

  const Tokenizer::Token& token() { return tokens_.current(); }

  bool Is(absl::string_view symbol) {
    return token().type == Tokenizer::TYPE_SYMBOL && token().text == symbol;
  }

  bool Skip(absl::string_view symbol) {
    if (!Is(symbol)) return false;
    Next();
    return true;
  }

  // Further tokens after an error are read for nothing; the first error stays.
  void Next() {
    tokens_.Next();
    const auto& error = tokenizer_errors_.error();
    if (error && status_.ok()) FailTokenizer(*error);
  }

  bool AtEnd() { return token().type == Tokenizer::TYPE_END || !status_.ok(); }

  // No space between the last token and this one.
  bool IsAdjacent() {
    const Tokenizer::Token& last = tokens_.previous();
    return last.line == token().line && last.end_column == token().column;
  }

  Position Here() { return places_.PositionOf(token().line, token().column); }

  std::string Found() {
    switch (token().type) {
      case Tokenizer::TYPE_END:
        return "found the end of the file";
      case Tokenizer::TYPE_STRING:
        return absl::StrCat("found ", Printable(token().text));
      default:
        return absl::StrCat("found ", Quoted(token().text));
    }
  }

  // ---- errors ----

  void Fail(Position at, absl::string_view what, absl::string_view allowed) {
    if (status_.ok()) status_ = ErrorAt(file_, at, what, allowed);
  }

  void FailTokenizer(const FirstError::Error& error) {
    const Position at = places_.PositionOf(error.line, error.column);
    absl::string_view what = error.text;
    if (absl::StrContains(what, "cross line boundaries") ||
        absl::StrContains(what, "end of string")) {
      const Position start = Here();  // the string's own token
      return Fail(start, "a string that does not end on its line",
                  "a closing quote; \\n for a line break");
    }
    if (absl::StrContains(what, "escape sequence")) {
      return Fail(at, "an unknown escape in a string",
                  "\\n \\r \\t \\\\ \\\" \\' \\x7f \\177 \\u00e9 \\U0001f600");
    }
    if (absl::StrContains(what, "control characters")) {
      return Fail(at, "a control character outside a string", "text, spaces, tabs and line breaks");
    }
    while (absl::ConsumeSuffix(&what, ".")) {
    }
    Fail(at, absl::StrCat("unreadable: ", Printable(what)), kValues);
  }

  // ---- the grammar ----

  // Up to the `end` symbol, which is consumed; "" is the end of the file.
  void ReadMembers(absl::string_view end, Value& object) {
    while (!AtEnd()) {
      if (!end.empty() && Skip(end)) return;
      ReadMember(end, object);
    }
    if (!end.empty()) {
      Fail(Here(),
           absl::StrCat(Found(), " inside the \"", end == "}" ? "{" : "<", "\" of ", object.at.line,
                        ":", object.at.column),
           absl::StrCat("a key, or \"", end, "\""));
    }
  }

  void ReadMember(absl::string_view end, Value& object) {
    if (token().type != Tokenizer::TYPE_IDENTIFIER) {
      Fail(Here(), absl::StrCat("expected a key, ", Found()),
           end.empty() ? "a key, or the end of the file" : absl::StrCat("a key, or \"", end, "\""));
      return;
    }
    Member member{token().text, Here(), {}};
    Next();
    const bool colon = Skip(":");
    if (!colon && !Is("{") && !Is("<") && !Is("[")) {
      Fail(Here(), absl::StrCat("expected \":\" after ", Quoted(member.key), ", ", Found()),
           "key: value, or key { ... }");
      return;
    }
    const Position list_at = Here();
    ReadValue(member.value);
    if (member.value.kind == Value::kObject) member.value.at = member.at;
    if (!colon && member.value.kind == Value::kList &&
        (member.value.items.empty() || member.value.items[0].kind != Value::kObject)) {
      Fail(list_at, absl::StrCat("expected \":\" after ", Quoted(member.key), ", found \"[\""),
           "key: [ ... ]");
      return;
    }
    object.members.push_back(std::move(member));
    if (!Skip(",")) Skip(";");
  }

  void ReadValue(Value& value) {
    value.at = Here();
    if (++depth_ > kMaxDepth) {
      Fail(value.at, "braces and brackets too deep in each other",
           absl::StrCat(kMaxDepth, " levels"));
    } else if (Skip("{")) {
      value.kind = Value::kObject;
      ReadMembers("}", value);
    } else if (Skip("<")) {
      value.kind = Value::kObject;
      ReadMembers(">", value);
    } else if (Skip("[")) {
      value.kind = Value::kList;
      ReadItems(value);
    } else {
      ReadScalar(value);
    }
    --depth_;
  }

  void ReadItems(Value& list) {
    if (Skip("]")) return;
    do {
      ReadValue(list.items.emplace_back());
    } while (status_.ok() && Skip(","));
    if (status_.ok() && !Skip("]")) {
      Fail(Here(),
           absl::StrCat(Found(), " inside the \"[\" of ", list.at.line, ":", list.at.column),
           "\",\" or \"]\"");
    }
  }

  void ReadScalar(Value& value) {
    if (token().type == Tokenizer::TYPE_STRING) return ReadString(value);
    const bool negative = Skip("-");
    const bool number =
        token().type == Tokenizer::TYPE_INTEGER || token().type == Tokenizer::TYPE_FLOAT;
    if (!number && token().type != Tokenizer::TYPE_IDENTIFIER) {
      Fail(Here(), absl::StrCat("expected a value, ", Found()), kValues);
      return;
    }
    value.kind = number ? Value::kNumber : Value::kWord;
    value.text = absl::StrCat(negative ? "-" : "", token().text);
    const size_t start = places_.OffsetOf(token().line, token().column);
    Next();
    const bool unit = number && token().type == Tokenizer::TYPE_IDENTIFIER && IsAdjacent();
    const bool uri = !number && Is(":") && IsAdjacent();
    if (unit || uri) {
      const absl::string_view rest = text_.substr(start);
      const absl::string_view written = rest.substr(0, rest.find_first_of(" \t\r\n;,#\"'{}[]<>"));
      if (uri) {
        Fail(value.at, absl::StrCat("text without quotes: ", Printable(written)),
             absl::StrCat("a string in quotes, such as ", Quoted(written)));
        return;
      }
      value.kind = Value::kWord;
      absl::StrAppend(&value.text, token().text);
      Next();
    }
  }

  void ReadString(Value& value) {
    value.kind = Value::kString;
    while (token().type == Tokenizer::TYPE_STRING && status_.ok()) {
      Tokenizer::ParseStringAppend(token().text, &value.text);
      Next();
    }
    if (ValidUtf8Prefix(value.text) != value.text.size()) {
      Fail(value.at, absl::StrCat("not UTF-8: ", Quoted(value.text)), "UTF-8 text");
    }
  }

  absl::string_view text_;
  absl::string_view file_;
  Places places_;
  google::protobuf::io::ArrayInputStream input_;
  FirstError tokenizer_errors_;
  Tokenizer tokens_;
  int depth_ = 0;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<Value> ReadText(absl::string_view text, absl::string_view file) {
  return TextReader(text, file).Read();
}

}  // namespace anywire::config
