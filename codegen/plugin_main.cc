// protoc-gen-anywire: reads protoc's request and writes the answer.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "codegen/generator.h"
#include "codegen/parameters.h"
#include "google/protobuf/compiler/code_generator.h"
#include "google/protobuf/compiler/plugin.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream.h"
#include "idl/service_model.h"

namespace anywire::codegen {
namespace {

namespace pb = google::protobuf;

class Plugin final : public pb::compiler::CodeGenerator {
 public:
  uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }

  bool Generate(const pb::FileDescriptor* file, const std::string& parameter,
                pb::compiler::GeneratorContext* context, std::string* error) const override {
    return GenerateAll({file}, parameter, context, error);
  }

  bool GenerateAll(const std::vector<const pb::FileDescriptor*>& files,
                   const std::string& parameter, pb::compiler::GeneratorContext* context,
                   std::string* error) const override {
    const absl::StatusOr<Options> options = ParseParameter(parameter);
    if (!options.ok()) {
      *error = std::string(options.status().message());
      return false;
    }
    std::vector<idl::Problem> problems;
    std::vector<GeneratedFile> outputs;
    for (const pb::FileDescriptor* file : files) {
      const idl::File model = idl::BuildFile(*file, problems);
      for (GeneratedFile& output : codegen::Generate(model, *options, problems))
        outputs.push_back(std::move(output));
    }
    if (!problems.empty()) {
      *error = absl::StrJoin(problems, "\n", [](std::string* out, const idl::Problem& problem) {
        absl::StrAppend(out, problem.ToString());
      });
      return false;
    }
    for (const GeneratedFile& output : outputs) {
      const std::unique_ptr<pb::io::ZeroCopyOutputStream> stream(context->Open(output.path));
      pb::io::CodedOutputStream(stream.get()).WriteString(output.text);
    }
    return true;
  }
};

}  // namespace
}  // namespace anywire::codegen

int main(int argc, char** argv) {
  const anywire::codegen::Plugin plugin;
  return google::protobuf::compiler::PluginMain(argc, argv, &plugin);
}
