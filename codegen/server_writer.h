// The server's part of generated code: Service and BlockingService.
#ifndef ANYWIRE_CODEGEN_SERVER_WRITER_H_
#define ANYWIRE_CODEGEN_SERVER_WRITER_H_

#include <string>
#include <vector>

#include "codegen/code_writer.h"
#include "codegen/names.h"
#include "idl/service_model.h"

namespace anywire::codegen {

// Members of the service's class.
void DeclareServer(const idl::Service& service, const MessageNames& names, CodeWriter& out);
// Outside of it.
void DefineServer(const idl::Service& service, const MessageNames& names, CodeWriter& out);

// The types of a handler's parameters: those that MethodBinder::Add takes.
std::vector<std::string> BlockingHandlerParameterTypes(const idl::Method& method,
                                                       const MessageNames& names);

}  // namespace anywire::codegen

#endif  // ANYWIRE_CODEGEN_SERVER_WRITER_H_
