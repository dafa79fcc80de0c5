#include "codegen/mock_writer.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "codegen/client_writer.h"
#include "codegen/server_writer.h"

namespace anywire::codegen {
namespace {

// gMock's macros take types with commas in parentheses.
void MockMethod(absl::string_view result, const std::string& function,
                const std::vector<std::string>& types, absl::string_view qualifiers,
                CodeWriter& out) {
  std::vector<std::string> in_parentheses;
  for (const std::string& type : types) {
    in_parentheses.push_back(absl::StrContains(type, ",") ? absl::StrCat("(", type, ")") : type);
  }
  out.Line("MOCK_METHOD(");
  out.Line("    (", result, "), ", function, ",");
  for (const std::string& type : in_parentheses) {
    out.Line(&type == &in_parentheses.front() ? "    (" : "     ", type,
             &type == &in_parentheses.back() ? ")," : ",");
  }
  out.Line("    (", qualifiers, "));");
}

}  // namespace

void WriteMocks(const idl::Service& service, const MessageNames& names, CodeWriter& out) {
  const std::string service_class = ServiceClass(service);
  out.Line("// In the place of a ", service_class, "::Stub.");
  out.Line("class ", MockStubClass(service), " : public ", service_class, "::StubInterface {");
  out.Line(" public:");
  out.Indent(2);
  for (const idl::Method& method : service.methods) {
    MockMethod(BlockingStubResult(method, names), MethodFunction(method),
               BlockingStubParameterTypes(method, names), "const, override", out);
  }
  out.Outdent(2);
  out.Line("};");
  out.Line();
  out.Line(
      "// A server whose handlers are mocks: clients of every form can be tested against it, in "
      "process.");
  out.Line("class ", MockServiceClass(service), " : public ", service_class, "::BlockingService {");
  out.Line(" public:");
  out.Indent(2);
  for (const idl::Method& method : service.methods) {
    MockMethod("::absl::Status", MethodFunction(method),
               BlockingHandlerParameterTypes(method, names), "override", out);
  }
  out.Outdent(2);
  out.Line("};");
}

}  // namespace anywire::codegen
