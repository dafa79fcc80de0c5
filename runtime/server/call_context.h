// What a ServerContext knows. The one class that derives from it, and what its functions work on.
#ifndef ANYWIRE_RUNTIME_SERVER_CALL_CONTEXT_H_
#define ANYWIRE_RUNTIME_SERVER_CALL_CONTEXT_H_

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "anywire/call_scope.h"
#include "anywire/cancellation.h"
#include "anywire/metadata.h"
#include "anywire/method.h"
#include "anywire/server_context.h"
#include "anywire/transport.h"

namespace anywire::internal {

class CallContext : public ServerContext {
 public:
  virtual ~CallContext() = default;

  // Sends the initial metadata now. The call notes itself that it has been sent.
  virtual absl::Status SendInitialMetadataNow() = 0;

 protected:
  friend class ::anywire::ServerContext;

  CallContext() { scope_.cancellation = &cancellation_.token(); }

  // As new, for another call.
  void Reset() {
    method_ = nullptr;
    peer_ = nullptr;
    client_metadata_ = nullptr;
    initial_metadata_.Clear();
    trailing_metadata_.Clear();
    initial_metadata_sent_ = false;
    over_.store(false, std::memory_order_relaxed);
    cancellation_.Renew();
  }

  const Method* method_ = nullptr;
  const ConnectionInfo* peer_ = nullptr;
  std::unique_ptr<Metadata> client_metadata_;  // null: none
  Metadata initial_metadata_;
  Metadata trailing_metadata_;
  bool initial_metadata_sent_ = false;
  // The call has ended. Written under the call's lock, before any Read fails for it; the token,
  // whose callbacks are code of the user, follows without the lock.
  std::atomic<bool> over_{false};
  CancellationSource cancellation_;
  CallScope scope_;
};

}  // namespace anywire::internal

#endif  // ANYWIRE_RUNTIME_SERVER_CALL_CONTEXT_H_
