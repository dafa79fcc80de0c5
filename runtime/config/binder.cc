#include "runtime/config/binder.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "runtime/config/field_rules.h"

namespace anywire::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// A message on its way into the file's message tree.
struct Scope {
  Message& message;
  std::string name;  // for people: "service.limits"; "" at the top
  std::string path;  // for PlaceByPath: "service[0].limits"
};

std::string Join(absl::string_view outer, absl::string_view inner) {
  return outer.empty() ? std::string(inner) : absl::StrCat(outer, ".", inner);
}

std::vector<std::string> KeysOf(const Descriptor& descriptor) {
  std::vector<std::string> keys;
  keys.reserve(descriptor.field_count());
  for (int i = 0; i < descriptor.field_count(); ++i) keys.push_back(descriptor.field(i)->name());
  return keys;
}

class Binder {
 public:
  Binder(bool json, absl::string_view file, PlaceByPath& places)
      : json_(json), file_(file), places_(places) {}

  absl::Status BindObject(const Value& object, const Scope& scope) {
    absl::flat_hash_map<const FieldDescriptor*, Position> seen;
    for (const Member& member : object.members) {
      const FieldDescriptor* field = Find(*scope.message.GetDescriptor(), member.key);
      if (field == nullptr) return UnknownKey(member, scope);
      const auto [first, is_new] = seen.emplace(field, member.at);
      if (!is_new && (json_ || !field->is_repeated())) {
        return ErrorAt(file_, member.at,
                       absl::StrCat(Join(scope.name, field->name()), " is given twice, first at ",
                                    first->second.line, ":", first->second.column),
                       "once");
      }
      if (absl::Status status = BindMember(member.value, *field, scope); !status.ok())
        return status;
    }
    return absl::OkStatus();
  }

 private:
  const FieldDescriptor* Find(const Descriptor& descriptor, const std::string& key) const {
    const FieldDescriptor* field = descriptor.FindFieldByName(key);
    for (int i = 0; field == nullptr && json_ && i < descriptor.field_count(); ++i) {
      if (descriptor.field(i)->json_name() == key) field = descriptor.field(i);
    }
    return field;
  }

  absl::Status UnknownKey(const Member& member, const Scope& scope) const {
    const std::vector<std::string> keys = KeysOf(*scope.message.GetDescriptor());
    const std::string where =
        scope.name.empty() ? "at the top of the file" : absl::StrCat("in ", scope.name);
    return ErrorAt(file_, member.at,
                   absl::StrCat("unknown key ", Quoted(member.key), " ", where,
                                DidYouMean(Nearest(member.key, keys))),
                   List(keys));
  }

  absl::Status BindMember(const Value& value, const FieldDescriptor& field, const Scope& scope) {
    if (value.kind == Value::kNothing) return absl::OkStatus();
    if (!field.is_repeated()) return BindOne(value, field, scope);
    if (value.kind != Value::kList) {
      if (!json_) return BindOne(value, field, scope);
      return ErrorAt(file_, value.at,
                     absl::StrCat(Join(scope.name, field.name()), ": expected a list"),
                     field.message_type() != nullptr ? "[{...}, {...}]" : "[\"...\", \"...\"]");
    }
    for (const Value& item : value.items) {
      if (absl::Status status = BindOne(item, field, scope); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status BindOne(const Value& value, const FieldDescriptor& field, const Scope& outer) {
    const auto& reflection = *outer.message.GetReflection();
    const std::string name = Join(outer.name, field.name());
    std::string path = Join(outer.path, field.name());
    if (field.is_repeated()) {
      absl::StrAppend(&path, "[", reflection.FieldSize(outer.message, &field), "]");
    }
    places_[path] = value.at;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        if (value.kind != Value::kObject) {
          return ErrorAt(file_, value.at, absl::StrCat(name, ": expected { ... }"),
                         absl::StrCat("{ and } around ", List(KeysOf(*field.message_type()))));
        }
        Message& message = field.is_repeated() ? *reflection.AddMessage(&outer.message, &field)
                                               : *reflection.MutableMessage(&outer.message, &field);
        return BindObject(value, {message, name, path});
      }
      case FieldDescriptor::CPPTYPE_STRING: {
        const auto complaint = CheckText(field.options().GetExtension(rule), value);
        if (complaint) return Complain(*complaint, value, name);
        if (field.is_repeated()) {
          reflection.AddString(&outer.message, &field, value.text);
        } else {
          reflection.SetString(&outer.message, &field, value.text);
        }
        return absl::OkStatus();
      }
      case FieldDescriptor::CPPTYPE_UINT32: {
        uint32_t count = 0;
        const auto complaint = CheckCount(field.options().GetExtension(rule), value, count);
        if (complaint) return Complain(*complaint, value, name);
        reflection.SetUInt32(&outer.message, &field, count);
        return absl::OkStatus();
      }
      default:
        return absl::InternalError(
            absl::StrCat("idl/config.proto: the type of ", name, " has no reader"));
    }
  }

  absl::Status Complain(const Complaint& complaint, const Value& value,
                        absl::string_view name) const {
    return ErrorAt(file_, value.at, absl::StrCat(name, ": ", complaint.what), complaint.allowed);
  }

  const bool json_;
  const absl::string_view file_;
  PlaceByPath& places_;
};

}  // namespace

absl::Status Bind(const Value& value, bool json, absl::string_view file, ConfigFile& config,
                  PlaceByPath& places) {
  return Binder(json, file, places).BindObject(value, {config, "", ""});
}

}  // namespace anywire::config
