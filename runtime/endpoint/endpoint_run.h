// Endpoint::Run, which is inlined into every command.
#ifndef ANYWIRE_RUNTIME_ENDPOINT_ENDPOINT_RUN_H_
#define ANYWIRE_RUNTIME_ENDPOINT_ENDPOINT_RUN_H_

#include <type_traits>
#include <utility>

#include "runtime/endpoint/endpoint.h"

namespace anywire {

template <typename Command>
auto Endpoint::Run(Command&& command) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  mutex_.Lock();
  unsent_ = true;
  using Result = decltype(command(*protocol_, events_));
  if constexpr (std::is_void_v<Result>) {
    command(*protocol_, events_);
    Settle();
  } else {
    Result result = command(*protocol_, events_);
    Settle();
    return result;
  }
}

template <typename Command>
auto Endpoint::RunAndDispatch(Command&& command) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  mutex_.Lock();
  unsent_ = true;
  auto result = command(*protocol_, events_);
  TransmitAndDispatch();
  Settle();
  return result;
}

template <typename Command>
absl::Status Endpoint::RunAndAwait(Command&& command, BlockingOperation& operation,
                                   bool cancellable, Instant now) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  mutex_.Lock();
  unsent_ = true;
  absl::Status status = command(*protocol_, events_);
  if (status.ok()) AwaitLocked(operation, cancellable, now);
  Settle();
  return status;
}

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_ENDPOINT_ENDPOINT_RUN_H_
