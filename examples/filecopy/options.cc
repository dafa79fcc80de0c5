#include "examples/filecopy/options.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "examples/filecopy/service.h"

namespace anywire::examples {

const char kUsage[] =
    R"(filecopy copies a folder tree from a server and checks every file's SHA-256.

  filecopy --role=server --root=DIR        serves DIR until SIGTERM
  filecopy --role=client --into=DIR        copies what the server serves into DIR
  filecopy --role=both --root=DIR --into=DIR   both in one process
  filecopy --list-transports=DIR           one line for each transport: scheme and an unused address (files go into DIR)

  --anywire_config=FILE  where the service listens and connects (or the variable ANYWIRE_CONFIG)
  --service=NAME         the service in that file, or a URI (filecopy)
  --calls=N              files fetched at the same time, 1 to 256 (8)
  --chunk=BYTES          bytes in a message, 1 to 2097152 (262144)
  --timeout=SECONDS      for one file, and for the list, 1 to 86400 (300)
  --probe=N              small calls to time after the copy, 0 to 1000000 (2000)
  --progress=yes|no      progress on stderr (yes)

The exit code is 0 when everything was copied, 1 when something was not, 2 for a mistake in flags or configuration.
)";

namespace {

absl::Status BadValue(absl::string_view flag, absl::string_view value, absl::string_view allowed) {
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, "=", value, ": allowed is ", allowed, " (see --help)"));
}

absl::Status ParseNumber(absl::string_view flag, absl::string_view value, int min, int max,
                         int* out) {
  if (absl::SimpleAtoi(value, out) && *out >= min && *out <= max) return absl::OkStatus();
  return BadValue(flag, value, absl::StrCat(min, " to ", max));
}

absl::Status ParseRole(absl::string_view value, Options::Role* role) {
  if (value == "server") {
    *role = Options::Role::kServer;
  } else if (value == "client") {
    *role = Options::Role::kClient;
  } else if (value == "both") {
    *role = Options::Role::kBoth;
  } else {
    return BadValue("role", value, "server, client or both");
  }
  return absl::OkStatus();
}

absl::Status ParseFlag(absl::string_view flag, absl::string_view value, Options* options) {
  int number = 0;
  absl::Status status;
  if (flag == "role") {
    status = ParseRole(value, &options->role);
  } else if (flag == "service") {
    options->service = std::string(value);
  } else if (flag == "root") {
    options->root = std::string(value);
  } else if (flag == "into") {
    options->into = std::string(value);
  } else if (flag == "calls") {
    status = ParseNumber(flag, value, 1, 256, &options->copy.calls);
  } else if (flag == "chunk") {
    status = ParseNumber(flag, value, 1, static_cast<int>(kMaxChunkSize), &number);
    options->copy.chunk_size = static_cast<uint32_t>(number);
  } else if (flag == "timeout") {
    status = ParseNumber(flag, value, 1, 86400, &number);
    options->copy.timeout = absl::Seconds(number);
  } else if (flag == "probe") {
    status = ParseNumber(flag, value, 0, 1000000, &options->probe);
  } else if (flag == "progress") {
    if (value != "yes" && value != "no") return BadValue(flag, value, "yes or no");
    options->progress = value == "yes";
  } else if (flag == "list-transports") {
    options->role = Options::Role::kListTransports;
    options->scratch = std::string(value);
  } else {
    status = absl::InvalidArgumentError(absl::StrCat("no such flag: --", flag, " (see --help)"));
  }
  return status;
}

absl::Status CheckFolders(const Options& options) {
  using Role = Options::Role;
  const bool serves = options.role == Role::kServer || options.role == Role::kBoth;
  const bool copies = options.role == Role::kClient || options.role == Role::kBoth;
  if (serves && options.root.empty()) {
    return absl::InvalidArgumentError("--root=DIR is missing: the folder to serve (see --help)");
  }
  if (copies && options.into.empty()) {
    return absl::InvalidArgumentError("--into=DIR is missing: the folder to copy to (see --help)");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Options> ParseOptions(int argc, const char* const* argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (argument == "--help") return Options();
    const size_t equals = argument.find('=');
    if (!absl::ConsumePrefix(&argument, "--") || equals == argument.npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", argv[i], "\" is not of the form --flag=value (see --help)"));
    }
    const absl::Status status =
        ParseFlag(argument.substr(0, equals - 2), argument.substr(equals - 1), &options);
    if (!status.ok()) return status;
  }
  if (options.role == Options::Role::kHelp) {
    return absl::InvalidArgumentError("--role is missing: server, client or both (see --help)");
  }
  if (absl::Status status = CheckFolders(options); !status.ok()) return status;
  return options;
}

}  // namespace anywire::examples
