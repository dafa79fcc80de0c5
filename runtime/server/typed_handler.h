// From a service's member function to a MethodHandler: the only place that knows message types.
#ifndef ANYWIRE_RUNTIME_SERVER_TYPED_HANDLER_H_
#define ANYWIRE_RUNTIME_SERVER_TYPED_HANDLER_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "anywire/method.h"
#include "anywire/server_context.h"
#include "anywire/server_streams.h"
#include "anywire/task.h"
#include "google/protobuf/message.h"
#include "google/protobuf/message_lite.h"
#include "runtime/server/method_handler.h"

namespace anywire::internal {

// What one parameter of a handler (after the context) is made of.
template <typename Parameter>
struct Argument {
  static_assert(
      !std::is_same_v<Parameter, Parameter>,
      "a handler takes ServerContext&, then const Request& or a reader, then Reply* or a writer");
};

// The lite runtime cannot tell how much a message keeps.
template <typename Message>
size_t RetainedBytesOf(const Message& message) {
  if constexpr (std::is_base_of_v<google::protobuf::Message, Message>) {
    return message.SpaceUsedLong();
  } else {
    return SIZE_MAX / 2;
  }
}

template <typename Request>
struct Argument<const Request&> {
  google::protobuf::MessageLite* request() { return &message; }
  google::protobuf::MessageLite* reply() { return nullptr; }
  const Request& Get(ServerStream&) { return message; }
  size_t RetainedBytes() const { return RetainedBytesOf(message); }
  void Clear() { message.Clear(); }
  Request message;
};

template <typename Reply>
struct Argument<Reply*> {
  google::protobuf::MessageLite* request() { return nullptr; }
  google::protobuf::MessageLite* reply() { return &message; }
  Reply* Get(ServerStream&) { return &message; }
  size_t RetainedBytes() const { return RetainedBytesOf(message); }
  void Clear() { message.Clear(); }
  Reply message;
};

// A typed reader or writer (or both) over the call's stream.
template <typename Stream>
struct StreamArgument {
  google::protobuf::MessageLite* request() { return nullptr; }
  google::protobuf::MessageLite* reply() { return nullptr; }
  Stream& Get(ServerStream& untyped) { return stream.emplace(untyped); }
  size_t RetainedBytes() const { return 0; }
  void Clear() { stream.reset(); }
  std::optional<Stream> stream;
};
template <typename Request>
struct Argument<ServerReader<Request>&> : StreamArgument<ServerReader<Request>> {};
template <typename Reply>
struct Argument<ServerWriter<Reply>&> : StreamArgument<ServerWriter<Reply>> {};
template <typename Request, typename Reply>
struct Argument<ServerReaderWriter<Request, Reply>&>
    : StreamArgument<ServerReaderWriter<Request, Reply>> {};
template <typename Request>
struct Argument<BlockingServerReader<Request>&> : StreamArgument<BlockingServerReader<Request>> {};
template <typename Reply>
struct Argument<BlockingServerWriter<Reply>&> : StreamArgument<BlockingServerWriter<Reply>> {};
template <typename Request, typename Reply>
struct Argument<BlockingServerReaderWriter<Request, Reply>&>
    : StreamArgument<BlockingServerReaderWriter<Request, Reply>> {};

template <typename S, typename Result, typename... Parameters>
class TypedInvocation final : public Invocation {
 public:
  using Function = Result (S::*)(ServerContext&, Parameters...);
  TypedInvocation(S* service, Function function) : service_(service), function_(function) {}

  google::protobuf::MessageLite* request() override {
    return First([](auto& argument) { return argument.request(); });
  }
  google::protobuf::MessageLite* reply() override {
    return First([](auto& argument) { return argument.reply(); });
  }
  Task<absl::Status> StartCoroutine(ServerContext& context, ServerStream& stream) override {
    if constexpr (std::is_same_v<Result, Task<absl::Status>>) {
      return Call(context, stream);
    } else {
      std::abort();  // MethodHandler::form says better
    }
  }
  absl::Status RunBlocking(ServerContext& context, ServerStream& stream) override {
    if constexpr (std::is_same_v<Result, absl::Status>) {
      return Call(context, stream);
    } else {
      std::abort();
    }
  }
  size_t RetainedBytes() const override {
    return std::apply([](const auto&... argument) { return (argument.RetainedBytes() + ...); },
                      arguments_);
  }
  void Clear() override {
    std::apply([](auto&... argument) { (argument.Clear(), ...); }, arguments_);
  }

 private:
  Result Call(ServerContext& context, ServerStream& stream) {
    return std::apply(
        [this, &context, &stream](auto&... argument) {
          return (service_->*function_)(context, argument.Get(stream)...);
        },
        arguments_);
  }
  // The message of the one argument that has one.
  template <typename Get>
  google::protobuf::MessageLite* First(Get get) {
    google::protobuf::MessageLite* found = nullptr;
    std::apply(
        [&found, get](auto&... argument) {
          ((found = found != nullptr ? found : get(argument)), ...);
        },
        arguments_);
    return found;
  }

  S* const service_;
  const Function function_;
  std::tuple<Argument<Parameters>...> arguments_;
};

template <typename S, typename Result, typename... Parameters>
class TypedHandler final : public MethodHandler {
 public:
  using Function = Result (S::*)(ServerContext&, Parameters...);
  static_assert(std::is_same_v<Result, Task<absl::Status>> || std::is_same_v<Result, absl::Status>,
                "a handler returns Task<absl::Status> (coroutine) or absl::Status (blocking)");

  TypedHandler(const Method& method, S* service, Function function)
      : MethodHandler(method,
                      std::is_same_v<Result, absl::Status> ? Form::kBlocking : Form::kCoroutine),
        service_(service),
        function_(function) {}

 private:
  std::unique_ptr<Invocation> NewInvocation() override {
    return std::make_unique<TypedInvocation<S, Result, Parameters...>>(service_, function_);
  }

  S* const service_;
  const Function function_;
};

}  // namespace anywire::internal

#endif  // ANYWIRE_RUNTIME_SERVER_TYPED_HANDLER_H_
