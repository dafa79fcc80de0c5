#include "codegen/client_writer.h"

#include <utility>

namespace anywire::codegen {
namespace {

constexpr absl::string_view kOptionsType = "const ::anywire::CallOptions&";

bool HasRequestParameter(const idl::Method& method) {
  return method.shape == idl::CallShape::kUnary || method.shape == idl::CallShape::kServerStreaming;
}

// "::anywire::<prefix>ClientReader<Reply>" and its like; for a streaming method.
std::string StreamClass(const idl::Method& method, const MessageNames& names,
                        absl::string_view prefix) {
  const std::string request = names.Class(method.request);
  const std::string reply = names.Class(method.reply);
  switch (method.shape) {
    case idl::CallShape::kUnary:
      break;
    case idl::CallShape::kServerStreaming:
      return absl::StrCat("::anywire::", prefix, "ClientReader<", reply, ">");
    case idl::CallShape::kClientStreaming:
      return absl::StrCat("::anywire::", prefix, "ClientWriter<", request, ", ", reply, ">");
    case idl::CallShape::kBidiStreaming:
      return absl::StrCat("::anywire::", prefix, "ClientReaderWriter<", request, ", ", reply, ">");
  }
  return "";
}

std::string RequestParameter(const idl::Method& method, const MessageNames& names) {
  return absl::StrCat("const ", names.Class(method.request), "& request");
}

// One function of a stub: how it is written in the class and outside it, and what it does.
struct Function {
  std::string result;
  std::string name;
  std::vector<std::string> parameters;
  // What it does: one call, of `callee` with `arguments`.
  std::string callee;
  std::vector<std::string> arguments;

  void Declare(const idl::Method& method, absl::string_view specifiers, absl::string_view tail,
               CodeWriter& out) const {
    std::vector<std::string> with_default = parameters;
    with_default.back() += " = {}";
    out.Call(
        absl::StrCat(method.deprecated ? "[[deprecated]] " : "", specifiers, result, " ", name),
        with_default, tail);
  }

  void Define(absl::string_view scope, CodeWriter& out) const {
    out.Call(absl::StrCat(result, " ", scope, "::", name), parameters, " const {");
    out.Indent(2);
    out.Call(callee, arguments, ";");
    out.Outdent(2);
    out.Line("}");
    out.Line();
  }
};

std::string MethodConstant(size_t index) { return absl::StrCat("kMethods[", index, "]"); }

// Every parameter list ends with the options, which may be left out.
std::vector<std::string> WithOptions(std::vector<std::string> parameters) {
  parameters.push_back(absl::StrCat(kOptionsType, " options"));
  return parameters;
}

std::string StartStream(const idl::Method& method, size_t index) {
  return absl::StrCat("channel_.StartStream(", MethodConstant(index), ", ",
                      HasRequestParameter(method) ? "&request" : "nullptr", ", options)");
}

Function BlockingFunction(const idl::Method& method, const MessageNames& names, size_t index) {
  Function function;
  function.result = BlockingStubResult(method, names);
  function.name = MethodFunction(method);
  if (HasRequestParameter(method)) function.parameters.push_back(RequestParameter(method, names));
  function.parameters = WithOptions(std::move(function.parameters));
  if (method.shape == idl::CallShape::kUnary) {
    function.callee =
        absl::StrCat("return ::anywire::generated::Call<", names.Class(method.reply), ">");
    function.arguments = {"channel_", MethodConstant(index), "request", "options"};
  } else {
    function.callee = absl::StrCat("return ", function.result);
    function.arguments = {StartStream(method, index)};
  }
  return function;
}

Function AsyncStream(const idl::Method& method, const MessageNames& names, size_t index) {
  Function function;
  function.result = StreamClass(method, names, "Async");
  function.name = MethodFunction(method);
  if (HasRequestParameter(method)) function.parameters.push_back(RequestParameter(method, names));
  function.parameters = WithOptions(std::move(function.parameters));
  function.callee = absl::StrCat("return ", function.result);
  function.arguments = {"channel_", StartStream(method, index)};
  return function;
}

std::vector<Function> AsyncFunctions(const idl::Method& method, const MessageNames& names,
                                     size_t index) {
  if (method.shape != idl::CallShape::kUnary) return {AsyncStream(method, names, index)};
  const std::string request = names.Class(method.request);
  const std::string reply = names.Class(method.reply);
  const std::string name = MethodFunction(method);
  const std::string result = absl::StrCat("::anywire::UnaryCall<", request, ", ", reply, ">");
  const std::string start = absl::StrCat("return ", result);
  const std::string constant = MethodConstant(index);
  const std::string options = "::anywire::CallOptions options";
  return {
      {
          .result = result,
          .name = name,
          .parameters = {RequestParameter(method, names), options},
          .callee = start,
          .arguments = {"channel_", constant, "request", "::std::move(options)"},
      },
      {
          .result = result,
          .name = name,
          .parameters = {absl::StrCat(request, "&& request"), options},
          .callee = start,
          .arguments = {"channel_", constant, "::std::move(request)", "::std::move(options)"},
      },
      {
          .result = "void",
          .name = name,
          .parameters =
              WithOptions({RequestParameter(method, names),
                           absl::StrCat("::anywire::UnaryCallback<", reply, "> callback")}),
          .callee = "::anywire::generated::Call",
          .arguments = {"channel_", constant, "request", "::std::move(callback)", "options"},
      },
  };
}

void DeclareInterface(const idl::Service& service, const MessageNames& names, CodeWriter& out) {
  out.Line(
      "// The blocking calls of Stub, for code that is tested with another (see the mock header).");
  out.Line("class StubInterface {");
  out.Line(" public:");
  out.Indent(2);
  out.Line("virtual ~StubInterface() = default;");
  for (size_t i = 0; i < service.methods.size(); ++i) {
    const idl::Method& method = service.methods[i];
    BlockingFunction(method, names, i).Declare(method, "virtual ", " const = 0;", out);
  }
  out.Outdent(2);
  out.Line("};");
  out.Line();
}

void DeclareAsyncStub(const idl::Service& service, const MessageNames& names, CodeWriter& out) {
  const bool is_empty = service.methods.empty();
  out.Line("class AsyncStub final {");
  if (!is_empty) out.Line(" public:");
  out.Indent(2);
  for (size_t i = 0; i < service.methods.size(); ++i) {
    const idl::Method& method = service.methods[i];
    for (const Function& function : AsyncFunctions(method, names, i)) {
      function.Declare(method, "", " const;", out);
    }
  }
  if (!is_empty) out.Line();
  out.Outdent(2);
  out.Line(" private:");
  out.Indent(2);
  out.Line("friend class Stub;");
  if (is_empty) {
    out.Line("explicit AsyncStub(const ::anywire::Channel&) {}");
  } else {
    out.Line("explicit AsyncStub(const ::anywire::Channel& channel) : channel_(channel) {}");
    out.Line("const ::anywire::Channel& channel_;");
  }
  out.Outdent(2);
  out.Line("};");
}

}  // namespace

std::string BlockingStubResult(const idl::Method& method, const MessageNames& names) {
  if (method.shape == idl::CallShape::kUnary)
    return absl::StrCat("::absl::StatusOr<", names.Class(method.reply), ">");
  return StreamClass(method, names, "");
}

std::vector<std::string> BlockingStubParameterTypes(const idl::Method& method,
                                                    const MessageNames& names) {
  std::vector<std::string> types;
  if (HasRequestParameter(method))
    types.push_back(absl::StrCat("const ", names.Class(method.request), "&"));
  types.emplace_back(kOptionsType);
  return types;
}

void DeclareClient(const idl::Service& service, const MessageNames& names, bool with_interface,
                   CodeWriter& out) {
  if (with_interface) DeclareInterface(service, names, out);
  out.Line("// Makes calls, and waits for their end. Thread-safe, cheap to copy.");
  out.Line("class Stub final", with_interface ? " : public StubInterface" : "", " {");
  out.Line(" public:");
  out.Indent(2);
  out.Line("explicit Stub(::anywire::Channel channel) : channel_(::std::move(channel)) {}");
  for (size_t i = 0; i < service.methods.size(); ++i) {
    const idl::Method& method = service.methods[i];
    out.Line();
    out.Comment(method.comment);
    BlockingFunction(method, names, i)
        .Declare(method, "", with_interface ? " const override;" : " const;", out);
  }
  out.Line();
  out.Line("// The same calls for coroutines (co_await them) and with callbacks.");
  DeclareAsyncStub(service, names, out);
  out.Line("// It refers to this stub, which must outlive it and be there when its calls start.");
  out.Line("AsyncStub Async() const& { return AsyncStub(channel_); }");
  out.Line("AsyncStub Async() const&& = delete;");
  out.Line();
  out.Outdent(2);
  out.Line(" private:");
  out.Line("  ::anywire::Channel channel_;");
  out.Line("};");
}

void DefineClient(const idl::Service& service, const MessageNames& names, CodeWriter& out) {
  const std::string stub = absl::StrCat(ServiceClass(service), "::Stub");
  const std::string async_stub = absl::StrCat(stub, "::AsyncStub");
  for (size_t i = 0; i < service.methods.size(); ++i)
    BlockingFunction(service.methods[i], names, i).Define(stub, out);
  for (size_t i = 0; i < service.methods.size(); ++i) {
    for (const Function& function : AsyncFunctions(service.methods[i], names, i))
      function.Define(async_stub, out);
  }
}

}  // namespace anywire::codegen
