#include "idl/service_model.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "idl/options.pb.h"

namespace anywire::idl {
namespace {

namespace pb = google::protobuf;

using Path = std::vector<int>;

// Where the innermost part of `path` that has a place of its own stands. (An option may be written
// as one field or as a whole message: only what was written has a place.)
Location Locate(const pb::FileDescriptor& file, Path path) {
  pb::SourceLocation found;
  while (!path.empty() && !file.GetSourceLocation(path, &found)) path.pop_back();
  if (path.empty()) return {.file = file.name()};
  return {.file = file.name(), .line = found.start_line + 1, .column = found.start_column + 1};
}

Path PathOf(const pb::ServiceDescriptor& service, const Path& inner) {
  Path path = {pb::FileDescriptorProto::kServiceFieldNumber, service.index()};
  path.insert(path.end(), inner.begin(), inner.end());
  return path;
}

Path PathOf(const pb::MethodDescriptor& method, const Path& inner) {
  Path path =
      PathOf(*method.service(), {pb::ServiceDescriptorProto::kMethodFieldNumber, method.index()});
  path.insert(path.end(), inner.begin(), inner.end());
  return path;
}

template <typename Descriptor>
Comment CommentOf(const Descriptor& descriptor) {
  pb::SourceLocation location;
  if (!descriptor.GetSourceLocation(&location)) return {};
  return {.leading = location.leading_comments, .trailing = location.trailing_comments};
}

// Descriptor: of a message or an enum.
template <typename Descriptor>
TypeName NameOf(const Descriptor& type) {
  TypeName name{.package = type.file()->package(), .path = {type.name()}};
  for (const pb::Descriptor* outer = type.containing_type(); outer != nullptr;
       outer = outer->containing_type()) {
    name.path.insert(name.path.begin(), outer->name());
  }
  return name;
}

CallShape ShapeOf(const pb::MethodDescriptor& method) {
  if (method.client_streaming()) {
    return method.server_streaming() ? CallShape::kBidiStreaming : CallShape::kClientStreaming;
  }
  return method.server_streaming() ? CallShape::kServerStreaming : CallShape::kUnary;
}

void CollectTypes(const pb::Descriptor& message, std::vector<TypeName>& types) {
  types.push_back(NameOf(message));
  for (int i = 0; i < message.nested_type_count(); ++i)
    CollectTypes(*message.nested_type(i), types);
  for (int i = 0; i < message.enum_type_count(); ++i)
    types.push_back(NameOf(*message.enum_type(i)));
}

void CollectTypes(const pb::FileDescriptor& file, const std::string& package,
                  std::set<const pb::FileDescriptor*>& seen, std::vector<TypeName>& types) {
  if (!seen.insert(&file).second) return;
  if (file.package() == package) {
    for (int i = 0; i < file.message_type_count(); ++i) CollectTypes(*file.message_type(i), types);
    for (int i = 0; i < file.enum_type_count(); ++i) types.push_back(NameOf(*file.enum_type(i)));
  }
  for (int i = 0; i < file.dependency_count(); ++i)
    CollectTypes(*file.dependency(i), package, seen, types);
}

// ServiceOptions or MethodOptions of ours, and where a bad value of theirs stands.
template <typename Options>
std::optional<absl::Duration> DefaultTimeout(const Options& options, const Location& where,
                                             std::vector<Problem>& problems) {
  if (!options.has_default_timeout()) return std::nullopt;
  const std::string& text = options.default_timeout();
  absl::Duration timeout;
  if (!absl::ParseDuration(text, &timeout)) {
    problems.push_back(
        {where,
         absl::StrCat("default_timeout \"", text,
                      "\" is not a duration: write a number with a unit, as \"250ms\", \"1.5s\" or "
                      "\"1h30m\", or \"inf\"")});
  } else if (timeout < absl::Milliseconds(1)) {
    problems.push_back(
        {where, absl::StrCat("default_timeout \"", text, "\" is too short: the least is \"1ms\"")});
  }
  return timeout;
}

// The options' own extension number, then the field.
template <typename Options>
Path TimeoutPath(int options_field, int extension) {
  return {options_field, extension, Options::kDefaultTimeoutFieldNumber};
}

Method BuildMethod(const pb::MethodDescriptor& method,
                   const std::optional<absl::Duration>& service_timeout,
                   std::vector<Problem>& problems) {
  const pb::FileDescriptor& file = *method.service()->file();
  const Path timeout_path = TimeoutPath<anywire::MethodOptions>(
      pb::MethodDescriptorProto::kOptionsFieldNumber, anywire::kMethodFieldNumber);
  std::optional<absl::Duration> timeout =
      DefaultTimeout(method.options().GetExtension(anywire::method),
                     Locate(file, PathOf(method, timeout_path)), problems);
  return {
      .name = method.name(),
      .shape = ShapeOf(method),
      .request = NameOf(*method.input_type()),
      .reply = NameOf(*method.output_type()),
      .deprecated = method.options().deprecated(),
      .default_timeout = timeout ? timeout : service_timeout,
      .comment = CommentOf(method),
      .location = Locate(file, PathOf(method, {pb::MethodDescriptorProto::kNameFieldNumber})),
  };
}

Service BuildService(const pb::ServiceDescriptor& service, std::vector<Problem>& problems) {
  const pb::FileDescriptor& file = *service.file();
  const Path timeout_path = TimeoutPath<anywire::ServiceOptions>(
      pb::ServiceDescriptorProto::kOptionsFieldNumber, anywire::kServiceFieldNumber);
  const std::optional<absl::Duration> timeout =
      DefaultTimeout(service.options().GetExtension(anywire::service),
                     Locate(file, PathOf(service, timeout_path)), problems);
  Service model{
      .name = service.name(),
      .full_name = service.full_name(),
      .deprecated = service.options().deprecated(),
      .methods = {},
      .comment = CommentOf(service),
      .location = Locate(file, PathOf(service, {pb::ServiceDescriptorProto::kNameFieldNumber})),
  };
  for (int i = 0; i < service.method_count(); ++i) {
    model.methods.push_back(BuildMethod(*service.method(i), timeout, problems));
  }
  return model;
}

}  // namespace

std::string Problem::ToString() const {
  if (where.line == 0) return absl::StrCat(where.file, ": ", text);
  return absl::StrCat(where.file, ":", where.line, ":", where.column, ": ", text);
}

std::string TypeName::FullName() const {
  return absl::StrCat(package, package.empty() ? "" : ".", absl::StrJoin(path, "."));
}

File BuildFile(const pb::FileDescriptor& file, std::vector<Problem>& problems) {
  File model{
      .path = file.name(),
      .package = file.package(),
      .package_location = Locate(file, {pb::FileDescriptorProto::kPackageFieldNumber}),
      .services = {},
      .package_types = {},
      .generic_services = std::nullopt,
  };
  for (int i = 0; i < file.service_count(); ++i)
    model.services.push_back(BuildService(*file.service(i), problems));
  std::set<const pb::FileDescriptor*> seen;
  CollectTypes(file, file.package(), seen, model.package_types);
  if (file.options().cc_generic_services()) {
    model.generic_services = Locate(file, {pb::FileDescriptorProto::kOptionsFieldNumber,
                                           pb::FileOptions::kCcGenericServicesFieldNumber});
  }
  return model;
}

}  // namespace anywire::idl
