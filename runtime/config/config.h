// The configuration of a process: read, checked, with all defaults applied.
//
// Every mistake in a file is a status with one line of text that is fit to be shown to whoever
// wrote the file:
//
//   any.textproto:3:5: unknown key "lisen" in service (did you mean "listen"?); allowed: name, ...
//
// README.md in this folder is the manual of the file; idl/config.proto is its schema.
#ifndef ANYWIRE_RUNTIME_CONFIG_CONFIG_H_
#define ANYWIRE_RUNTIME_CONFIG_CONFIG_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "anywire/registry.h"
#include "runtime/config/diagnostics.h"
#include "runtime/config/options.h"

namespace anywire::config {

// Larger files and texts are refused.
inline constexpr size_t kMaxFileSize = 1 << 20;

enum class Format {
  kText,  // protobuf text format
  kJson,  // RFC 8259, keys as in the schema or in lowerCamelCase
};

// kJson for names that end in ".json", kText for all others.
Format FormatOf(absl::string_view file_name);

// Where a client connects. `transport` belongs to the registry, `options` to the Config.
struct ConnectTarget {
  std::string uri;
  Transport* transport = nullptr;
  std::string address;  // the URI's part after the scheme, as the transport takes it
  const ServiceOptions* options = nullptr;
};

// Where a server listens.
struct ListenTarget {
  struct Address {
    std::string uri;
    Transport* transport = nullptr;
    std::string address;
  };
  std::vector<Address> addresses;  // at least one
  const ServiceOptions* options = nullptr;
};

// A constant value; any thread may use it.
class Config {
 public:
  // Without a file: no services, every setting at its default.
  Config();
  Config(Config&&) = default;
  Config& operator=(Config&&) = default;

  // As it was named; "" without a file.
  const std::string& file() const { return file_; }
  const RuntimeOptions& runtime() const { return runtime_; }
  // What holds for targets that are given as URIs.
  const ServiceOptions& defaults() const { return defaults_; }
  // In the order of the file.
  const std::vector<ServiceOptions>& services() const { return services_; }
  // Null when there is none of that name.
  const ServiceOptions* FindService(absl::string_view name) const;

  // Whether `registry` has a transport for each URI of the file and each address is well formed:
  // INVALID_ARGUMENT with the place of the first that is not. Apart from ParseConfig, so that a
  // program may add its own transports first.
  absl::Status CheckTransports(const TransportRegistry& registry) const;

  // A target is the name of a service in the file, or a URI: whatever contains a colon.
  //   NOT_FOUND            no service has this name; the text lists those that there are
  //   FAILED_PRECONDITION  the service has no `connect` (no `listen`)
  //   INVALID_ARGUMENT     a scheme that is not in `registry`, or a malformed address
  absl::StatusOr<ConnectTarget> ResolveTarget(absl::string_view target,
                                              const TransportRegistry& registry) const;
  absl::StatusOr<ListenTarget> ResolveListen(absl::string_view target,
                                             const TransportRegistry& registry) const;

 private:
  friend absl::StatusOr<Config> ParseConfig(absl::string_view, Format, absl::string_view);

  absl::Status CheckServices() const;
  absl::Status Error(absl::string_view path, absl::string_view what,
                     absl::string_view allowed) const;
  Position PlaceOf(absl::string_view path) const;
  absl::Status Lacks(const ServiceOptions& service, absl::string_view key,
                     absl::string_view so) const;
  absl::Status NoSuchService(absl::string_view name, const TransportRegistry& registry) const;

  std::string file_;
  RuntimeOptions runtime_;
  ServiceOptions defaults_;
  std::vector<ServiceOptions> services_;
  absl::flat_hash_map<std::string, size_t> index_by_name_;
  absl::flat_hash_map<std::string, Position> places_;  // see PlaceByPath
};

// `file` is how errors name the text. INVALID_ARGUMENT "file:line:column: ...".
absl::StatusOr<Config> ParseConfig(absl::string_view text, Format format, absl::string_view file);

// Reads a file, in the format that its name says. `named_by`, such as "ANYWIRE_CONFIG", helps
// whoever reads that the file is not there. NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT (a
// directory, too large, or as ParseConfig), or what else the system says.
absl::StatusOr<Config> LoadConfig(const std::string& path, absl::string_view named_by = "");

}  // namespace anywire::config

#endif  // ANYWIRE_RUNTIME_CONFIG_CONFIG_H_
