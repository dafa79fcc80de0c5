#include "codegen/server_writer.h"

namespace anywire::codegen {
namespace {

struct Parameter {
  std::string type;
  std::string name;
};

// What differs between the two classes of handlers.
struct Form {
  absl::string_view class_name;
  absl::string_view result;
  absl::string_view stream_prefix;
  absl::string_view unimplemented;  // gives the answer of a method that nobody overrode
};

constexpr Form kCoroutine = {"Service", "::anywire::Task<::absl::Status>", "::anywire::Server",
                             "::anywire::generated::UnimplementedTask"};
constexpr Form kBlocking = {"BlockingService", "::absl::Status", "::anywire::BlockingServer",
                            "::anywire::generated::Unimplemented"};

std::vector<Parameter> HandlerParameters(const idl::Method& method, const MessageNames& names,
                                         const Form& form) {
  const std::string request = names.Class(method.request);
  const std::string reply = names.Class(method.reply);
  const Parameter context = {"::anywire::ServerContext&", "context"};
  const Parameter one_request = {absl::StrCat("const ", request, "&"), "request"};
  const Parameter one_reply = {absl::StrCat(reply, "*"), "reply"};
  switch (method.shape) {
    case idl::CallShape::kUnary:
      return {context, one_request, one_reply};
    case idl::CallShape::kServerStreaming:
      return {context,
              one_request,
              {absl::StrCat(form.stream_prefix, "Writer<", reply, ">&"), "writer"}};
    case idl::CallShape::kClientStreaming:
      return {context,
              {absl::StrCat(form.stream_prefix, "Reader<", request, ">&"), "reader"},
              one_reply};
    case idl::CallShape::kBidiStreaming:
      return {context,
              {absl::StrCat(form.stream_prefix, "ReaderWriter<", request, ", ", reply, ">&"),
               "stream"}};
  }
  return {};
}

void DeclareForm(const idl::Service& service, const MessageNames& names, const Form& form,
                 bool with_comments, CodeWriter& out) {
  out.Line("class ", form.class_name, " : public ::anywire::Service {");
  out.Line(" public:");
  out.Indent(2);
  for (const idl::Method& method : service.methods) {
    std::vector<std::string> parameters;
    for (const Parameter& parameter : HandlerParameters(method, names, form)) {
      parameters.push_back(absl::StrCat(parameter.type, " ", parameter.name));
    }
    if (with_comments) out.Comment(method.comment);
    out.Call(absl::StrCat("virtual ", form.result, " ", MethodFunction(method)), parameters, ";");
    if (with_comments) out.Line();
  }
  if (!with_comments && !service.methods.empty()) out.Line();
  out.Line("::absl::string_view service_name() const final { return service_full_name(); }");
  out.Line("void Bind(::anywire::MethodBinder& binder) final;");
  out.Outdent(2);
  out.Line("};");
}

void DefineForm(const idl::Service& service, const MessageNames& names, const Form& form,
                CodeWriter& out) {
  const std::string scope = absl::StrCat(ServiceClass(service), "::", form.class_name);
  for (size_t i = 0; i < service.methods.size(); ++i) {
    const idl::Method& method = service.methods[i];
    std::vector<std::string> parameters;
    for (const Parameter& parameter : HandlerParameters(method, names, form)) {
      parameters.push_back(absl::StrCat(parameter.type, " /*", parameter.name, "*/"));
    }
    out.Call(absl::StrCat(form.result, " ", scope, "::", MethodFunction(method)), parameters, " {");
    out.Line("  return ", form.unimplemented, "(kMethods[", i, "]);");
    out.Line("}");
    out.Line();
  }
  out.Line("void ", scope, "::Bind(::anywire::MethodBinder&",
           service.methods.empty() ? " /*binder*/" : " binder", ") {");
  for (size_t i = 0; i < service.methods.size(); ++i) {
    out.Line("  binder.Add(kMethods[", i, "], this, &", form.class_name,
             "::", MethodFunction(service.methods[i]), ");");
  }
  out.Line("}");
}

}  // namespace

std::vector<std::string> BlockingHandlerParameterTypes(const idl::Method& method,
                                                       const MessageNames& names) {
  std::vector<std::string> types;
  for (const Parameter& parameter : HandlerParameters(method, names, kBlocking))
    types.push_back(parameter.type);
  return types;
}

void DeclareServer(const idl::Service& service, const MessageNames& names, CodeWriter& out) {
  out.Line(
      "// To be derived from by servers. Handlers are coroutines that run on the connection's "
      "thread");
  out.Line("// and do not block. Methods that are not overridden answer UNIMPLEMENTED.");
  DeclareForm(service, names, kCoroutine, /*with_comments=*/true, out);
  out.Line();
  out.Line("// The same with ordinary functions, which run on a pool of threads and may block.");
  DeclareForm(service, names, kBlocking, /*with_comments=*/false, out);
}

void DefineServer(const idl::Service& service, const MessageNames& names, CodeWriter& out) {
  DefineForm(service, names, kCoroutine, out);
  out.Line();
  DefineForm(service, names, kBlocking, out);
}

}  // namespace anywire::codegen
