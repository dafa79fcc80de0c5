// A streaming call in progress on the client.
#ifndef ANYWIRE_RUNTIME_CLIENT_STREAM_CALL_H_
#define ANYWIRE_RUNTIME_CLIENT_STREAM_CALL_H_

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "anywire/call_options.h"
#include "anywire/client_stream.h"
#include "anywire/method.h"
#include "runtime/client/call_setup.h"
#include "runtime/client/connector.h"
#include "runtime/endpoint/endpoint.h"

namespace anywire {

// Shared by the handle that the user has (see StartStream) and the machine, which holds it until
// the call has ended. What the user does before there is a connection waits here. No lock of its
// own is held around anything outside.
class StreamCall final : private CallSink,
                         private ConnectWaiter,
                         public std::enable_shared_from_this<StreamCall> {
 public:
  StreamCall(std::shared_ptr<Connector> connector, const ClientInterceptors& interceptors,
             const Method& method, const CallOptions& options);

  // `request`: the only message that is sent, or null. Once, before all else.
  void Start(const google::protobuf::MessageLite* request, const CallOptions& options);
  // As ClientStream has them.
  void Read(google::protobuf::MessageLite* message, Operation& done) ABSL_LOCKS_EXCLUDED(mutex_);
  void Write(const google::protobuf::MessageLite& message, Operation& done)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void WritesDone() ABSL_LOCKS_EXCLUDED(mutex_);
  void Finish(Operation& done) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status status() ABSL_LOCKS_EXCLUDED(mutex_);
  const Metadata& initial_metadata() ABSL_LOCKS_EXCLUDED(mutex_);
  const Metadata& trailing_metadata() ABSL_LOCKS_EXCLUDED(mutex_);
  bool Await(absl::FunctionRef<void(Operation&)> start) ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends the call with `status` if it has not ended. Any thread. Completes nothing inside.
  void CancelWith(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same for a caller who will not hear of the end: nothing is written to
  // CallOptions::received from here on.
  void Abandon(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  enum class Phase : uint8_t {
    kConnecting,  // until there is a connection on which the call is opened
    kOpen,
    kEnded,
  };
  // An operation that waits, and whether the endpoint counts it (Endpoint::BeginAsync).
  struct Pending {
    Operation* operation = nullptr;
    bool counted = false;
  };

  void OnEvent(protocol::Event& event) override;
  void OnConnected(absl::StatusOr<std::shared_ptr<Endpoint>> endpoint) override;
  void WaitForConnection() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Open(const std::shared_ptr<Endpoint>& endpoint) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnMessage(protocol::ReceivedMessage& message, bool consume) ABSL_LOCKS_EXCLUDED(mutex_);
  // The server breaks the rules: the call ends with `status`, whatever the server says, and nothing
  // more is read.
  void Fail(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_);
  void End(absl::Status status, Metadata trailing) ABSL_LOCKS_EXCLUDED(mutex_);
  // Parses into `into`, gives the bytes back to the flow control and completes the read.
  void Deliver(absl::Span<const uint8_t> bytes, bool consume, google::protobuf::MessageLite* into,
               Operation& done);
  // `blocking`: for a thread that is in Await.
  void Send(const protocol::Payload& payload, bool half_close, bool blocking)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Put(Pending& pending, Operation& operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Operation* Take(Pending& pending) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `operation` may be null.
  void Complete(Operation* operation, bool ok) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::shared_ptr<Connector> connector_;
  const Method& method_;
  const Instant deadline_;
  ClientWatchers watchers_;
  Metadata metadata_;
  int attempts_ = 0;      // to open the call on a connection that had just ended
  bool replied_ = false;  // one message has come; the dispatcher's alone

  absl::Mutex mutex_;
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kConnecting;
  std::shared_ptr<StreamCall> self_ ABSL_GUARDED_BY(mutex_);  // until the end
  // From the attempt to open on; constant once open. The id is written under the endpoint's lock.
  std::shared_ptr<Endpoint> endpoint_ ABSL_GUARDED_BY(mutex_);
  protocol::CallId id_;
  absl::Status cancel_status_ ABSL_GUARDED_BY(mutex_);  // not OK: cancelled while connecting
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool discarding_ ABSL_GUARDED_BY(mutex_) = false;  // since Finish or Fail: nobody reads any more
  // Serialised while connecting: the request, or one write.
  std::optional<std::string> unsent_ ABSL_GUARDED_BY(mutex_);
  // Received and not read; bounded by the call's window. The flag: its bytes are to be given back.
  std::deque<std::pair<protocol::ReceivedMessage, bool>> unread_ ABSL_GUARDED_BY(mutex_);
  Pending read_ ABSL_GUARDED_BY(mutex_);
  google::protobuf::MessageLite* read_into_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Pending write_ ABSL_GUARDED_BY(mutex_);
  Pending finish_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);  // before the end: what the server did wrong
  // Both are constant once users see them: set, and the call has ended.
  std::unique_ptr<const Metadata> initial_metadata_ ABSL_GUARDED_BY(mutex_);
  Metadata trailing_metadata_ ABSL_GUARDED_BY(mutex_);
  ReceivedMetadata* received_ ABSL_GUARDED_BY(mutex_);
  CallCancellation cancellation_;  // last: its destructor waits for a cancellation in progress
};

// What Channel::StartStream does.
std::unique_ptr<ClientStream> StartStream(const std::shared_ptr<Connector>& connector,
                                          const ClientInterceptors& interceptors,
                                          const Method& method,
                                          const google::protobuf::MessageLite* request,
                                          const CallOptions& options);
// A stream of a call that has failed before it began.
std::unique_ptr<ClientStream> FailedStream(absl::Status status);

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_CLIENT_STREAM_CALL_H_
