// Reading a configuration file whole.
#ifndef ANYWIRE_RUNTIME_CONFIG_FILE_H_
#define ANYWIRE_RUNTIME_CONFIG_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace anywire::config {

// The bytes of a regular file (or of /dev/null) of at most `max_size`. Never waits for a writer.
// Errors are one line that begins with the path; `named_by` is as for LoadConfig.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t max_size,
                                          absl::string_view named_by);

}  // namespace anywire::config

#endif  // ANYWIRE_RUNTIME_CONFIG_FILE_H_
