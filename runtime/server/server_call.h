// One call on the server, from the event that opens it to its Release.
//
//   receiving   the one request is awaited (calls whose requests are a stream skip this)
//   running     the handler runs: inline and wherever its coroutine resumes, or on a worker thread
//   idle        in its connection's pool, for the next call
//
// Events come on the connection's dispatcher, the stream's functions and the handler's end on any
// thread. The memory of a call lives as long as its connection: an event that was on its way when
// another thread released the call finds it idle, or with another CallId, and is dropped.
//
// Locks: the endpoint's comes before mutex_; no code of the user runs under either.
#ifndef ANYWIRE_RUNTIME_SERVER_SERVER_CALL_H_
#define ANYWIRE_RUNTIME_SERVER_SERVER_CALL_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "anywire/mutex.h"
#include "anywire/operation.h"
#include "anywire/server_streams.h"
#include "anywire/task.h"
#include "google/protobuf/message_lite.h"
#include "runtime/endpoint/endpoint.h"
#include "runtime/protocol/protocol.h"
#include "runtime/server/call_context.h"
#include "runtime/server/call_watchers.h"
#include "runtime/server/method_handler.h"
#include "runtime/server/worker_pool.h"

namespace anywire {

class ServerConnection;

class ServerCall final : public CallSink,
                         public internal::CallContext,
                         public ServerStream,
                         private Operation,
                         private WorkItem {
 public:
  explicit ServerCall(ServerConnection& connection) : connection_(connection) {}
  ~ServerCall() override = default;

  // Under the endpoint's lock: from idle to a new call and back.
  void Assign(protocol::CallId id, internal::MethodHandler& handler) ABSL_LOCKS_EXCLUDED(mutex_);
  void Unassign() ABSL_LOCKS_EXCLUDED(mutex_);
  // Under the endpoint's lock: ends the call for its client with `status` and tells the handler, by
  // an event of the kind that the machine sends when a call is over early. Nothing happens to an
  // idle call. Returns whether it was a call.
  bool EndEarly(protocol::Protocol& protocol, protocol::Protocol::Events& events,
                const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  void OnEvent(protocol::Event& event) override;

  void Read(google::protobuf::MessageLite* message, Operation& done) override;
  void Write(const google::protobuf::MessageLite& message, Operation& done) override;
  bool Await(absl::FunctionRef<void(Operation&)> start) override;

  absl::Status SendInitialMetadataNow() override;

 private:
  using MessageLite = google::protobuf::MessageLite;

  // A message that no Read has asked for yet.
  struct Unread {
    protocol::ReceivedMessage message;
    bool last = false;  // came with the end of its direction: takes no Consumed
  };
  struct PendingRead {
    MessageLite* message = nullptr;
    Operation* done = nullptr;
  };

  // Receiving; on the dispatcher. Begin, StartWatchers and ReceiveRequest return false when the
  // call is over.
  bool Begin(protocol::Event& event);
  ABSL_ATTRIBUTE_NOINLINE bool StartWatchers();
  ABSL_ATTRIBUTE_NOINLINE void SayConsumed(size_t size);
  bool ReceiveRequest(protocol::Event& event);
  void StartHandler();

  // The handler.
  void RunCoroutine();
  void Work() override;         // of a worker thread
  void Done(bool ok) override;  // of the coroutine
  void EndHandler(absl::Status status);
  // Sends the reply, or the status, and gives the call back: it may be in use for another call on
  // return.
  void End(absl::Status status);
  // For a call that no handler has seen.
  ABSL_ATTRIBUTE_COLD void Reject(absl::Status status);
  absl::Status PrepareReply(protocol::Payload& payload);

  // Streaming. `id` tells whether the event is still for this call.
  void OnMessage(protocol::CallId id, protocol::ReceivedMessage& message, bool last)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void OnHalfClose(protocol::CallId id) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnWritable(protocol::CallId id) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnOver(protocol::CallId id) ABSL_LOCKS_EXCLUDED(mutex_);
  // Parses for a Read and says so to the machine. A message that cannot be parsed ends the call.
  bool Deliver(protocol::CallId id, const protocol::ReceivedMessage& message, bool last,
               MessageLite& to);
  // Steps under way: a message is being parsed for a Read or serialised by a Write, the lock not
  // held.
  void BeginStep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { ++steps_; }
  void EndStep(Operation& done, bool ok) ABSL_LOCKS_EXCLUDED(mutex_);
  // The handler has returned `status`: what it has left outstanding ends, and nothing more begins.
  // True when a step is still under way, against the rules, on another thread: that one then ends
  // the call.
  bool LeaveToSteps(absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  // Unless the call has been another one since.
  void EndEarly(protocol::CallId id, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  // Under the endpoint's lock: the initial metadata, before the first thing that is sent.
  absl::Status SendAddedMetadata(protocol::Protocol& protocol);
  static absl::Status BadInitialMetadata(const absl::Status& why);
  std::optional<Unread> NextUnread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropUnread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ABSL_ATTRIBUTE_NOINLINE void ForgetStream() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Is(protocol::CallId id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return assigned_ && call_ == id;
  }

  ServerConnection& connection_;

  // Of the call; its own threads read these without the lock.
  protocol::CallId call_;
  internal::MethodHandler* handler_ = nullptr;
  Endpoint* endpoint_ = nullptr;
  std::unique_ptr<internal::Invocation> invocation_;
  std::unique_ptr<CallWatchers> watchers_;  // null: no interceptors
  std::optional<Task<absl::Status>> task_;
  size_t message_bytes_ = 0;  // of the single request and reply, on the wire
  bool has_request_ = false;
  bool running_ = false;  // no longer receiving

  Mutex mutex_;
  bool assigned_ ABSL_GUARDED_BY(mutex_) = false;     // not idle (over_: see CallContext)
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;  // no message follows those in unread_
  std::vector<Unread> unread_ ABSL_GUARDED_BY(mutex_);
  size_t next_unread_ ABSL_GUARDED_BY(mutex_) = 0;
  PendingRead pending_read_ ABSL_GUARDED_BY(mutex_);
  Operation* pending_write_ ABSL_GUARDED_BY(mutex_) = nullptr;
  int steps_ ABSL_GUARDED_BY(mutex_) = 0;  // under way
  // What the handler returned, for the last of the steps.
  std::optional<absl::Status> returned_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_SERVER_CALL_H_
