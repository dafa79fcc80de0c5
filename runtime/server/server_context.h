// What a handler knows of its call, and what it may say beside its messages.
#ifndef ANYWIRE_RUNTIME_SERVER_SERVER_CONTEXT_H_
#define ANYWIRE_RUNTIME_SERVER_SERVER_CONTEXT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "anywire/call_scope.h"
#include "anywire/cancellation.h"
#include "anywire/metadata.h"
#include "anywire/method.h"
#include "anywire/transport.h"

namespace anywire {

// Lives as long as its handler. The reading functions may be called by any thread; the writing ones
// by the handler's code, one thread at a time.
class ServerContext {
 public:
  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;

  const Method& method() const;
  // As the client sent it.
  const Metadata& client_metadata() const;
  // Who calls: addresses, and the identity that the transport vouches for (a Unix socket's uid, gid
  // and pid).
  const ConnectionInfo& peer() const;

  // When the call must be over (steady clock; max(): no deadline), and what is left of it
  // (absl::InfiniteDuration()).
  std::chrono::steady_clock::time_point deadline() const;
  absl::Duration time_left() const;

  // Whether the call is over already: cancelled by the client, past its deadline, its connection
  // lost, or ended for a mistake in a message or a limit. A handler that takes long should look, or
  // listen by a CancellationCallback on the token, which is told a moment later; what it returns is
  // then dropped. After a Read that yields false this says whether those were all the messages.
  bool cancelled() const;
  const CancellationToken& cancellation() const;

  // Initial metadata: sent with the first message, with the status if there is none, or at once by
  // SendInitialMetadata.
  void AddInitialMetadata(absl::string_view key, absl::string_view value);
  // FAILED_PRECONDITION when it was sent before; INVALID_ARGUMENT or RESOURCE_EXHAUSTED when it
  // breaks a rule.
  absl::Status SendInitialMetadata();
  // Sent with the status.
  void AddTrailingMetadata(absl::string_view key, absl::string_view value);

 protected:
  ServerContext() = default;
  ~ServerContext() = default;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_SERVER_CONTEXT_H_
