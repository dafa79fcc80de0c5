// The statuses of handlers that did not return one.
#ifndef ANYWIRE_RUNTIME_SERVER_HANDLER_STATUS_H_
#define ANYWIRE_RUNTIME_SERVER_HANDLER_STATUS_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "anywire/method.h"

namespace anywire {

// What is kept of an exception's text.
inline constexpr size_t kMaxExceptionText = 1024;

// Inside a catch clause: INTERNAL with the text of the exception that is being handled. Says so on
// stderr, some ten times a second at most.
absl::Status StatusOfException(const Method& method);

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_HANDLER_STATUS_H_
