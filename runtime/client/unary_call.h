// A unary call in progress on the client.
#ifndef ANYWIRE_RUNTIME_CLIENT_UNARY_CALL_H_
#define ANYWIRE_RUNTIME_CLIENT_UNARY_CALL_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/attributes.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "anywire/call_options.h"
#include "anywire/method.h"
#include "anywire/operation.h"
#include "runtime/client/call_setup.h"
#include "runtime/client/connector.h"
#include "runtime/endpoint/endpoint.h"

namespace anywire {

// The part between Open and Finished, the same for blocking and asynchronous calls.
class UnaryCallBase : public CallSink {
 protected:
  // `connector`, `method` and `reply` outlive the call.
  UnaryCallBase(Connector& connector, const ClientInterceptors& interceptors, const Method& method,
                google::protobuf::MessageLite* reply, const CallOptions& options)
      : connector_(connector),
        method_(method),
        reply_(reply),
        received_(options.received),
        watchers_(interceptors, method, connector.target()) {}
  ~UnaryCallBase() = default;

  // Opens the call on `endpoint`, with the message that `payload` writes. An error means that it
  // was not opened.
  absl::Status Open(Endpoint& endpoint, const protocol::Payload& payload, const Metadata& metadata,
                    Instant deadline, Instant now);
  // The same, and waits for the end of `operation`.
  absl::Status OpenAndAwait(Endpoint& endpoint, const protocol::Payload& payload,
                            const Metadata& metadata, Instant deadline, Instant now,
                            BlockingOperation& operation, bool cancellable);
  // Ends the call as cancelled, or lets it not be opened. Any thread; does nothing once it has
  // ended.
  void Cancel(Endpoint& endpoint);
  // The last step of every call, open or not.
  absl::Status Conclude(absl::Status status, const Metadata& trailing);
  // The call has ended with status_; the object may be destroyed inside.
  virtual void OnEnd() = 0;

  Connector& connector_;
  const Method& method_;
  google::protobuf::MessageLite* const reply_;
  ReceivedMetadata* const received_;
  ClientWatchers watchers_;
  Endpoint* open_on_ = nullptr;
  protocol::CallId id_;
  absl::Status status_;

 private:
  auto OpenCommand(Endpoint& endpoint, const protocol::Payload& payload, const Metadata& metadata,
                   Instant deadline, Instant now);
  void OnEvent(protocol::Event& event) final;
  ABSL_ATTRIBUTE_NOINLINE void OnInitialMetadata(Metadata& metadata);
  void OnReply(absl::Span<const uint8_t> bytes);
  // The server goes on after its reply of that size: with its status, or against the rules.
  ABSL_ATTRIBUTE_NOINLINE void GoOnAfterReply(size_t size);
  bool replied_ = false;
  bool opened_ = false;           // under the endpoint's lock
  bool cancelled_early_ = false;  // the same
};

// Makes a blocking call on this thread; what Channel::Call returns.
absl::Status CallAndWait(Connector& connector, const ClientInterceptors& interceptors,
                         const Method& method, const google::protobuf::MessageLite& request,
                         google::protobuf::MessageLite* reply, const CallOptions& options);

// What Channel::StartCall does.
void StartCall(const std::shared_ptr<Connector>& connector, const ClientInterceptors& interceptors,
               const Method& method, const google::protobuf::MessageLite& request,
               google::protobuf::MessageLite* reply, absl::Status* status,
               const CallOptions& options, Operation& done);

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_CLIENT_UNARY_CALL_H_
