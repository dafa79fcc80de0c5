// A path as the words of a command line: "loss=1 delay=500us".
#ifndef ANYWIRE_TESTS_SUPPORT_PATH_WORDS_H_
#define ANYWIRE_TESTS_SUPPORT_PATH_WORDS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tests/support/live_path.h"

namespace anywire::test {

// KEY=VALUE, where the keys are PathOptions' names and `seed`; times have a unit, bandwidth is in
// bytes a second. What is not named is as LivePathOptions has it. INVALID_ARGUMENT says which word
// is wrong.
absl::StatusOr<LivePathOptions> ParsePathWords(absl::Span<const std::string> words);

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_PATH_WORDS_H_
