#include "runtime/config/diagnostics.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "runtime/config/utf8.h"

namespace anywire::config {
namespace {

constexpr size_t kMaxListed = 24;
constexpr size_t kMaxCompared = 64;  // bytes; edit distance costs their product
constexpr size_t kMinPart = 4;       // bytes of a part that suggests the whole

// C0 and C1 controls, line and paragraph separators, and what reorders or hides the text around it.
bool IsHarmful(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x061C ||
         (code >= 0x200B && code <= 0x200F) || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2060 && code <= 0x206F) || code == 0xFEFF;
}

void AppendEscaped(uint32_t code, std::string& to) {
  switch (code) {
    case '\n':
      to += "\\n";
      return;
    case '\r':
      to += "\\r";
      return;
    case '\t':
      to += "\\t";
      return;
    default:
      if (code < 0x80) {
        absl::StrAppendFormat(&to, "\\x%02x", code);
      } else {
        absl::StrAppendFormat(&to, "\\u%04x", code);
      }
  }
}

// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> before_last, last, row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before_last = std::exchange(last, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

}  // namespace

std::string Printable(absl::string_view text, size_t max_characters) {
  std::string result;
  for (size_t characters = 0; !text.empty(); ++characters) {
    if (characters == max_characters) {
      result += "...";
      break;
    }
    const Utf8Character character = FirstCharacter(text);
    if (character.size == 0) {
      absl::StrAppendFormat(&result, "\\x%02x", static_cast<uint8_t>(text[0]));
      text.remove_prefix(1);
      continue;
    }
    if (IsHarmful(character.code)) {
      AppendEscaped(character.code, result);
    } else {
      result.append(text.data(), character.size);
    }
    text.remove_prefix(character.size);
  }
  return result;
}

std::string Quoted(absl::string_view text) { return absl::StrCat("\"", Printable(text), "\""); }

std::string List(const std::vector<std::string>& items) {
  if (items.size() <= kMaxListed) return absl::StrJoin(items, ", ");
  return absl::StrCat(absl::StrJoin(items.begin(), items.begin() + kMaxListed, ", "), " and ",
                      items.size() - kMaxListed, " more");
}

std::string Nearest(absl::string_view word, const std::vector<std::string>& items) {
  if (word.empty() || word.size() > kMaxCompared) return "";
  const std::string lower = absl::AsciiStrToLower(word);
  const std::string* nearest = nullptr;
  size_t nearest_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& item : items) {
    if (item.size() > kMaxCompared) continue;
    // A word with nothing in common is as far as it is long; no distance may reach that.
    const size_t distance = EditDistance(lower, absl::AsciiStrToLower(item));
    if (distance < nearest_distance && distance < std::max(word.size(), item.size())) {
      nearest = &item;
      nearest_distance = distance;
    }
  }
  // "threads" for "io_threads".
  for (const std::string& item : items) {
    if (nearest == nullptr && lower.size() >= kMinPart && absl::StrContains(item, lower)) {
      nearest = &item;
    }
  }
  return nearest == nullptr ? "" : *nearest;
}

std::string DidYouMean(absl::string_view suggestion) {
  return suggestion.empty() ? "" : absl::StrCat(" (did you mean ", Quoted(suggestion), "?)");
}

absl::Status ErrorAt(absl::string_view file, Position at, absl::string_view what,
                     absl::string_view allowed) {
  std::string line = absl::StrCat(file, ":");
  if (at.line > 0) absl::StrAppend(&line, at.line, ":", at.column, ":");
  absl::StrAppend(&line, " ", what);
  if (!allowed.empty()) absl::StrAppend(&line, "; allowed: ", allowed);
  return absl::InvalidArgumentError(line);
}

}  // namespace anywire::config
