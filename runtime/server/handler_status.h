// The statuses of handlers that did not return one.
#ifndef ANYWIRE_RUNTIME_SERVER_HANDLER_STATUS_H_
#define ANYWIRE_RUNTIME_SERVER_HANDLER_STATUS_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "anywire/method.h"

namespace anywire {

// What is logged of an exception's text.
inline constexpr size_t kMaxExceptionText = 1024;

// Inside a catch clause: INTERNAL, with the method and that its handler threw. The text of the
// exception, which may hold what is no client's business, goes to stderr, some ten times a second
// at most. A handler that wants its client to read it returns a status.
absl::Status StatusOfException(const Method& method);

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_HANDLER_STATUS_H_
