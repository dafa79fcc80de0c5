// The plugin's parameter: --anywire_out=<parameter>:<directory>.
#ifndef ANYWIRE_CODEGEN_PARAMETERS_H_
#define ANYWIRE_CODEGEN_PARAMETERS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "codegen/generator.h"

namespace anywire::codegen {

// "mock=true", several separated by commas; empty for none. INVALID_ARGUMENT says what is known.
absl::StatusOr<Options> ParseParameter(absl::string_view parameter);

}  // namespace anywire::codegen

#endif  // ANYWIRE_CODEGEN_PARAMETERS_H_
