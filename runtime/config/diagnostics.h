// The one line that a mistake in a configuration file becomes:
//
//   any.textproto:3:5: unknown key "lisen" in service (did you mean "listen"?); allowed: name, ...
//
// Whatever a user wrote appears in it escaped and shortened, so that it is one line on any
// terminal.
#ifndef ANYWIRE_RUNTIME_CONFIG_DIAGNOSTICS_H_
#define ANYWIRE_RUNTIME_CONFIG_DIAGNOSTICS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace anywire::config {

// Both count from 1; a column is a character (a UTF-8 sequence or a tab), as editors count. 0: the
// file as a whole.
struct Position {
  int line = 0;
  int column = 0;
  friend bool operator==(Position, Position) = default;
};

// `text` on one line: control characters, bytes that are not UTF-8 and characters that hide or
// reorder the text around them as escapes. Longer text than `max_characters` ends in "...".
std::string Printable(absl::string_view text, size_t max_characters = 100);

// The same in quotes.
std::string Quoted(absl::string_view text);

// "a, b, c"; of more than 24 the first ones and how many more there are.
std::string List(const std::vector<std::string>& items);

// The item nearest to `word` by edit distance, else one that contains it, or "" when none is near
// enough to be meant.
std::string Nearest(absl::string_view word, const std::vector<std::string>& items);

// " (did you mean "x"?)" for a suggestion, "" for none.
std::string DidYouMean(absl::string_view suggestion);

// INVALID_ARGUMENT "file:line:column: what; allowed: allowed", without the last part when `allowed`
// is empty. `what` and `allowed` are printable already.
absl::Status ErrorAt(absl::string_view file, Position at, absl::string_view what,
                     absl::string_view allowed);

}  // namespace anywire::config

#endif  // ANYWIRE_RUNTIME_CONFIG_DIAGNOSTICS_H_
