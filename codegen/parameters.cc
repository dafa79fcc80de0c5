#include "codegen/parameters.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace anywire::codegen {

absl::StatusOr<Options> ParseParameter(absl::string_view parameter) {
  Options options;
  std::set<absl::string_view> seen;
  for (const absl::string_view item : absl::StrSplit(parameter, ',', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> key_value =
        absl::StrSplit(item, absl::MaxSplits('=', 1));
    const auto& [key, value] = key_value;
    if (key != "mock") {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown parameter \"", item, "\"; known is \"mock=true\" (or false)"));
    }
    if (!seen.insert(key).second) {
      return absl::InvalidArgumentError(absl::StrCat("parameter \"", key, "\" is given twice"));
    }
    if (value != "true" && value != "false") {
      return absl::InvalidArgumentError(
          absl::StrCat("parameter \"", item, "\": the value is \"true\" or \"false\""));
    }
    options.mock = value == "true";
  }
  return options;
}

}  // namespace anywire::codegen
