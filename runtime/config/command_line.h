// Which configuration a process uses: the flag, else the environment, else none.
#ifndef ANYWIRE_RUNTIME_CONFIG_COMMAND_LINE_H_
#define ANYWIRE_RUNTIME_CONFIG_COMMAND_LINE_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "anywire/registry.h"
#include "runtime/config/config.h"

namespace anywire::config {

// The exit code of a process whose configuration is wrong.
inline constexpr int kExitCode = 2;

// Finds --anywire_config=FILE or --anywire_config FILE (or with one dash), removes it from argv,
// and gives FILE: of the last one when there are several, nothing when there is none. What follows
// "--" is not looked at. argv[argc] stays null. INVALID_ARGUMENT for a flag without FILE.
absl::StatusOr<std::optional<std::string>> TakeConfigFlag(int& argc, char** argv);

// The configuration of the file that the flag names, else of the one that `environment` (the value
// of ANYWIRE_CONFIG; null or empty: unset) names, else Config(). Its URIs are checked by
// `registry`. Errors are one line.
absl::StatusOr<Config> LoadConfigForProcess(int& argc, char** argv, const char* environment,
                                            const TransportRegistry& registry);

// The same with the environment of the process. On an error prints the line to stderr and exits
// with kExitCode.
Config LoadConfigOrExit(int& argc, char** argv, const TransportRegistry& registry);

}  // namespace anywire::config

#endif  // ANYWIRE_RUNTIME_CONFIG_COMMAND_LINE_H_
