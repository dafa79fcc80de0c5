// The asynchronous forms of client calls: `co_await` them, or give a callback.
//
//   absl::StatusOr<HelloReply> reply = co_await stub.Async().SayHello(request);
//   stub.Async().SayHello(request, [](absl::StatusOr<HelloReply> reply) { ... });
//
// A coroutine resumes, and a callback runs, on a thread of the runtime, one at a time for a
// connection: neither may block. A callback never runs inside the function that it was given to,
// nor inside the Cancel that brings it about. An exception that leaves a callback ends the process.
//
// Streams are movable handles with gRPC's rules: one read and one write may be outstanding at the
// same time, and a handle may move meanwhile; destroying a stream whose call has not ended cancels
// the call, and no step may be outstanding then. An awaitable step starts when it is awaited, so a
// coroutine has one outstanding at a time: a read and a write at once are two coroutines (Spawn),
// or callbacks.
#ifndef ANYWIRE_RUNTIME_CLIENT_ASYNC_STREAMS_H_
#define ANYWIRE_RUNTIME_CLIENT_ASYNC_STREAMS_H_

#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "anywire/awaitable.h"
#include "anywire/channel.h"
#include "anywire/client_stream.h"
#include "anywire/task.h"
#include "runtime/task/frame_allocator.h"

namespace anywire {

// A unary call that starts when it is awaited, once:  co_await stub.Async().SayHello(request)
//
// It may also be kept and moved, and awaited later: co_await std::move(call). It holds its options,
// and the request if it was given as a temporary; the channel, and a request that was given as a
// variable, must live until it is awaited.
template <typename Request, typename Reply>
class [[nodiscard]] UnaryCall final {
 public:
  UnaryCall(const Channel& channel, const Method& method, const Request& request,
            CallOptions options)
      : channel_(&channel), method_(&method), request_(&request), options_(std::move(options)) {}
  UnaryCall(const Channel& channel, const Method& method, Request&& request, CallOptions options)
      : channel_(&channel),
        method_(&method),
        kept_request_(std::move(request)),
        options_(std::move(options)) {}
  UnaryCall(UnaryCall&&) = default;
  UnaryCall& operator=(UnaryCall&&) = default;

  class Awaiter final : private internal::AwaitedOperation {
   public:
    explicit Awaiter(const UnaryCall& call) : call_(call) {}
    bool await_ready() const { return false; }
    bool await_suspend(std::coroutine_handle<> handle) {
      return Suspend(handle, [this] {
        call_.channel_->StartCall(*call_.method_, call_.request(), &reply_, &status_,
                                  call_.options_, *this);
      });
    }
    absl::StatusOr<Reply> await_resume() {
      if (!status_.ok()) return std::move(status_);
      return std::move(reply_);
    }

   private:
    const UnaryCall& call_;
    Reply reply_;
    absl::Status status_;
  };
  Awaiter operator co_await() && { return Awaiter(*this); }

 private:
  const Request& request() const { return kept_request_ ? *kept_request_ : *request_; }

  const Channel* channel_;
  const Method* method_;
  const Request* request_ = nullptr;  // null: kept_request_
  std::optional<Request> kept_request_;
  CallOptions options_;
};

// Gets the reply to a unary call.
template <typename Reply>
using UnaryCallback = absl::AnyInvocable<void(absl::StatusOr<Reply>)>;

namespace internal {

// A unary call with a callback; owns itself.
template <typename Reply>
class CallbackCall final : private Operation, public FrameAllocated {
 public:
  using Callback = UnaryCallback<Reply>;
  static void Start(const Channel& channel, const Method& method,
                    const google::protobuf::MessageLite& request, Callback callback,
                    const CallOptions& options) {
    auto* call = new CallbackCall(std::move(callback));
    channel.StartCall(method, request, &call->reply_, &call->status_, options, *call);
  }

 private:
  explicit CallbackCall(Callback callback) : callback_(std::move(callback)) {}
  void Done(bool ok) noexcept override {
    const std::unique_ptr<CallbackCall> self(this);
    if (ok) {
      callback_(std::move(reply_));
    } else {
      callback_(std::move(status_));
    }
  }
  Callback callback_;
  Reply reply_;
  absl::Status status_;
};

}  // namespace internal

// What the asynchronous streams share. Every step has two forms: without a callback it is
// awaitable. A step holds the call and not its handle, which may move meanwhile.
class AsyncClientStream {
 protected:
  static auto ReadOf(ClientStream* stream, google::protobuf::MessageLite* message) {
    return internal::AwaitStep([stream, message](Operation& done) { stream->Read(message, done); },
                               [](bool ok) { return ok; });
  }
  static auto FinishOf(ClientStream* stream) {
    return internal::AwaitStep([stream](Operation& done) { stream->Finish(done); },
                               [stream](bool) { return stream->status(); });
  }

 public:
  AsyncClientStream(const Channel& channel, std::unique_ptr<ClientStream> stream)
      : channel_(channel), stream_(std::move(stream)) {}

  // The call's status, the same each time; waits for the end. Messages not read by now are dropped.
  auto Finish() { return FinishOf(stream_.get()); }
  void Finish(absl::AnyInvocable<void(absl::Status)> callback) {
    internal::RunStep(
        channel_, [this](Operation& done) { stream_->Finish(done); },
        [stream = stream_.get(), callback = std::move(callback)](bool) mutable {
          callback(stream->status());
        });
  }
  // The server's initial metadata, when a Read or Finish has completed; its trailing metadata, when
  // Finish has.
  const Metadata& initial_metadata() const { return stream_->initial_metadata(); }
  const Metadata& trailing_metadata() const { return stream_->trailing_metadata(); }
  void Cancel() { stream_->Cancel(); }

 protected:
  // Yields whether a message was read.
  auto ReadStep(google::protobuf::MessageLite* message) { return ReadOf(stream_.get(), message); }
  void ReadStep(google::protobuf::MessageLite* message, absl::AnyInvocable<void(bool)> callback) {
    internal::RunStep(
        channel_, [this, message](Operation& done) { stream_->Read(message, done); },
        std::move(callback));
  }
  // Yields whether the call takes more messages. The message is serialised when the step starts.
  auto WriteStep(const google::protobuf::MessageLite& message) {
    return internal::AwaitStep(
        [stream = stream_.get(), &message](Operation& done) { stream->Write(message, done); },
        [](bool ok) { return ok; });
  }
  void WriteStep(const google::protobuf::MessageLite& message,
                 absl::AnyInvocable<void(bool)> callback) {
    internal::RunStep(
        channel_, [this, &message](Operation& done) { stream_->Write(message, done); },
        std::move(callback));
  }

  Channel channel_;
  std::unique_ptr<ClientStream> stream_;
};

template <typename Reply>
class AsyncClientReader final : public AsyncClientStream {
 public:
  using AsyncClientStream::AsyncClientStream;
  [[nodiscard]] auto Read(Reply* reply) { return ReadStep(reply); }
  void Read(Reply* reply, absl::AnyInvocable<void(bool)> callback) {
    ReadStep(reply, std::move(callback));
  }
};

template <typename Request, typename Reply>
class AsyncClientReaderWriter final : public AsyncClientStream {
 public:
  using AsyncClientStream::AsyncClientStream;
  [[nodiscard]] auto Read(Reply* reply) { return ReadStep(reply); }
  void Read(Reply* reply, absl::AnyInvocable<void(bool)> callback) {
    ReadStep(reply, std::move(callback));
  }
  [[nodiscard]] auto Write(const Request& request) { return WriteStep(request); }
  void Write(const Request& request, absl::AnyInvocable<void(bool)> callback) {
    WriteStep(request, std::move(callback));
  }
  void WritesDone() { stream_->WritesDone(); }
};

// Finish yields the reply.
template <typename Request, typename Reply>
class AsyncClientWriter final : private AsyncClientStream {
 public:
  using AsyncClientStream::AsyncClientStream;
  using AsyncClientStream::Cancel;
  using AsyncClientStream::initial_metadata;
  using AsyncClientStream::trailing_metadata;

  [[nodiscard]] auto Write(const Request& request) { return WriteStep(request); }
  void Write(const Request& request, absl::AnyInvocable<void(bool)> callback) {
    WriteStep(request, std::move(callback));
  }
  // Called once, at last: a reply is handed out once.
  Task<absl::StatusOr<Reply>> Finish() { return ReplyOf(stream_.get()); }
  void Finish(absl::AnyInvocable<void(absl::StatusOr<Reply>)> callback) {
    auto task = std::make_unique<Task<absl::StatusOr<Reply>>>(Finish());
    auto* const step = task.get();
    internal::RunStep(
        channel_, [step](Operation& done) { step->Start(done); },
        [task = std::move(task), callback = std::move(callback)](bool) mutable {
          callback(task->Take());
        });
  }

 private:
  static Task<absl::StatusOr<Reply>> ReplyOf(ClientStream* stream) {
    stream->WritesDone();
    Reply reply;
    const bool replied = co_await ReadOf(stream, &reply);
    absl::Status status = co_await FinishOf(stream);
    if (!status.ok()) co_return status;
    if (!replied) co_return absl::InternalError("the server ended the call as OK without a reply");
    co_return std::move(reply);
  }
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_CLIENT_ASYNC_STREAMS_H_
