#include "runtime/config/field_rules.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/protobuf/io/tokenizer.h"
#include "runtime/config/diagnostics.h"
#include "runtime/config/utf8.h"

namespace anywire::config {
namespace {

constexpr size_t kMaxNameSize = 128;

struct SizeUnit {
  absl::string_view name;
  int shift;
};
constexpr SizeUnit kSizeUnits[] = {{"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-' || c == '/';
}

// Whether `text` begins with a scheme of RFC 3986, 3.1, and a colon.
bool HasScheme(absl::string_view text) {
  const size_t end = text.find(':');
  if (end == absl::string_view::npos || end == 0 || !absl::ascii_isalpha(text[0])) return false;
  const absl::string_view scheme = text.substr(0, end);
  return std::all_of(scheme.begin(), scheme.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '+' || c == '-' || c == '.';
  });
}

// "4MiB" for what is nearly that: "4mb", "4 MiB", "4M"; "4096B" for "4096".
std::string GuessSize(absl::string_view text) {
  const size_t digits =
      std::find_if_not(text.begin(), text.end(), absl::ascii_isdigit) - text.begin();
  if (digits == 0) return "";
  const absl::string_view unit = absl::StripAsciiWhitespace(text.substr(digits));
  for (const SizeUnit& known : kSizeUnits) {
    const absl::string_view letter = known.name.substr(0, 1);
    if (absl::EqualsIgnoreCase(unit, known.name) || absl::EqualsIgnoreCase(unit, letter) ||
        absl::EqualsIgnoreCase(unit, absl::StrCat(letter, "B")) ||
        (unit.empty() && letter == "B")) {
      return absl::StrCat(text.substr(0, digits), known.name);
    }
  }
  return "";
}

std::string GuessDuration(absl::string_view text) {
  if (text.empty()) return "";
  if (std::all_of(text.begin(), text.end(), absl::ascii_isdigit)) return absl::StrCat(text, "s");
  const std::string lower = absl::AsciiStrToLower(text);
  if (absl::StartsWith(lower, "inf") || lower == "none" || lower == "never") return "inf";
  std::string compact;
  std::copy_if(lower.begin(), lower.end(), std::back_inserter(compact),
               [](char c) { return !absl::ascii_isspace(c); });
  for (const absl::string_view word : {"seconds", "second", "secs", "sec"}) {
    absl::string_view number = compact;
    if (absl::ConsumeSuffix(&number, word)) compact = absl::StrCat(number, "s");
  }
  for (const absl::string_view word : {"minutes", "minute", "mins", "min"}) {
    absl::string_view number = compact;
    if (absl::ConsumeSuffix(&number, word)) compact = absl::StrCat(number, "m");
  }
  return ParseDurationText(compact) ? compact : "";
}

// Nothing of the kind, then what was meant.
Complaint NotA(absl::string_view kind, absl::string_view text, absl::string_view guess,
               const Rule& rule) {
  return {absl::StrCat(Quoted(text), " is no ", kind, DidYouMean(guess)), AllowedBy(rule)};
}

Complaint OutOfRange(absl::string_view written, const Rule& rule) {
  return {absl::StrCat(written, " is out of range"), AllowedBy(rule)};
}

std::optional<Complaint> CheckName(const Rule& rule, absl::string_view text) {
  const bool good = !text.empty() && text.size() <= kMaxNameSize && absl::ascii_isalnum(text[0]) &&
                    std::all_of(text.begin(), text.end(), IsNameCharacter);
  if (good) return std::nullopt;
  return NotA("name", text, "", rule);
}

std::optional<Complaint> CheckUri(const Rule& rule, absl::string_view text) {
  if (HasScheme(text)) return std::nullopt;
  return NotA("URI", text, GuessUri(text), rule);
}

std::optional<Complaint> CheckDuration(const Rule& rule, absl::string_view text) {
  const std::optional<absl::Duration> value = ParseDurationText(text);
  if (!value) return NotA("duration", text, GuessDuration(text), rule);
  if (*value < *ParseDurationText(rule.min()) || *value > *ParseDurationText(rule.max())) {
    return OutOfRange(Quoted(text), rule);
  }
  return std::nullopt;
}

std::optional<Complaint> CheckSize(const Rule& rule, absl::string_view text) {
  const std::optional<uint64_t> value = ParseSizeText(text);
  if (!value) return NotA("size", text, GuessSize(text), rule);
  if (*value < *ParseSizeText(rule.min()) || *value > *ParseSizeText(rule.max())) {
    return OutOfRange(Quoted(text), rule);
  }
  return std::nullopt;
}

std::optional<Complaint> CheckFileMode(const Rule& rule, absl::string_view text) {
  if (ParseFileModeText(text)) return std::nullopt;
  return NotA("file mode", text, "", rule);
}

std::optional<Complaint> CheckChoice(const Rule& rule, absl::string_view text) {
  const std::vector<std::string> choices(rule.choice().begin(), rule.choice().end());
  if (absl::c_linear_search(choices, text)) return std::nullopt;
  return Complaint{absl::StrCat("unknown value ", Quoted(text), DidYouMean(Nearest(text, choices))),
                   AllowedBy(rule)};
}

// What a value without quotes was meant to be, or "".
std::string GuessQuoted(const Rule& rule, const Value& value) {
  if (value.kind != Value::kNumber && value.kind != Value::kWord) return "";
  switch (rule.kind()) {
    case Rule::DURATION:
      return ParseDurationText(value.text) ? value.text : GuessDuration(value.text);
    case Rule::SIZE:
      return ParseSizeText(value.text) ? value.text : GuessSize(value.text);
    default:
      return value.text;
  }
}

std::string Found(const Value& value) {
  switch (value.kind) {
    case Value::kNothing:
      return "found null";
    case Value::kObject:
      return "found { ... }";
    case Value::kList:
      return "found [ ... ]";
    case Value::kString:
      return absl::StrCat("found the string ", Quoted(value.text));
    case Value::kNumber:
    case Value::kWord:
      return absl::StrCat("found ", Printable(value.text));
  }
  return "";
}

}  // namespace

std::optional<absl::Duration> ParseDurationText(absl::string_view text) {
  // absl::ParseDuration also takes signs and a bare 0.
  if (text == "inf") return absl::InfiniteDuration();
  if (text.empty() || !absl::ascii_isdigit(text[0]) || !absl::ascii_isalpha(text.back())) {
    return std::nullopt;
  }
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration()) return std::nullopt;
  return duration;
}

std::optional<uint64_t> ParseSizeText(absl::string_view text) {
  const size_t digits =
      std::find_if_not(text.begin(), text.end(), absl::ascii_isdigit) - text.begin();
  uint64_t number;
  if (digits == 0 || !absl::SimpleAtoi(text.substr(0, digits), &number)) return std::nullopt;
  for (const SizeUnit& unit : kSizeUnits) {
    if (text.substr(digits) != unit.name) continue;
    const uint64_t largest = std::numeric_limits<uint64_t>::max() >> unit.shift;
    return std::min(number, largest) << unit.shift;  // far out of any range either way
  }
  return std::nullopt;
}

std::optional<uint32_t> ParseFileModeText(absl::string_view text) {
  if (text.size() == 4 && !absl::ConsumePrefix(&text, "0")) return std::nullopt;
  if (text.size() != 3) return std::nullopt;
  uint32_t mode = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') return std::nullopt;
    mode = mode << 3 | static_cast<uint32_t>(c - '0');
  }
  return mode;
}

std::string GuessUri(absl::string_view text) {
  if (absl::StartsWith(text, "/")) return absl::StrCat("unix://", text);
  const size_t colon = text.rfind(':');
  uint32_t port;
  if (colon == text.npos || !absl::SimpleAtoi(text.substr(colon + 1), &port)) return "";
  const absl::string_view host = text.substr(0, colon);
  const bool in_brackets = absl::StartsWith(host, "[") && absl::EndsWith(host, "]");  // IPv6
  if (host.empty() || (!in_brackets && host.find_first_of(":/") != host.npos)) return "";
  return absl::StrCat("tcp://", text);
}

std::string AllowedBy(const Rule& rule) {
  switch (rule.kind()) {
    case Rule::NAME:
      return absl::StrCat("letters, digits and . _ - /, at most ", kMaxNameSize,
                          ", the first a letter or digit");
    case Rule::URI:
      return "a URI, such as \"tcp://127.0.0.1:4000\" or \"unix:///run/name.sock\"";
    case Rule::COUNT:
      return absl::StrCat("a whole number from ", rule.min(), " to ", rule.max());
    case Rule::DURATION:
      return absl::StrCat("a number with a unit, such as \"250ms\", \"30s\" or \"1h30m\", from ",
                          rule.min(), " to ", rule.max());
    case Rule::SIZE:
      return absl::StrCat("a whole number with B, KiB, MiB, GiB or TiB, from ", rule.min(), " to ",
                          rule.max());
    case Rule::FILE_MODE:
      return "three octal digits, such as \"660\" or \"0660\"";
    case Rule::CHOICE:
      return absl::StrJoin(rule.choice(), ", ");
    default:
      return "";
  }
}

std::optional<Complaint> CheckText(const Rule& rule, const Value& value) {
  if (value.kind != Value::kString) {
    return Complaint{absl::StrCat("expected a string in quotes, ", Found(value),
                                  DidYouMean(GuessQuoted(rule, value))),
                     AllowedBy(rule)};
  }
  const absl::string_view text = value.text;
  for (const char c : text) {
    if (absl::ascii_iscntrl(c)) {
      return Complaint{absl::StrCat(Quoted(text), " contains a control character"),
                       AllowedBy(rule)};
    }
  }
  switch (rule.kind()) {
    case Rule::NAME:
      return CheckName(rule, text);
    case Rule::URI:
      return CheckUri(rule, text);
    case Rule::DURATION:
      return CheckDuration(rule, text);
    case Rule::SIZE:
      return CheckSize(rule, text);
    case Rule::FILE_MODE:
      return CheckFileMode(rule, text);
    case Rule::CHOICE:
      return CheckChoice(rule, text);
    default:
      return Complaint{"has no rule in idl/config.proto", ""};
  }
}

std::optional<Complaint> CheckCount(const Rule& rule, const Value& value, uint32_t& count) {
  absl::string_view text = value.text;
  const bool hexadecimal = absl::StartsWithIgnoreCase(absl::StripPrefix(text, "-"), "0x");
  const bool whole =
      value.kind == Value::kNumber && (hexadecimal || text.find_first_of(".eE") == text.npos);
  if (!whole) {
    return Complaint{absl::StrCat("expected a whole number, ", Found(value)), AllowedBy(rule)};
  }
  const bool negative = absl::ConsumePrefix(&text, "-");
  uint64_t number;
  uint32_t min;
  uint32_t max;
  const bool good =
      absl::SimpleAtoi(rule.min(), &min) && absl::SimpleAtoi(rule.max(), &max) &&
      google::protobuf::io::Tokenizer::ParseInteger(std::string(text), max, &number) &&
      number >= min && !(negative && number > 0);
  if (!good) return OutOfRange(Printable(value.text), rule);
  count = static_cast<uint32_t>(number);
  return std::nullopt;
}

}  // namespace anywire::config
