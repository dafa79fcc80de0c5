// Interceptors: code that sees every call go by, for logging, authentication, metrics and the like.
//
// An interceptor is asked for each call and answers with an object that watches that one call, or
// null for no interest. The watcher's functions are called in the order in which things happen, one
// at a time, on whatever thread it happens; they should be quick and must not make blocking calls.
// With several interceptors, what leaves passes them in the order of registration and what arrives
// in the reverse order. Messages may be inspected (they are google::protobuf::Message unless built
// for the lite runtime), not changed.
#ifndef ANYWIRE_RUNTIME_INTERCEPTOR_INTERCEPTOR_H_
#define ANYWIRE_RUNTIME_INTERCEPTOR_INTERCEPTOR_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "anywire/metadata.h"
#include "anywire/method.h"
#include "google/protobuf/message_lite.h"

namespace anywire {

class ServerContext;

// Watches one call on the client. Every function has a default that does nothing. They may cancel
// the call (CallOptions::cancellation), but not use its stream otherwise. An exception that leaves
// one ends the process.
class ClientCallWatcher {
 public:
  virtual ~ClientCallWatcher() = default;
  // Before anything is sent. May add to the metadata. An error ends the call with it, not sent.
  virtual absl::Status OnStart(Metadata&) { return absl::OkStatus(); }
  virtual void OnSendMessage(const google::protobuf::MessageLite&) {}
  virtual void OnInitialMetadata(const Metadata&) {}
  virtual void OnReceiveMessage(const google::protobuf::MessageLite&) {}
  // The last call; it comes if OnStart was called, which it is not once another watcher's OnStart
  // has ended the call. `elapsed` is since the call's start. May replace the status that the caller
  // gets.
  virtual void OnFinish(absl::Status&, const Metadata& /*trailing*/, absl::Duration /*elapsed*/) {}
};

// Kept by the channels made with it and by the calls that it watches, which a dropped stream's call
// does longer than its channel: watchers may refer to it.
class ClientInterceptor {
 public:
  virtual ~ClientInterceptor() = default;
  // `target` is the channel's. Called by any threads at the same time.
  virtual std::unique_ptr<ClientCallWatcher> Intercept(const Method& method,
                                                       absl::string_view target) = 0;
};

// Watches one call on the server.
class ServerCallWatcher {
 public:
  virtual ~ServerCallWatcher() = default;
  // Before the handler; the context has the client's metadata, peer and deadline. An error ends the
  // call with it, not processed, and the handler does not run.
  virtual absl::Status OnStart(ServerContext&) { return absl::OkStatus(); }
  virtual void OnReceiveMessage(const google::protobuf::MessageLite&) {}
  virtual void OnSendMessage(const google::protobuf::MessageLite&) {}
  // The last call; it comes if OnStart was called, which it is not once another watcher's OnStart
  // has ended the call. May replace the status that is sent. When the client is gone already it is
  // what would have been sent.
  virtual void OnFinish(absl::Status&, const Metadata& /*trailing*/, absl::Duration /*elapsed*/) {}
};

class ServerInterceptor {
 public:
  virtual ~ServerInterceptor() = default;
  virtual std::unique_ptr<ServerCallWatcher> Intercept(const Method& method) = 0;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_INTERCEPTOR_INTERCEPTOR_H_
