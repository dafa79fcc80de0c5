// The client's part of generated code: StubInterface, Stub and AsyncStub.
#ifndef ANYWIRE_CODEGEN_CLIENT_WRITER_H_
#define ANYWIRE_CODEGEN_CLIENT_WRITER_H_

#include <string>
#include <vector>

#include "codegen/code_writer.h"
#include "idl/service_model.h"

namespace anywire::codegen {

// Members of the service's class.
void DeclareClient(const idl::Service& service, bool with_interface, CodeWriter& out);
// Outside of it.
void DefineClient(const idl::Service& service, CodeWriter& out);

// What a blocking stub function returns, and the types of its parameters.
std::string BlockingStubResult(const idl::Method& method);
std::vector<std::string> BlockingStubParameterTypes(const idl::Method& method);

}  // namespace anywire::codegen

#endif  // ANYWIRE_CODEGEN_CLIENT_WRITER_H_
