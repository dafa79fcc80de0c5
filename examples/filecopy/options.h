// What filecopy is told on its command line.
#ifndef ANYWIRE_EXAMPLES_FILECOPY_OPTIONS_H_
#define ANYWIRE_EXAMPLES_FILECOPY_OPTIONS_H_

#include <string>

#include "absl/status/statusor.h"
#include "examples/filecopy/copier.h"

namespace anywire::examples {

struct Options {
  enum class Role { kServer, kClient, kBoth, kListTransports, kHelp };
  Role role = Role::kHelp;
  std::string service = "filecopy";
  std::string root;
  std::string into;
  CopyOptions copy;
  int probe = 2000;
  bool progress = true;
  std::string scratch;  // for kListTransports
};

// INVALID_ARGUMENT says which flag is wrong and what is allowed.
absl::StatusOr<Options> ParseOptions(int argc, const char* const* argv);

extern const char kUsage[];

}  // namespace anywire::examples

#endif  // ANYWIRE_EXAMPLES_FILECOPY_OPTIONS_H_
