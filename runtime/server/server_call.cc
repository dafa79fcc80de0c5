#include "runtime/server/server_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "anywire/call_scope.h"
#include "anywire/delivery.h"
#include "runtime/server/handler_status.h"
#include "runtime/server/message_codec.h"
#include "runtime/server/server_connection.h"

namespace anywire {
namespace {

using google::protobuf::MessageLite;
using protocol::Event;
using protocol::Payload;
using protocol::Protocol;

// The queue of unread messages keeps room for this many from call to call.
constexpr size_t kUnreadKept = 16;
// Messages larger than this in all are not cleared under the endpoint's lock.
constexpr size_t kLargeMessages = 16 << 10;

}  // namespace

void ServerCall::Assign(protocol::CallId id, internal::MethodHandler& handler) {
  const MutexLock lock(&mutex_);
  assigned_ = true;
  call_ = id;
  handler_ = &handler;
}

void ServerCall::Unassign() {
  const MutexLock lock(&mutex_);
  assigned_ = false;
  running_ = false;
  has_request_ = false;
  message_bytes_ = 0;
  if (handler_->method().shape() != CallShape::kUnary) ForgetStream();
  CallContext::Reset();
}

void ServerCall::ForgetStream() {
  half_closed_ = false;
  pending_read_ = {};
  pending_write_ = nullptr;
  DropUnread();
  if (unread_.capacity() > kUnreadKept) std::vector<Unread>().swap(unread_);
}

bool ServerCall::EndEarly(Protocol& protocol, Protocol::Events& events,
                          const absl::Status& status) {
  {
    const MutexLock lock(&mutex_);
    if (!assigned_ || over_) return false;
    over_ = true;
  }
  protocol.Finish(call_, status, nullptr, nullptr);
  events.emplace_back(Event::kFinished, call_, static_cast<CallSink*>(this),
                      protocol::ReceivedMessage());
  return true;
}

void ServerCall::EndEarly(protocol::CallId id, const absl::Status& status) {
  endpoint_->Run([this, id, &status](Protocol& protocol, Protocol::Events& events) {
    if (call_ == id) EndEarly(protocol, events, status);
  });
}

void ServerCall::OnEvent(Event& event) {
  const protocol::CallId id = event.call;
  bool receiving = true;
  if (event.bits & Event::kIncoming) {
    if (!Begin(event)) return;
  } else {
    const MutexLock lock(&mutex_);
    if (!Is(id)) return;
    receiving = !running_;
  }
  if (receiving) {
    if (invocation_->request() != nullptr) {
      if (ReceiveRequest(event)) StartHandler();
      return;
    }
    if (event.bits & Event::kFinished) return Reject(absl::CancelledError());
    StartHandler();
  }
  // From here on the call may end at any moment.
  const bool last = (event.bits & (Event::kHalfClose | Event::kFinished)) != 0;
  if (event.bits & Event::kMessage) OnMessage(id, event.message, last);
  if (event.bits & Event::kHalfClose) OnHalfClose(id);
  if (event.bits & Event::kWritable) OnWritable(id);
  if (event.bits & Event::kFinished) OnOver(id);
}

bool ServerCall::Begin(Event& event) {
  endpoint_ = Endpoint::Dispatching();
  method_ = &handler_->method();
  peer_ = &endpoint_->info();
  client_metadata_ = std::move(event.metadata);
  scope_.deadline = event.deadline;
  invocation_ = handler_->Take();
  return connection_.owner().interceptors().empty() || StartWatchers();
}

bool ServerCall::StartWatchers() {
  watchers_ = CallWatchers::For(connection_.owner().interceptors(), *method_);
  if (watchers_ == nullptr) return true;
  absl::Status status = watchers_->OnStart(*this);
  if (status.ok()) return true;
  Reject(std::move(status));
  return false;
}

// Returns whether the request is complete; a call that has none or two is rejected, as is one that
// is over.
bool ServerCall::ReceiveRequest(Event& event) {
  if (event.bits & Event::kMessage) {
    if (has_request_) {
      Reject(absl::UnimplementedError(
          absl::StrCat(method_->full_name(), " takes one request and got another")));
      return false;
    }
    has_request_ = true;
    MessageLite& request = *invocation_->request();
    const size_t size = event.message.bytes.size();
    message_bytes_ = size;
    if (absl::Status parsed = ParseRequest(event.message.bytes, request); !parsed.ok()) {
      Reject(std::move(parsed));
      return false;
    }
    if (watchers_ != nullptr) watchers_->OnReceiveMessage(request);
    if ((event.bits & (Event::kHalfClose | Event::kFinished)) == 0) SayConsumed(size);
  }
  if (event.bits & Event::kFinished) {
    Reject(absl::CancelledError());
    return false;
  }
  if ((event.bits & Event::kHalfClose) == 0) return false;
  if (has_request_) return true;
  Reject(absl::UnimplementedError(
      absl::StrCat(method_->full_name(), " takes one request and got none")));
  return false;
}

void ServerCall::SayConsumed(size_t size) {
  endpoint_->Run(
      [this, size](Protocol& protocol, Protocol::Events&) { protocol.Consumed(call_, size); });
}

void ServerCall::StartHandler() {
  running_ = true;
  if (handler_->form() == internal::MethodHandler::Form::kCoroutine) {
    RunCoroutine();
  } else if (!connection_.owner().workers().TrySubmit(*this)) {
    Reject(
        absl::ResourceExhaustedError("the server's queue of calls for blocking handlers is full"));
  }
}

void ServerCall::RunCoroutine() {
  absl::Status status;
  try {
    task_.emplace(invocation_->StartCoroutine(*this, *this));
  } catch (...) {
    status = StatusOfException(*method_);
  }
  if (!status.ok()) return EndHandler(std::move(status));
  task_->set_scope(&scope_);
  task_->Start(*this);
}

void ServerCall::Done(bool) {
  absl::Status status;
  try {
    status = task_->Take();
  } catch (...) {
    status = StatusOfException(*method_);
  }
  task_.reset();
  EndHandler(std::move(status));
}

void ServerCall::Work() {
  if (over_) return Reject(absl::CancelledError());
  absl::Status status;
  {
    const ScopedCallScope scope(&scope_);
    try {
      status = invocation_->RunBlocking(*this, *this);
    } catch (...) {
      status = StatusOfException(*method_);
    }
  }
  EndHandler(std::move(status));
}

void ServerCall::EndHandler(absl::Status status) {
  // A handler may return what a call of its own came to; that says nothing of this call's delivery.
  if (!status.ok()) status.ErasePayload(kDeliveryPayload);
  if (method_->shape() != CallShape::kUnary && LeaveToSteps(status)) return;
  End(std::move(status));
}

void ServerCall::Reject(absl::Status status) {
  End(WithDelivery(std::move(status), Delivery::kNotProcessed));
}

void ServerCall::End(absl::Status status) {
  const MessageLite* const reply = invocation_->reply();
  Payload payload;
  if (status.ok() && reply != nullptr) status = MakePayload(*reply, payload);
  if (watchers_ != nullptr) {
    if (payload.write != nullptr) watchers_->OnSendMessage(*reply);
    watchers_->OnFinish(status, trailing_metadata_);
    watchers_ = nullptr;
    // A watcher may have made a success of it.
    if (status.ok() && reply != nullptr && payload.write == nullptr) {
      status = MakePayload(*reply, payload);
    }
  }
  const auto finish = [this, &status, &payload](Protocol& protocol, Protocol::Events&) {
    if (absl::Status sent = SendAddedMetadata(protocol); !sent.ok()) {
      status = BadInitialMetadata(sent);
    }
    const bool message = status.ok() && payload.write != nullptr;
    protocol.FinishAndRelease(call_, status,
                              trailing_metadata_.empty() ? nullptr : &trailing_metadata_,
                              message ? &payload : nullptr);
  };
  ServerConnection& connection = connection_;
  Endpoint& endpoint = *endpoint_;
  // Once the call is given back, the connection may end on another thread while this one still
  // transmits. A dispatcher holds the endpoint anyway.
  std::shared_ptr<Endpoint> keep;
  if (Endpoint::Dispatching() != &endpoint) keep = endpoint.shared_from_this();
  endpoint.WriteAhead(payload);
  message_bytes_ += payload.size;
  bool connection_ended;
  if (message_bytes_ <= kLargeMessages) {
    connection_ended = endpoint.Run([this, &finish](Protocol& protocol, Protocol::Events& events) {
      finish(protocol, events);
      handler_->GiveBack(std::move(invocation_), message_bytes_);
      return connection_.GiveBack(*this);
    });
  } else {
    endpoint.Run([this, &finish](Protocol& protocol, Protocol::Events& events) {
      finish(protocol, events);
      over_ = true;  // for EndEarly: an event could come when the connection has ended
    });
    handler_->GiveBack(std::move(invocation_), message_bytes_);
    connection_ended =
        endpoint.Run([this](Protocol&, Protocol::Events&) { return connection_.GiveBack(*this); });
  }
  if (connection_ended) connection.End();
}

absl::Status ServerCall::BadInitialMetadata(const absl::Status& why) {
  return absl::InternalError(absl::StrCat("the handler's initial metadata: ", why.message()));
}

absl::Status ServerCall::SendAddedMetadata(Protocol& protocol) {
  if (initial_metadata_sent_) return absl::OkStatus();
  initial_metadata_sent_ = true;
  if (initial_metadata_.empty()) return absl::OkStatus();
  return protocol.SendInitialMetadata(call_, initial_metadata_);
}

absl::Status ServerCall::SendInitialMetadataNow() {
  absl::Status status = endpoint_->Run([this](Protocol& protocol, Protocol::Events&) {
    return protocol.SendInitialMetadata(call_, initial_metadata_);
  });
  if (status.ok()) initial_metadata_sent_ = true;
  return status;
}

}  // namespace anywire
