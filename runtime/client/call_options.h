// What a client may say about one call, and what it may learn beside the reply.
#ifndef ANYWIRE_RUNTIME_CLIENT_CALL_OPTIONS_H_
#define ANYWIRE_RUNTIME_CLIENT_CALL_OPTIONS_H_

#include <optional>
#include <string>
#include <type_traits>

#include "absl/time/time.h"
#include "anywire/cancellation.h"
#include "anywire/metadata.h"

namespace anywire {

// Filled in by the time the call has ended (initial metadata of a stream: by its first successful
// Read).
struct ReceivedMetadata {
  Metadata initial;
  Metadata trailing;
  std::string peer;  // the server's address as a URI; "" when the call never reached a connection
};

// Write it with designated initialisers:
//   stub.SayHello(request, {.timeout = absl::Seconds(1), .metadata = &metadata})
// (Every member has an initialiser, else -Wextra warns of those that a caller leaves out.)
struct CallOptions {
  // How long the call may take, from its start. Past it the call ends as DEADLINE_EXCEEDED on both
  // sides. Zero or less ends it at once; absl::InfiniteDuration() is no limit. Unsaid: what the
  // schema says of the method, else what the configuration says of the target (call_timeout), else
  // no limit.
  std::optional<absl::Duration> timeout = std::nullopt;
  // Sent to the server; null: none. Read before the function that starts the call returns (or first
  // suspends).
  const Metadata* metadata = nullptr;
  // Where to put what the server sends beside its messages; null: nowhere. Outlives the call; a
  // stream writes to it no more once it is destroyed, or once a blocking step of it was refused.
  ReceivedMetadata* received = nullptr;
  // Ends the call as CANCELLED; null: nobody does. Copied like the metadata.
  const CancellationToken* cancellation = nullptr;
  // Whether a call made inside a handler also ends with the handler's deadline and cancellation,
  // whatever `timeout` is.
  bool inherit = true;
};
// GCC 12 destroys the members of such a temporary twice in an expression with co_await, if they
// have destructors.
static_assert(std::is_trivially_destructible_v<CallOptions>);

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_CLIENT_CALL_OPTIONS_H_
