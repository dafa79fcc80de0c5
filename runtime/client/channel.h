// A channel: where calls go.
#ifndef ANYWIRE_RUNTIME_CLIENT_CHANNEL_H_
#define ANYWIRE_RUNTIME_CLIENT_CHANNEL_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "anywire/call_options.h"
#include "anywire/client_stream.h"
#include "anywire/method.h"
#include "anywire/operation.h"
#include "google/protobuf/message_lite.h"

namespace anywire {

class ClientInterceptor;
class ChannelCore;
class Runtime;

// A thread-safe handle, cheap to copy; copies share one connection, which is made by the first call
// and made anew by the next call after it was lost. The last copy closes it; calls in progress keep
// it.
//
// Blocking calls send and receive on the calling thread. They must not be made on a thread of the
// runtime's own (in a coroutine handler or a callback): such a call would wait for itself, and
// fails at once as FAILED_PRECONDITION with a text that says to use co_await.
class Channel {
 public:
  // `target` is a name in the configuration or a URI ("unix:///run/greeter.sock"). A target that
  // means nothing gives a channel whose calls fail with status().
  explicit Channel(absl::string_view target);
  Channel(Runtime& runtime, absl::string_view target);

  // OK, or what is wrong with the target (NOT_FOUND: no such name; INVALID_ARGUMENT: no such
  // scheme, a bad address).
  const absl::Status& status() const;

  // A channel to the same place whose calls also pass `interceptor` (see interceptor.h), after
  // those added before.
  Channel Intercepted(std::shared_ptr<ClientInterceptor> interceptor) const;

  // Used by generated code; the messages' types are the method's.
  absl::Status Call(const Method& method, const google::protobuf::MessageLite& request,
                    google::protobuf::MessageLite* reply, const CallOptions& options) const;
  // `done` gets ok = (status is OK). `request` is read before the return; `reply` and `*status`
  // belong to the call until done; `options.received` as there. Never completes inside the
  // function.
  void StartCall(const Method& method, const google::protobuf::MessageLite& request,
                 google::protobuf::MessageLite* reply, absl::Status* status,
                 const CallOptions& options, Operation& done) const;
  // `request`: the only message of a server-streaming call, else null.
  std::unique_ptr<ClientStream> StartStream(const Method& method,
                                            const google::protobuf::MessageLite* request,
                                            const CallOptions& options) const;
  // Runs `function` soon on a thread of the runtime.
  void RunLater(absl::AnyInvocable<void()> function) const;

 private:
  std::shared_ptr<ChannelCore> core_;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_CLIENT_CHANNEL_H_
