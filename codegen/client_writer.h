// The client's part of generated code: StubInterface, Stub and AsyncStub.
#ifndef ANYWIRE_CODEGEN_CLIENT_WRITER_H_
#define ANYWIRE_CODEGEN_CLIENT_WRITER_H_

#include <string>
#include <vector>

#include "codegen/code_writer.h"
#include "codegen/names.h"
#include "idl/service_model.h"

namespace anywire::codegen {

// Members of the service's class.
void DeclareClient(const idl::Service& service, const MessageNames& names, bool with_interface,
                   CodeWriter& out);
// Outside of it.
void DefineClient(const idl::Service& service, const MessageNames& names, CodeWriter& out);

// What a blocking stub function returns, and the types of its parameters.
std::string BlockingStubResult(const idl::Method& method, const MessageNames& names);
std::vector<std::string> BlockingStubParameterTypes(const idl::Method& method,
                                                    const MessageNames& names);

}  // namespace anywire::codegen

#endif  // ANYWIRE_CODEGEN_CLIENT_WRITER_H_
