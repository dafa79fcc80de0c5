// From values in a file to the messages of idl/config.proto.
#ifndef ANYWIRE_RUNTIME_CONFIG_BINDER_H_
#define ANYWIRE_RUNTIME_CONFIG_BINDER_H_

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "idl/config.pb.h"
#include "runtime/config/value.h"

namespace anywire::config {

// Where each value stood in the file, by its path: "service[0].listen[1]".
using PlaceByPath = absl::flat_hash_map<std::string, Position>;

// Fills `config` and `places`, which are empty, from what the file says. A key without a field, a
// key given twice, a value of another type and a value against its field's rule are errors, in the
// order of the file.
//
// With `json`, a key may also be the field's JSON name ("workerThreads"), a repeated field is
// always a list, and null is as if the key were absent: protobuf's JSON mapping.
absl::Status Bind(const Value& value, bool json, absl::string_view file, ConfigFile& config,
                  PlaceByPath& places);

}  // namespace anywire::config

#endif  // ANYWIRE_RUNTIME_CONFIG_BINDER_H_
