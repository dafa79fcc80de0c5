// From the model of a .proto file to the text of its C++ files. Pure: the same model gives the same
// bytes.
#ifndef ANYWIRE_CODEGEN_GENERATOR_H_
#define ANYWIRE_CODEGEN_GENERATOR_H_

#include <string>
#include <vector>

#include "idl/service_model.h"

namespace anywire::codegen {

// What generated code expects of the runtime: ANYWIRE_GENERATED_CODE_VERSION in
// anywire/generated_support.h. They are raised together.
inline constexpr int kGeneratedCodeVersion = 1;

struct Options {
  // Also a StubInterface, and a header with gMock classes for stubs and services.
  bool mock = false;
};

struct GeneratedFile {
  std::string path;
  std::string text;
};

// A header and a source file, also for a file without services. What keeps a file from being
// generated is appended to `problems`; nothing is returned then.
std::vector<GeneratedFile> Generate(const idl::File& file, const Options& options,
                                    std::vector<idl::Problem>& problems);

}  // namespace anywire::codegen

#endif  // ANYWIRE_CODEGEN_GENERATOR_H_
