// What everything is called in C++: every naming decision of generated code.
#ifndef ANYWIRE_CODEGEN_NAMES_H_
#define ANYWIRE_CODEGEN_NAMES_H_

#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "idl/service_model.h"

namespace anywire::codegen {

// The files made from `proto_path` ("foo/bar.proto"), and protobuf's header for it.
std::string HeaderPath(absl::string_view proto_path);         // foo/bar.anywire.h
std::string SourcePath(absl::string_view proto_path);         // foo/bar.anywire.cc
std::string MockHeaderPath(absl::string_view proto_path);     // foo/bar.anywire.mock.h
std::string MessageHeaderPath(absl::string_view proto_path);  // foo/bar.pb.h
// Different for different paths.
std::string IncludeGuard(absl::string_view path);

// "foo::bar"; empty without a package.
std::string Namespace(absl::string_view package);
// protobuf's class for a message, from the top: "::foo::bar::Outer_Inner".
std::string MessageClass(const idl::TypeName& message);

// How the code of one service writes the classes of messages: without the namespace when they are
// of the service's own package and no member or parameter hides them.
class MessageNames {
 public:
  MessageNames(const idl::File& file, const idl::Service& service);
  std::string Class(const idl::TypeName& message) const;

 private:
  const std::string package_;
  std::set<std::string> hidden_;
};

// The class of a service. The schema's name, with a "_" behind it if that is a word of C++ or a
// member of the class.
std::string ServiceClass(const idl::Service& service);
// The functions of a method, by the same rule.
std::string MethodFunction(const idl::Method& method);
// gMock classes, beside the service's class.
std::string MockStubClass(const idl::Service& service);
std::string MockServiceClass(const idl::Service& service);

// Names that no C++ can be generated for, and different names that become the same.
void CheckNames(const idl::File& file, bool mock, std::vector<idl::Problem>& problems);

}  // namespace anywire::codegen

#endif  // ANYWIRE_CODEGEN_NAMES_H_
