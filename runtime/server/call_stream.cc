// The streaming side of ServerCall: messages in both directions while the handler runs.
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/server/message_codec.h"
#include "runtime/server/server_call.h"
#include "runtime/server/server_connection.h"

namespace anywire {

using google::protobuf::MessageLite;
using protocol::Payload;
using protocol::Protocol;
using protocol::ReceivedMessage;
using protocol::SendResult;

void ServerCall::OnMessage(protocol::CallId id, ReceivedMessage& message, bool last) {
  PendingRead read;
  {
    const MutexLock lock(&mutex_);
    if (!Is(id) || over_) return;
    if (pending_read_.done != nullptr) {
      std::swap(read, pending_read_);
      BeginStep();
    } else if (connection_.owner().ReserveBuffer(message.bytes.size())) {
      message.Own();
      unread_.push_back({std::move(message), last});
      return;
    }
  }
  if (read.done != nullptr) {
    EndStep(*read.done, Deliver(id, message, last, *read.message));
  } else {
    EndEarly(id, absl::ResourceExhaustedError("the server's buffers for unread messages are full"));
  }
}

void ServerCall::OnHalfClose(protocol::CallId id) {
  PendingRead read;
  {
    const MutexLock lock(&mutex_);
    if (!Is(id)) return;
    half_closed_ = true;
    std::swap(read, pending_read_);
  }
  if (read.done != nullptr) read.done->Done(false);
}

void ServerCall::OnWritable(protocol::CallId id) {
  Operation* written;
  {
    const MutexLock lock(&mutex_);
    if (!Is(id)) return;
    written = std::exchange(pending_write_, nullptr);
  }
  if (written != nullptr) written->Done(true);
}

void ServerCall::OnOver(protocol::CallId id) {
  PendingRead read;
  Operation* written;
  std::optional<CancellationSource> cancellation;
  {
    const MutexLock lock(&mutex_);
    if (!Is(id)) return;
    over_ = true;
    DropUnread();
    std::swap(read, pending_read_);
    written = std::exchange(pending_write_, nullptr);
    // A copy: the handler may end, and the source be another call's, before it has cancelled.
    cancellation = cancellation_;
  }
  cancellation->Cancel();
  if (read.done != nullptr) read.done->Done(false);
  if (written != nullptr) written->Done(false);
}

void ServerCall::EndStep(Operation& done, bool ok) {
  std::optional<absl::Status> returned;
  {
    const MutexLock lock(&mutex_);
    if (--steps_ == 0) returned.swap(returned_);
  }
  // The handler may go on inside, and the call end, unless it has returned before.
  done.Done(ok);
  if (returned.has_value()) End(*std::move(returned));
}

bool ServerCall::LeaveToSteps(absl::Status& status) {
  PendingRead read;
  Operation* written;
  {
    const MutexLock lock(&mutex_);
    over_ = true;
    std::swap(read, pending_read_);
    written = std::exchange(pending_write_, nullptr);
  }
  if (read.done != nullptr) read.done->Done(false);
  if (written != nullptr) written->Done(false);
  const MutexLock lock(&mutex_);
  if (steps_ == 0) return false;
  returned_ = std::move(status);
  return true;
}

void ServerCall::DropUnread() {
  for (; next_unread_ < unread_.size(); ++next_unread_) {
    connection_.owner().ReleaseBuffer(unread_[next_unread_].message.bytes.size());
  }
  unread_.clear();
  next_unread_ = 0;
}

std::optional<ServerCall::Unread> ServerCall::NextUnread() {
  if (next_unread_ == unread_.size()) return std::nullopt;
  Unread next = std::move(unread_[next_unread_++]);
  // Half of the queue at a time, so that it does not grow while it never runs empty.
  if (next_unread_ * 2 >= unread_.size()) {
    unread_.erase(unread_.begin(), unread_.begin() + static_cast<ptrdiff_t>(next_unread_));
    next_unread_ = 0;
  }
  connection_.owner().ReleaseBuffer(next.message.bytes.size());
  return next;
}

void ServerCall::Read(MessageLite* message, Operation& done) {
  std::optional<Unread> next;
  {
    const MutexLock lock(&mutex_);
    next = NextUnread();
    if (!next.has_value() && !over_ && !half_closed_) {
      pending_read_ = {message, &done};
      return;
    }
    if (next.has_value()) BeginStep();
  }
  if (!next.has_value()) return done.Done(false);
  EndStep(done, Deliver(call_, next->message, next->last, *message));
}

bool ServerCall::Deliver(protocol::CallId id, const ReceivedMessage& message, bool last,
                         MessageLite& to) {
  if (absl::Status status = ParseRequest(message.bytes, to); !status.ok()) {
    EndEarly(id, status);
    return false;
  }
  if (watchers_ != nullptr) watchers_->OnReceiveMessage(to);
  if (!last) {
    endpoint_->Run([id, size = message.bytes.size()](Protocol& protocol, Protocol::Events&) {
      protocol.Consumed(id, size);
    });
  }
  return true;
}

void ServerCall::Write(const MessageLite& message, Operation& done) {
  {
    const MutexLock lock(&mutex_);
    BeginStep();
  }
  Payload payload;
  if (absl::Status status = MakePayload(message, payload); !status.ok()) {
    EndEarly(call_, status);
    return EndStep(done, false);
  }
  if (watchers_ != nullptr) watchers_->OnSendMessage(message);
  endpoint_->WriteAhead(payload);
  absl::Status added;
  const SendResult result =
      endpoint_->Run([this, &added, &payload, &done](Protocol& protocol, Protocol::Events&) {
        if (over_) return SendResult::kOver;
        added = SendAddedMetadata(protocol);
        if (!added.ok()) return SendResult::kOver;
        const SendResult result = protocol.Send(call_, payload);
        if (result == SendResult::kQueued) {
          const MutexLock lock(&mutex_);
          if (over_) return SendResult::kOver;  // the handler has returned meanwhile
          pending_write_ = &done;
          --steps_;
        }
        return result;
      });
  switch (result) {
    case SendResult::kSent:
      return EndStep(done, true);
    case SendResult::kQueued:
      return;
    case SendResult::kTooLarge:
      EndEarly(call_,
               absl::ResourceExhaustedError(absl::StrCat(
                   "a reply of ", payload.size,
                   " bytes is larger than the server may send (limits.max_send_message_size)")));
      return EndStep(done, false);
    case SendResult::kQueueFull:
      EndEarly(call_, absl::ResourceExhaustedError(
                          absl::StrCat("a reply of ", payload.size,
                                       " bytes would wait to be sent beside too many others "
                                       "(limits.max_queued_bytes)")));
      return EndStep(done, false);
    case SendResult::kOver:
      if (!added.ok()) EndEarly(call_, BadInitialMetadata(added));
      return EndStep(done, false);
  }
}

bool ServerCall::Await(absl::FunctionRef<void(Operation&)> start) {
  BlockingOperation operation;
  start(operation);
  operation.Wait();
  return operation.ok();
}

}  // namespace anywire
