// Protocol Buffers text format (https://protobuf.dev/reference/protobuf/textformat-spec) without a
// schema.
#ifndef ANYWIRE_RUNTIME_CONFIG_TEXT_READER_H_
#define ANYWIRE_RUNTIME_CONFIG_TEXT_READER_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/config/value.h"

namespace anywire::config {

// The whole file as one object. A key that is there several times stays several members. `text` is
// valid UTF-8; `file` is how errors name it, as in ErrorAt.
//
// protobuf's own parser gives no place for a list's items and puts unknown keys where the next
// token is, and its errors are words about descriptors; so this reads protobuf's tokens by a
// grammar of its own. What it takes, protobuf takes too, with the same meaning; it is stricter in
// that a string ends on its line and that extensions have no place here.
absl::StatusOr<Value> ReadText(absl::string_view text, absl::string_view file);

}  // namespace anywire::config

#endif  // ANYWIRE_RUNTIME_CONFIG_TEXT_READER_H_
