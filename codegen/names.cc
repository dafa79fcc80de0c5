#include "codegen/names.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace anywire::codegen {
namespace {

template <size_t kSize>
bool Contains(const absl::string_view (&words)[kSize], absl::string_view word) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

// The words that protobuf 3.21 puts a "_" behind in names of messages.
constexpr absl::string_view kProtobufKeywords[] = {
    "NULL",          "alignas",      "alignof",    "and",       "and_eq",
    "asm",           "auto",         "bitand",     "bitor",     "bool",
    "break",         "case",         "catch",      "char",      "class",
    "compl",         "const",        "const_cast", "constexpr", "continue",
    "decltype",      "default",      "delete",     "do",        "double",
    "dynamic_cast",  "else",         "enum",       "explicit",  "export",
    "extern",        "false",        "float",      "for",       "friend",
    "goto",          "if",           "inline",     "int",       "long",
    "mutable",       "namespace",    "new",        "noexcept",  "not",
    "not_eq",        "nullptr",      "operator",   "or",        "or_eq",
    "private",       "protected",    "public",     "register",  "reinterpret_cast",
    "return",        "short",        "signed",     "sizeof",    "static",
    "static_assert", "static_cast",  "struct",     "switch",    "template",
    "this",          "thread_local", "throw",      "true",      "try",
    "typedef",       "typeid",       "typename",   "union",     "unsigned",
    "using",         "virtual",      "void",       "volatile",  "wchar_t",
    "while",         "xor",          "xor_eq",
};

// Those that came with C++20, which protobuf 3.21 leaves as they are.
constexpr absl::string_view kCpp20Keywords[] = {
    "char16_t", "char32_t", "char8_t",   "co_await",  "co_return",
    "co_yield", "concept",  "consteval", "constinit", "requires",
};

// Macros of the standard headers and of the platform, in so far as they look like names of methods.
constexpr absl::string_view kMacros[] = {
    "BUFSIZ", "EOF",   "HUGE_VAL", "INFINITY", "NAN",      "RAND_MAX", "assert", "errno",
    "linux",  "major", "makedev",  "minor",    "offsetof", "setjmp",   "stderr", "stdin",
    "stdout", "unix",  "va_arg",   "va_copy",  "va_end",   "va_start",
};

// Members of the class that is generated for a service ...
constexpr absl::string_view kServiceMembers[] = {
    "BlockingService", "Service", "Stub", "StubInterface", "kMethods", "service_full_name",
};

// ... and of the classes inside it.
constexpr absl::string_view kMemberNames[] = {
    "Async", "AsyncStub", "Bind", "channel_", "service_name",
};

// Parameters of generated functions.
constexpr absl::string_view kParameters[] = {
    "binder", "callback", "channel", "context", "options",
    "reader", "reply",    "request", "stream",  "writer",
};

// Names of the top level that are not for users' services.
constexpr absl::string_view kTopLevelNamespaces[] = {"absl", "anywire", "google", "std", "testing"};

bool IsKeyword(absl::string_view word) {
  return Contains(kProtobufKeywords, word) || Contains(kCpp20Keywords, word);
}

bool IsWordOfCpp(absl::string_view word) { return IsKeyword(word) || Contains(kMacros, word); }

// What the C++ standard keeps for compilers; their macros and built-ins are such names.
bool IsReserved(absl::string_view name) {
  return absl::StartsWith(name, "__") || (name.size() >= 2 && name[0] == '_' &&
                                          absl::ascii_isupper(static_cast<unsigned char>(name[1])));
}

absl::string_view StripProto(absl::string_view path) {
  if (!absl::ConsumeSuffix(&path, ".protodevel")) absl::ConsumeSuffix(&path, ".proto");
  return path;
}

// As protobuf: the rule for keywords holds for each level of nesting.
std::string FlatName(const std::vector<std::string>& path) {
  std::string flat;
  for (const std::string& name : path) {
    absl::StrAppend(&flat, flat.empty() ? "" : "_", name);
    if (Contains(kProtobufKeywords, flat)) flat += '_';
  }
  return flat;
}

class NameChecker {
 public:
  NameChecker(const idl::File& file, bool mock, std::vector<idl::Problem>& problems)
      : file_(file), mock_(mock), problems_(problems) {}

  void Run() {
    if (file_.services.empty()) return;
    CheckPackage();
    if (file_.generic_services) {
      Report(*file_.generic_services,
             "option cc_generic_services makes protobuf generate classes that take the names of "
             "anywire's: remove it");
    }
    for (const idl::TypeName& type : file_.package_types) {
      taken_.emplace(FlatName(type.path), absl::StrCat("type \"", type.FullName(), "\""));
    }
    for (const idl::Service& service : file_.services) CheckService(service);
  }

 private:
  void Report(const idl::Location& where, std::string text) {
    problems_.push_back({where, std::move(text)});
  }

  void CheckPackage() {
    const std::vector<absl::string_view> parts =
        absl::StrSplit(file_.package, '.', absl::SkipEmpty());
    for (const absl::string_view part : parts) {
      if (IsKeyword(part)) {
        Report(file_.package_location,
               absl::StrCat("package \"", file_.package, "\" cannot be a C++ namespace: \"", part,
                            "\" is a keyword of C++, and protobuf does not rename namespaces"));
      }
    }
    const bool foreign = !parts.empty() && parts.front() == "std";
    if (foreign || file_.package == "absl" || file_.package == "anywire" ||
        file_.package == "anywire.generated" || file_.package == "anywire.internal") {
      Report(file_.package_location,
             absl::StrCat(
                 "package \"", file_.package,
                 "\" is a C++ namespace that belongs to others: services need one of their own"));
    }
  }

  // Whether `name` is new in the namespace.
  void Take(const idl::Service& service, const std::string& name) {
    const std::string what = absl::StrCat("service \"", service.full_name, "\"");
    const auto [taken, is_new] = taken_.emplace(name, what);
    if (is_new) return;
    Report(service.location, absl::StrCat(what, " would become C++ class \"", name,
                                          "\", the name of ", taken->second));
  }

  void CheckService(const idl::Service& service) {
    if (IsReserved(service.name)) {
      Report(service.location,
             absl::StrCat(
                 "service \"", service.full_name,
                 "\" cannot be a C++ class: names that begin like this are kept for compilers"));
    }
    if (file_.package.empty() && Contains(kTopLevelNamespaces, service.name)) {
      Report(
          service.location,
          absl::StrCat("service \"", service.name,
                       "\" cannot be a C++ class: it is a namespace; put the file in a package"));
    }
    Take(service, ServiceClass(service));
    if (mock_) {
      Take(service, MockStubClass(service));
      Take(service, MockServiceClass(service));
    }
    std::map<std::string, const idl::Method*> functions;
    for (const idl::Method& method : service.methods) {
      CheckMethod(service, method);
      const auto [other, is_new] = functions.emplace(MethodFunction(method), &method);
      if (!is_new) {
        Report(method.location,
               absl::StrCat("method \"", method.name, "\" would become C++ function \"",
                            other->first, "\", as method \"", other->second->name, "\" does"));
      }
    }
  }

  void CheckMethod(const idl::Service& service, const idl::Method& method) {
    if (IsReserved(method.name)) {
      Report(method.location,
             absl::StrCat(
                 "method \"", method.name,
                 "\" cannot be a C++ function: names that begin like this are kept for compilers"));
    }
    if (mock_ &&
        (method.name == MockStubClass(service) || method.name == MockServiceClass(service))) {
      Report(method.location,
             absl::StrCat("method \"", method.name, "\" has the name of the mock of its service"));
    }
    for (const idl::TypeName* type : {&method.request, &method.reply}) CheckType(method, *type);
  }

  void CheckType(const idl::Method& method, const idl::TypeName& type) {
    std::vector<std::string> words = absl::StrSplit(type.package, '.', absl::SkipEmpty());
    if (type.package == file_.package) words.clear();  // reported once, by CheckPackage
    const bool keyword_package = std::any_of(words.begin(), words.end(), IsKeyword);
    if (keyword_package || Contains(kCpp20Keywords, FlatName(type.path))) {
      Report(method.location,
             absl::StrCat(
                 "method \"", method.name, "\" uses message \"", type.FullName(),
                 "\", whose C++ name would have a keyword in it that protobuf does not rename"));
    }
  }

  const idl::File& file_;
  const bool mock_;
  std::vector<idl::Problem>& problems_;
  // Names in the file's namespace, and what has them.
  std::map<std::string, std::string> taken_;
};

}  // namespace

std::string HeaderPath(absl::string_view proto_path) {
  return absl::StrCat(StripProto(proto_path), ".anywire.h");
}

std::string SourcePath(absl::string_view proto_path) {
  return absl::StrCat(StripProto(proto_path), ".anywire.cc");
}

std::string MockHeaderPath(absl::string_view proto_path) {
  return absl::StrCat(StripProto(proto_path), ".anywire.mock.h");
}

std::string MessageHeaderPath(absl::string_view proto_path) {
  return absl::StrCat(StripProto(proto_path), ".pb.h");
}

std::string IncludeGuard(absl::string_view path) {
  std::string guard = "ANYWIRE_GENERATED_";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte)) {
      guard += c;
    } else {
      absl::StrAppendFormat(&guard, "_%02x", byte);
    }
  }
  return guard;
}

std::string Namespace(absl::string_view package) {
  return absl::StrReplaceAll(package, {{".", "::"}});
}

std::string MessageClass(const idl::TypeName& message) {
  return absl::StrCat(message.package.empty() ? "" : "::", Namespace(message.package),
                      "::", FlatName(message.path));
}

MessageNames::MessageNames(const idl::File& file, const idl::Service& service)
    : package_(file.package) {
  hidden_.insert(std::begin(kServiceMembers), std::end(kServiceMembers));
  hidden_.insert(std::begin(kMemberNames), std::end(kMemberNames));
  hidden_.insert(std::begin(kParameters), std::end(kParameters));
  for (const idl::Method& method : service.methods) hidden_.insert(MethodFunction(method));
}

std::string MessageNames::Class(const idl::TypeName& message) const {
  const std::string flat = FlatName(message.path);
  if (message.package == package_ && hidden_.count(flat) == 0) return flat;
  return MessageClass(message);
}

std::string ServiceClass(const idl::Service& service) {
  const bool taken = IsWordOfCpp(service.name) || Contains(kServiceMembers, service.name);
  return absl::StrCat(service.name, taken ? "_" : "");
}

std::string MethodFunction(const idl::Method& method) {
  const bool taken = IsWordOfCpp(method.name) || Contains(kServiceMembers, method.name) ||
                     Contains(kMemberNames, method.name);
  return absl::StrCat(method.name, taken ? "_" : "");
}

std::string MockStubClass(const idl::Service& service) {
  return absl::StrCat("Mock", service.name, "Stub");
}

std::string MockServiceClass(const idl::Service& service) {
  return absl::StrCat("Mock", service.name, "Service");
}

void CheckNames(const idl::File& file, bool mock, std::vector<idl::Problem>& problems) {
  NameChecker(file, mock, problems).Run();
}

}  // namespace anywire::codegen
