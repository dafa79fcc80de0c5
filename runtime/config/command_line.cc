#include "runtime/config/command_line.h"

#include <cstdio>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace anywire::config {
namespace {

constexpr absl::string_view kFlag = "--anywire_config";
constexpr char kVariable[] = "ANYWIRE_CONFIG";

}  // namespace

absl::StatusOr<std::optional<std::string>> TakeConfigFlag(int& argc, char** argv) {
  std::optional<std::string> file;
  bool valueless = false;
  int kept = 0;
  int next = 0;
  // argv[0] is the program.
  if (argc > 0) argv[kept++] = argv[next++];
  while (next < argc && absl::string_view(argv[next]) != "--") {
    absl::string_view rest = argv[next];
    const bool flag =
        absl::ConsumePrefix(&rest, kFlag) || absl::ConsumePrefix(&rest, kFlag.substr(1));
    if (flag && absl::ConsumePrefix(&rest, "=")) {
      file = std::string(rest);
      next += 1;
    } else if (flag && rest.empty()) {
      const bool has_value = next + 1 < argc && absl::string_view(argv[next + 1]) != "--";
      file = has_value ? argv[next + 1] : "";
      next += has_value ? 2 : 1;
    } else {
      argv[kept++] = argv[next++];
      continue;
    }
    valueless = valueless || file->empty();
  }
  while (next < argc) argv[kept++] = argv[next++];
  if (kept < argc) argv[kept] = nullptr;
  argc = kept;
  if (valueless) {
    return absl::InvalidArgumentError(
        absl::StrCat(kFlag, " names no file; allowed: ", kFlag, "=FILE or ", kFlag, " FILE"));
  }
  return file;
}

absl::StatusOr<Config> LoadConfigForProcess(int& argc, char** argv, const char* environment,
                                            const TransportRegistry& registry) {
  const absl::StatusOr<std::optional<std::string>> flag = TakeConfigFlag(argc, argv);
  if (!flag.ok()) return flag.status();
  const bool in_environment = environment != nullptr && *environment != '\0';
  if (!flag->has_value() && !in_environment) return Config();
  absl::StatusOr<Config> config =
      flag->has_value() ? LoadConfig(**flag, kFlag) : LoadConfig(environment, kVariable);
  if (!config.ok()) return config;
  if (absl::Status status = config->CheckTransports(registry); !status.ok()) return status;
  return config;
}

Config LoadConfigOrExit(int& argc, char** argv, const TransportRegistry& registry) {
  const char* environment = std::getenv(kVariable);  // NOLINT(concurrency-mt-unsafe): only read
  absl::StatusOr<Config> config = LoadConfigForProcess(argc, argv, environment, registry);
  if (!config.ok()) {
    std::fprintf(stderr, "%s\n", std::string(config.status().message()).c_str());
    std::exit(kExitCode);  // NOLINT(concurrency-mt-unsafe): main has not begun its work
  }
  return *std::move(config);
}

}  // namespace anywire::config
