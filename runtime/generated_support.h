// The one header that generated code includes.
#ifndef ANYWIRE_RUNTIME_GENERATED_SUPPORT_H_
#define ANYWIRE_RUNTIME_GENERATED_SUPPORT_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "anywire/async_streams.h"
#include "anywire/call_options.h"
#include "anywire/channel.h"
#include "anywire/method.h"
#include "anywire/server_context.h"
#include "anywire/server_streams.h"
#include "anywire/service.h"
#include "anywire/streams.h"
#include "anywire/task.h"

// Raised whenever generated code and this header must change together. Generated code checks it
// with a static_assert.
#define ANYWIRE_GENERATED_CODE_VERSION 1

namespace anywire::generated {

// A blocking unary call.
template <typename Reply, typename Request>
absl::StatusOr<Reply> Call(const Channel& channel, const Method& method, const Request& request,
                           const CallOptions& options) {
  // The only thing returned, so that it is the caller's from the start and is not moved.
  absl::StatusOr<Reply> reply(absl::in_place);
  absl::Status status = channel.Call(method, request, &*reply, options);
  if (!status.ok()) reply = std::move(status);
  return reply;
}

// A unary call with a callback.
template <typename Reply, typename Request>
void Call(const Channel& channel, const Method& method, const Request& request,
          UnaryCallback<Reply> callback, const CallOptions& options) {
  internal::CallbackCall<Reply>::Start(channel, method, request, std::move(callback), options);
}

// The answers of handlers that nobody wrote.
inline absl::Status Unimplemented(const Method& method) {
  return absl::UnimplementedError(
      absl::StrCat("this server does not implement ", method.full_name()));
}
inline Task<absl::Status> UnimplementedTask(const Method& method) {
  co_return Unimplemented(method);
}

}  // namespace anywire::generated

#endif  // ANYWIRE_RUNTIME_GENERATED_SUPPORT_H_
