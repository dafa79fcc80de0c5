// JSON (RFC 8259) without a schema.
#ifndef ANYWIRE_RUNTIME_CONFIG_JSON_READER_H_
#define ANYWIRE_RUNTIME_CONFIG_JSON_READER_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/config/value.h"

namespace anywire::config {

// The whole file, which is one object. A key that is there twice in an object stays two members,
// for the caller to refuse. `text` is valid UTF-8; `file` is how errors name it, as in ErrorAt.
absl::StatusOr<Value> ReadJson(absl::string_view text, absl::string_view file);

}  // namespace anywire::config

#endif  // ANYWIRE_RUNTIME_CONFIG_JSON_READER_H_
