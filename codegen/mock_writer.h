// The gMock classes of a service.
#ifndef ANYWIRE_CODEGEN_MOCK_WRITER_H_
#define ANYWIRE_CODEGEN_MOCK_WRITER_H_

#include "codegen/code_writer.h"
#include "codegen/names.h"
#include "idl/service_model.h"

namespace anywire::codegen {

void WriteMocks(const idl::Service& service, const MessageNames& names, CodeWriter& out);

}  // namespace anywire::codegen

#endif  // ANYWIRE_CODEGEN_MOCK_WRITER_H_
