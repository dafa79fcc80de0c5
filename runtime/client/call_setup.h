// What every client call works out before it starts: deadline, cancellation, metadata,
// interceptors.
#ifndef ANYWIRE_RUNTIME_CLIENT_CALL_SETUP_H_
#define ANYWIRE_RUNTIME_CLIENT_CALL_SETUP_H_

#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "anywire/call_options.h"
#include "anywire/interceptor.h"
#include "anywire/method.h"
#include "google/protobuf/message_lite.h"
#include "runtime/protocol/protocol.h"

namespace anywire {

using ClientInterceptors = std::vector<std::shared_ptr<ClientInterceptor>>;

// How often a call looks for another connection when the one it was given turns out to have ended
// before the call was opened on it.
inline constexpr int kMaxOpenAttempts = 4;

// The watchers of one call, outermost first. Costs one null pointer for a call without
// interceptors. Any thread may call any function: the watchers hear one thing at a time, and
// nothing after the end. A lock is held around them: what they may do to their call is to cancel
// it.
class ClientWatchers {
 public:
  ClientWatchers(const ClientInterceptors& interceptors, const Method& method,
                 absl::string_view target) {
    if (!interceptors.empty()) Intercept(interceptors, method, target);
  }

  bool empty() const { return watched_ == nullptr; }
  // `metadata` is changed in place. An error is the call's status; carries Delivery::kNotSent. The
  // watchers after the one that said it then hear nothing, not even of the end.
  absl::Status OnStart(Metadata& metadata) noexcept;
  void OnSendMessage(const google::protobuf::MessageLite& message) noexcept;
  void OnInitialMetadata(const Metadata& metadata) noexcept;
  void OnReceiveMessage(const google::protobuf::MessageLite& message) noexcept;
  void OnFinish(absl::Status& status, const Metadata& trailing) noexcept {
    if (!empty()) TellFinish(status, trailing);
  }

 private:
  void Intercept(const ClientInterceptors& interceptors, const Method& method,
                 absl::string_view target);
  void TellFinish(absl::Status& status, const Metadata& trailing) noexcept;

  struct Watched {
    ClientInterceptors interceptors;  // what the watchers may refer to
    absl::Mutex mutex;
    std::vector<std::unique_ptr<ClientCallWatcher>> watchers ABSL_GUARDED_BY(mutex);
    protocol::Instant started;
  };
  std::unique_ptr<Watched> watched_;
};

// When a call with these options, made here and now (`now` tells when), must be over.
// `call_timeout` is the configuration's, for calls and methods that say nothing.
protocol::Instant CallDeadline(const CallOptions& options, const Method& method,
                               absl::Duration call_timeout, protocol::Instant now);

// The options' own token; else one without a source.
CancellationToken OwnCancellation(const CallOptions& options);

// The cancellation of the handler that this call is made in, if it is to be inherited; else a token
// without a source.
CancellationToken InheritedCancellation(const CallOptions& options);

// Calls `cancel` once when the options' token, or the inherited one, is cancelled. Empty when
// neither can be.
class CallCancellation {
 public:
  CallCancellation() {}  // were it defaulted, GCC 12 would clear the memory of both callbacks
  // `cancel` may run inside, and on any thread until the destructor has returned. `cancel` is
  // copied.
  template <typename Cancel>
  void Listen(const CancellationToken& own, const CancellationToken& inherited,
              const Cancel& cancel) {
    if (own) own_.emplace(own, cancel);
    if (inherited) inherited_.emplace(inherited, cancel);
  }
  void Stop() {
    own_.reset();
    inherited_.reset();
  }

 private:
  std::optional<CancellationCallback> own_;
  std::optional<CancellationCallback> inherited_;
};

// `message` as the protocol machine takes it, which must not change until it is written. Looks
// before anything is serialised: RESOURCE_EXHAUSTED, more than limits.max_send_message_size;
// INVALID_ARGUMENT, required fields (proto2) are missing.
absl::Status MakePayload(const google::protobuf::MessageLite& message,
                         const protocol::Limits& limits, protocol::Payload& payload);

// Parses what the server sent; INTERNAL when it is no such message, or one without its required
// fields.
absl::Status ParseReply(absl::Span<const uint8_t> bytes, google::protobuf::MessageLite* reply);

absl::Status CancelledByCaller();
// For a blocking call on a thread of the runtime's own.
absl::Status BlockingCallRefused();

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_CLIENT_CALL_SETUP_H_
