#include "runtime/config/config.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "idl/config.pb.h"
#include "runtime/config/binder.h"
#include "runtime/config/conversions.h"
#include "runtime/config/field_rules.h"
#include "runtime/config/file.h"
#include "runtime/config/json_reader.h"
#include "runtime/config/text_reader.h"
#include "runtime/config/utf8.h"

namespace anywire::config {
namespace {

constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

// INVALID_ARGUMENT with the place of the first byte that is not UTF-8.
absl::Status CheckUtf8(absl::string_view text, absl::string_view file) {
  const size_t valid = ValidUtf8Prefix(text);
  if (valid == text.size()) return absl::OkStatus();
  const absl::string_view before = text.substr(0, valid);
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  const auto begins_character = [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; };
  const Position at = {
      static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
      static_cast<int>(std::count_if(before.begin() + line_start, before.end(), begins_character)) +
          1};
  return ErrorAt(file, at, absl::StrCat("not UTF-8: the byte ", Printable(text.substr(valid, 1))),
                 "UTF-8 text");
}

std::vector<std::string> SchemesOf(const TransportRegistry& registry) {
  std::vector<std::string> schemes;
  for (const Transport* transport : registry.transports()) {
    schemes.emplace_back(transport->scheme());
  }
  return schemes;
}

// What the registry says, and a suggestion where the scheme is misspelt.
absl::StatusOr<TransportRegistry::Target> ResolveUri(absl::string_view uri,
                                                     const TransportRegistry& registry) {
  const std::vector<std::string> schemes = SchemesOf(registry);
  const std::string scheme = absl::AsciiStrToLower(uri.substr(0, uri.find(':')));
  if (std::find(schemes.begin(), schemes.end(), scheme) == schemes.end()) {
    const std::string guess = GuessUri(uri);  // for host:port
    return absl::InvalidArgumentError(
        absl::StrCat("unknown scheme ", Quoted(scheme), " in ", Quoted(uri),
                     DidYouMean(guess.empty() ? Nearest(scheme, schemes) : guess),
                     "; allowed: ", List(schemes)));
  }
  return registry.Resolve(uri);
}

std::string ServicePath(size_t index) { return absl::StrCat("service[", index, "]"); }
std::string ListenPath(size_t service, size_t index) {
  return absl::StrCat(ServicePath(service), ".listen[", index, "]");
}

std::string AtPlace(Position place) { return absl::StrCat(place.line, ":", place.column); }

}  // namespace

Format FormatOf(absl::string_view file_name) {
  return absl::EndsWithIgnoreCase(file_name, ".json") ? Format::kJson : Format::kText;
}

absl::StatusOr<Config> ParseConfig(absl::string_view text, Format format, absl::string_view file) {
  const bool json = format == Format::kJson;
  const std::string shown_file = Printable(file, file.size());
  if (text.size() > kMaxFileSize) {
    return ErrorAt(shown_file, {}, absl::StrCat("it has ", text.size(), " bytes"),
                   absl::StrCat("at most ", kMaxFileSize, " bytes"));
  }
  absl::ConsumePrefix(&text, kByteOrderMark);
  if (absl::Status status = CheckUtf8(text, shown_file); !status.ok()) return status;
  absl::StatusOr<Value> value = json ? ReadJson(text, shown_file) : ReadText(text, shown_file);
  if (!value.ok()) return value.status();

  Config config;
  config.file_ = std::string(file);
  ConfigFile message;
  absl::Status status = Bind(*value, json, shown_file, message, config.places_);
  if (!status.ok()) return status;
  config.runtime_ = ToRuntimeOptions(message.runtime());
  config.defaults_ = DefaultsOf(config.runtime_, message.limits());
  for (const Service& service : message.service()) {
    config.services_.push_back(ToServiceOptions(service, config.defaults_));
  }
  if (status = config.CheckServices(); !status.ok()) return status;
  for (size_t i = 0; i < config.services_.size(); ++i) {
    config.index_by_name_.emplace(config.services_[i].name, i);
  }
  return config;
}

absl::StatusOr<Config> LoadConfig(const std::string& path, absl::string_view named_by) {
  const absl::StatusOr<std::string> text = ReadWholeFile(path, kMaxFileSize, named_by);
  if (!text.ok()) return text.status();
  return ParseConfig(*text, FormatOf(path), path);
}

Config::Config() : defaults_(DefaultsOf(runtime_, Limits())) {}

const ServiceOptions* Config::FindService(absl::string_view name) const {
  const auto found = index_by_name_.find(name);
  return found == index_by_name_.end() ? nullptr : &services_[found->second];
}

Position Config::PlaceOf(absl::string_view path) const {
  const auto found = places_.find(path);
  return found == places_.end() ? Position() : found->second;
}

absl::Status Config::Error(absl::string_view path, absl::string_view what,
                           absl::string_view allowed) const {
  return ErrorAt(Printable(file_, file_.size()), PlaceOf(path), what, allowed);
}

// What the rules of single fields cannot say.
absl::Status Config::CheckServices() const {
  absl::flat_hash_map<absl::string_view, size_t> names;
  for (size_t i = 0; i < services_.size(); ++i) {
    const ServiceOptions& service = services_[i];
    const std::string path = ServicePath(i);
    if (service.name.empty()) {
      return Error(path, "service has no name", "a name that clients and servers use for it");
    }
    const auto [same, is_new] = names.emplace(service.name, i);
    if (!is_new) {
      const Position first = PlaceOf(absl::StrCat(ServicePath(same->second), ".name"));
      return Error(absl::StrCat(path, ".name"),
                   absl::StrCat("service.name: ", Quoted(service.name),
                                " is already the name of a service at ", AtPlace(first)),
                   "a name of its own for each service");
    }
    if (service.listen.empty() && service.connect.empty()) {
      return Error(
          path, absl::StrCat("service ", Quoted(service.name), " has neither listen nor connect"),
          "listen (where its server listens), connect (where its clients connect) or both");
    }
    absl::flat_hash_map<absl::string_view, size_t> uris;
    for (size_t j = 0; j < service.listen.size(); ++j) {
      const auto [same_uri, is_new_uri] = uris.emplace(service.listen[j], j);
      if (is_new_uri) continue;
      return Error(
          ListenPath(i, j),
          absl::StrCat("service.listen: ", Quoted(service.listen[j]), " is already there at ",
                       AtPlace(PlaceOf(ListenPath(i, same_uri->second)))),
          "each URI once");
    }
  }
  return absl::OkStatus();
}

absl::Status Config::CheckTransports(const TransportRegistry& registry) const {
  const auto check = [this, &registry](const std::string& uri, const std::string& path,
                                       absl::string_view field) -> absl::Status {
    absl::Status status = ResolveUri(uri, registry).status();
    if (status.ok()) return status;
    return Error(path, absl::StrCat(field, ": ", Printable(status.message(), 1000)), "");
  };
  for (size_t i = 0; i < services_.size(); ++i) {
    const ServiceOptions& service = services_[i];
    for (size_t j = 0; j < service.listen.size(); ++j) {
      absl::Status status = check(service.listen[j], ListenPath(i, j), "service.listen");
      if (!status.ok()) return status;
    }
    if (service.connect.empty()) continue;
    absl::Status status =
        check(service.connect, absl::StrCat(ServicePath(i), ".connect"), "service.connect");
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Config::NoSuchService(absl::string_view name,
                                   const TransportRegistry& registry) const {
  const std::string uris = absl::StrCat("a URI (", List(SchemesOf(registry)), ")");
  if (file_.empty()) {
    return absl::NotFoundError(absl::StrCat(Quoted(name),
                                            " is the name of a service, but there is no "
                                            "configuration file: name one by --anywire_config "
                                            "or ANYWIRE_CONFIG; allowed without one: ",
                                            uris));
  }
  std::vector<std::string> names;
  for (const ServiceOptions& service : services_) names.push_back(service.name);
  return absl::NotFoundError(
      absl::StrCat(Printable(file_, file_.size()), ": no service is named ", Quoted(name),
                   DidYouMean(Nearest(name, names)),
                   "; allowed: ", names.empty() ? "" : absl::StrCat(List(names), ", or "), uris));
}

absl::Status Config::Lacks(const ServiceOptions& service, absl::string_view key,
                           absl::string_view so) const {
  const Position at = PlaceOf(ServicePath(&service - services_.data()));
  return absl::FailedPreconditionError(absl::StrCat(Printable(file_, file_.size()), ":",
                                                    AtPlace(at), ": service ", Quoted(service.name),
                                                    " has no ", key, ", so ", so));
}

absl::StatusOr<ConnectTarget> Config::ResolveTarget(absl::string_view target,
                                                    const TransportRegistry& registry) const {
  ConnectTarget result;
  if (absl::StrContains(target, ':')) {
    result.uri = std::string(target);
    result.options = &defaults_;
  } else {
    result.options = FindService(target);
    if (result.options == nullptr) return NoSuchService(target, registry);
    result.uri = result.options->connect;
    if (result.uri.empty()) {
      return Lacks(*result.options, "connect", "no client can reach it by name");
    }
  }
  absl::StatusOr<TransportRegistry::Target> resolved = ResolveUri(result.uri, registry);
  if (!resolved.ok()) return resolved.status();
  result.transport = resolved->transport;
  result.address = std::move(resolved->address);
  return result;
}

absl::StatusOr<ListenTarget> Config::ResolveListen(absl::string_view target,
                                                   const TransportRegistry& registry) const {
  ListenTarget result;
  std::vector<std::string> uris;
  if (absl::StrContains(target, ':')) {
    uris.emplace_back(target);
    result.options = &defaults_;
  } else {
    result.options = FindService(target);
    if (result.options == nullptr) return NoSuchService(target, registry);
    uris = result.options->listen;
    if (uris.empty()) {
      return Lacks(*result.options, "listen", "no server can offer it by name");
    }
  }
  for (std::string& uri : uris) {
    absl::StatusOr<TransportRegistry::Target> resolved = ResolveUri(uri, registry);
    if (!resolved.ok()) return resolved.status();
    result.addresses.push_back({std::move(uri), resolved->transport, std::move(resolved->address)});
  }
  return result;
}

}  // namespace anywire::config
