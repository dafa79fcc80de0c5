#include "runtime/client/stream_call.h"

#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "anywire/delivery.h"

namespace anywire {
namespace {

using google::protobuf::MessageLite;
using protocol::Event;
using protocol::SendResult;

protocol::Payload SerializedPayload(const std::string& bytes) {
  return {.size = bytes.size(),
          .object = bytes.data(),
          .write = [](const void* object, uint8_t* to, size_t size) {
            if (size != 0) std::memcpy(to, object, size);
          }};
}

std::string Serialized(const protocol::Payload& payload) {
  std::string bytes(payload.size, '\0');
  payload.WriteTo(reinterpret_cast<uint8_t*>(bytes.data()));
  return bytes;
}

const Metadata& NoMetadata() {
  static const Metadata* const none = new Metadata;
  return *none;
}

}  // namespace

StreamCall::StreamCall(std::shared_ptr<Connector> connector, const ClientInterceptors& interceptors,
                       const Method& method, const CallOptions& options)
    : connector_(std::move(connector)),
      method_(method),
      deadline_(CallDeadline(options, method, connector_->options().call_timeout,
                             std::chrono::steady_clock::now())),
      watchers_(interceptors, method, connector_->target()),
      metadata_(options.metadata != nullptr ? *options.metadata : Metadata()),
      received_(options.received) {}

void StreamCall::Start(const MessageLite* request, const CallOptions& options) {
  {
    absl::MutexLock lock(&mutex_);
    self_ = shared_from_this();
  }
  absl::Status status = watchers_.OnStart(metadata_);
  protocol::Payload payload;
  if (status.ok() && request != nullptr) {
    status = WithDelivery(MakePayload(*request, connector_->options().limits, payload),
                          Delivery::kNotSent);
  }
  if (!status.ok()) {
    End(std::move(status), {});
    return;
  }
  if (request != nullptr) {
    watchers_.OnSendMessage(*request);
    absl::MutexLock lock(&mutex_);
    unsent_ = Serialized(payload);
    half_closed_ = true;
  }
  const CancellationToken inherited = InheritedCancellation(options);
  const CancellationToken own = OwnCancellation(options);
  cancellation_.Listen(own, inherited, [this] { CancelWith(CancelledByCaller()); });
  if (std::shared_ptr<Endpoint> endpoint = connector_->Current(); endpoint != nullptr) {
    OnConnected(std::move(endpoint));
  } else {
    WaitForConnection();
  }
}

void StreamCall::WaitForConnection() {
  connector_->Wait(*this, deadline_);
  // Who cancelled just before could not take the call back.
  absl::Status cancelled;
  {
    absl::MutexLock lock(&mutex_);
    cancelled = cancel_status_;
  }
  if (!cancelled.ok() && connector_->Forget(*this)) {
    End(WithDelivery(std::move(cancelled), Delivery::kNotSent), {});
  }
}

void StreamCall::OnConnected(absl::StatusOr<std::shared_ptr<Endpoint>> endpoint) {
  const std::shared_ptr<StreamCall> self = shared_from_this();
  absl::Status status = endpoint.ok() ? Open(*endpoint) : endpoint.status();
  if (status.ok()) return;
  if (endpoint.ok() && (*endpoint)->retired() && absl::IsUnavailable(status) &&
      ++attempts_ < kMaxOpenAttempts) {
    // It ended between the look and the opening: the next one serves as well.
    WaitForConnection();
    return;
  }
  End(std::move(status), {});
}

absl::Status StreamCall::Open(const std::shared_ptr<Endpoint>& endpoint) {
  const bool with_request = method_.shape() == CallShape::kServerStreaming;
  std::string request;
  {
    absl::MutexLock lock(&mutex_);
    if (!cancel_status_.ok()) return WithDelivery(cancel_status_, Delivery::kNotSent);
    endpoint_ = endpoint;
    if (received_ != nullptr) received_->peer = endpoint->info().remote_address;
    if (with_request) request = *unsent_;
  }
  const protocol::Payload first = SerializedPayload(request);
  endpoint->WriteAhead(first);
  absl::Status opened =
      endpoint->Run([this, with_request, &first](protocol::Protocol& protocol, Endpoint::Events&) {
        bool queued = false;
        absl::StatusOr<protocol::CallId> id =
            protocol.Open({.tag = static_cast<CallSink*>(this),
                           .method = {.full_name = method_.full_name(), .index = method_.index()},
                           .deadline = deadline_,
                           .metadata = metadata_.empty() ? nullptr : &metadata_,
                           .message = with_request ? &first : nullptr,
                           .half_close = with_request},
                          std::chrono::steady_clock::now(), &queued);
        if (!id.ok()) return id.status();
        id_ = *id;
        return absl::OkStatus();
      });
  if (!opened.ok()) return opened;
  // What was asked for in the meantime.
  absl::Status cancelled;
  std::optional<std::string> write;
  bool half_close;
  bool anything_async = false;
  {
    absl::MutexLock lock(&mutex_);
    if (phase_ == Phase::kConnecting) phase_ = Phase::kOpen;
    cancelled = std::move(cancel_status_);
    if (!with_request) write = std::move(unsent_);
    unsent_.reset();
    half_close = half_closed_ && !with_request;
    for (Pending* pending : {&read_, &write_, &finish_}) {
      if (pending->operation == nullptr || pending->operation->blocking() || pending->counted) {
        continue;
      }
      pending->counted = anything_async = true;
      endpoint->BeginAsync();
    }
  }
  if (!cancelled.ok()) {
    CancelWith(std::move(cancelled));
  } else if (write.has_value()) {
    Send(SerializedPayload(*write), half_close, /*blocking=*/false);
  } else if (half_close || anything_async) {
    endpoint->Run([this, half_close](protocol::Protocol& protocol, Endpoint::Events&) {
      if (half_close) protocol.HalfClose(id_);
    });
  }
  return absl::OkStatus();
}

void StreamCall::Put(Pending& pending, Operation& operation) {
  pending.operation = &operation;
  pending.counted = phase_ == Phase::kOpen && !operation.blocking();
  if (pending.counted) endpoint_->BeginAsync();
}

Operation* StreamCall::Take(Pending& pending) {
  if (std::exchange(pending.counted, false)) endpoint_->EndAsync();
  return std::exchange(pending.operation, nullptr);
}

void StreamCall::Complete(Operation* operation, bool ok) {
  if (operation == nullptr) return;
  std::shared_ptr<Endpoint> endpoint;
  {
    absl::MutexLock lock(&mutex_);
    endpoint = endpoint_;
  }
  if (endpoint != nullptr) {
    endpoint->Complete(*operation, ok);
  } else {
    operation->Done(ok);
  }
}

void StreamCall::Read(MessageLite* message, Operation& done) {
  std::optional<std::pair<protocol::ReceivedMessage, bool>> next;
  std::shared_ptr<Endpoint> wake;
  {
    absl::MutexLock lock(&mutex_);
    if (!unread_.empty()) {
      next = std::move(unread_.front());
      unread_.pop_front();
    } else if (phase_ != Phase::kEnded) {
      read_into_ = message;
      Put(read_, done);
      if (!read_.counted) return;
      wake = endpoint_;
    }
  }
  if (next.has_value()) {
    Deliver(next->first.bytes, next->second, message, done);
  } else if (wake != nullptr) {
    // So that somebody reads the connection.
    wake->Run([](protocol::Protocol&, Endpoint::Events&) {});
  } else {
    done.Done(false);
  }
}

void StreamCall::Deliver(absl::Span<const uint8_t> bytes, bool consume, MessageLite* into,
                         Operation& done) {
  absl::Status status = ParseReply(bytes, into);
  if (consume) {
    std::shared_ptr<Endpoint> endpoint;
    {
      absl::MutexLock lock(&mutex_);
      endpoint = endpoint_;
    }
    endpoint->Run([this, size = bytes.size()](protocol::Protocol& protocol, Endpoint::Events&) {
      protocol.Consumed(id_, size);
    });
  }
  const bool ok = status.ok();
  if (ok) {
    watchers_.OnReceiveMessage(*into);
  } else {
    Fail(std::move(status));
  }
  Complete(&done, ok);
}

void StreamCall::Write(const MessageLite& message, Operation& done) {
  protocol::Payload payload;
  absl::Status sendable = MakePayload(message, connector_->options().limits, payload);
  if (sendable.ok()) watchers_.OnSendMessage(message);
  bool over;
  {
    absl::MutexLock lock(&mutex_);
    over = phase_ == Phase::kEnded || half_closed_ || !cancel_status_.ok();
    if (!over && sendable.ok()) {
      Put(write_, done);
      if (phase_ == Phase::kConnecting) {
        unsent_ = Serialized(payload);
        return;
      }
    }
  }
  if (!over && sendable.ok()) {
    Send(payload, /*half_close=*/false, done.blocking());
    return;
  }
  if (!over) CancelWith(std::move(sendable));
  done.Done(false);
}

// Sends what write_ waits for, and the end of this side behind it.
void StreamCall::Send(const protocol::Payload& payload, bool half_close, bool blocking) {
  std::shared_ptr<Endpoint> endpoint;
  {
    absl::MutexLock lock(&mutex_);
    endpoint = endpoint_;
  }
  endpoint->WriteAhead(payload);
  const auto send = [this, &payload, half_close](protocol::Protocol& protocol, Endpoint::Events&) {
    const SendResult result = protocol.Send(id_, payload);
    // Without the message an end would make the server take the stream for whole.
    const bool taken = result == SendResult::kSent || result == SendResult::kQueued;
    if (half_close && taken) protocol.HalfClose(id_);
    return result;
  };
  const SendResult result = blocking ? endpoint->RunAndDispatch(send) : endpoint->Run(send);
  if (result == SendResult::kQueued) return;  // kWritable completes the write
  if (result == SendResult::kQueueFull) {
    CancelWith(absl::ResourceExhaustedError(
        absl::StrCat("a message of ", payload.size,
                     " bytes would wait to be sent beside too many others "
                     "(limits.max_queued_bytes)")));
  }
  // It is never too large: MakePayload knows that limit.
  Operation* written;
  {
    absl::MutexLock lock(&mutex_);
    written = Take(write_);
  }
  Complete(written, result == SendResult::kSent);
}

void StreamCall::WritesDone() {
  std::shared_ptr<Endpoint> endpoint;
  {
    absl::MutexLock lock(&mutex_);
    if (half_closed_ || phase_ == Phase::kEnded) return;
    half_closed_ = true;
    if (phase_ == Phase::kConnecting) return;
    endpoint = endpoint_;
  }
  endpoint->Run(
      [this](protocol::Protocol& protocol, Endpoint::Events&) { protocol.HalfClose(id_); });
}

void StreamCall::Finish(Operation& done) {
  std::deque<std::pair<protocol::ReceivedMessage, bool>> unread;
  std::shared_ptr<Endpoint> endpoint;
  bool ended;
  {
    absl::MutexLock lock(&mutex_);
    discarding_ = true;
    unread.swap(unread_);
    ended = phase_ == Phase::kEnded;
    if (!ended) Put(finish_, done);
    if (phase_ == Phase::kOpen) endpoint = endpoint_;
  }
  if (ended) {
    done.Done(true);
  } else if (endpoint != nullptr) {
    endpoint->Run([this, &unread](protocol::Protocol& protocol, Endpoint::Events&) {
      for (const auto& [message, consume] : unread) {
        if (consume) protocol.Consumed(id_, message.bytes.size());
      }
    });
  }
}

absl::Status StreamCall::status() {
  absl::MutexLock lock(&mutex_);
  // Before the end only when Await has refused to wait for it.
  return phase_ == Phase::kEnded ? status_ : BlockingCallRefused();
}

const Metadata& StreamCall::initial_metadata() {
  absl::MutexLock lock(&mutex_);
  return initial_metadata_ != nullptr ? *initial_metadata_ : NoMetadata();
}

const Metadata& StreamCall::trailing_metadata() {
  absl::MutexLock lock(&mutex_);
  return phase_ == Phase::kEnded ? trailing_metadata_ : NoMetadata();
}

void StreamCall::CancelWith(absl::Status status) {
  std::shared_ptr<Endpoint> endpoint;
  {
    absl::MutexLock lock(&mutex_);
    if (phase_ == Phase::kEnded) return;
    if (phase_ == Phase::kOpen) {
      endpoint = endpoint_;
    } else {
      if (!cancel_status_.ok()) return;
      cancel_status_ = status;
    }
  }
  if (endpoint != nullptr) {
    endpoint->Run([this, &status](protocol::Protocol& protocol, Endpoint::Events& events) {
      protocol.Cancel(id_, std::move(status), events);
    });
  } else if (connector_->Forget(*this)) {
    // Later: whoever cancels may hold locks that callbacks take, or be a watcher of the call.
    connector_->loop().Post([self = shared_from_this(), status = std::move(status)]() mutable {
      self->End(WithDelivery(std::move(status), Delivery::kNotSent), {});
    });
  }
}

void StreamCall::Abandon(absl::Status status) {
  {
    absl::MutexLock lock(&mutex_);
    received_ = nullptr;
  }
  CancelWith(std::move(status));
}

void StreamCall::Fail(absl::Status status) {
  {
    absl::MutexLock lock(&mutex_);
    if (status_.ok()) status_ = status;
    discarding_ = true;
    unread_.clear();
  }
  CancelWith(std::move(status));
}

bool StreamCall::Await(absl::FunctionRef<void(Operation&)> start) {
  if (Endpoint::OnRuntimeThread()) {
    Abandon(BlockingCallRefused());
    return false;
  }
  const Endpoint::ScopedBorrow borrow;
  std::shared_ptr<Endpoint> endpoint;
  {
    const auto connected = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return phase_ != Phase::kConnecting;
    };
    absl::MutexLock lock(&mutex_, absl::Condition(&connected));
    endpoint = endpoint_;
  }
  BlockingOperation operation;
  start(operation);
  bool writing;
  {
    absl::MutexLock lock(&mutex_);
    writing = write_.operation == &operation;
  }
  if (endpoint == nullptr) {
    operation.Wait();
  } else if (writing) {
    endpoint->AwaitRoom(operation);
  } else {
    endpoint->Await(operation, /*cancellable=*/true);
  }
  return operation.ok();
}

void StreamCall::OnEvent(Event& event) {
  const std::shared_ptr<StreamCall> self = shared_from_this();
  if (event.bits & Event::kInitialMetadata && event.metadata != nullptr) {
    watchers_.OnInitialMetadata(*event.metadata);
    absl::MutexLock lock(&mutex_);
    if (received_ != nullptr) received_->initial = *event.metadata;
    initial_metadata_ = std::move(event.metadata);
  }
  if (event.bits & Event::kMessage) {
    OnMessage(event.message, /*consume=*/(event.bits & Event::kFinished) == 0);
  }
  if (event.bits & Event::kWritable) {
    Operation* written;
    {
      absl::MutexLock lock(&mutex_);
      written = Take(write_);
    }
    Complete(written, true);
  }
  if (event.bits & Event::kFinished) {
    std::shared_ptr<Endpoint> endpoint;
    {
      absl::MutexLock lock(&mutex_);
      endpoint = endpoint_;
    }
    endpoint->Run([this](protocol::Protocol& protocol, Endpoint::Events& events) {
      protocol.Release(id_, events);
    });
    if (event.final == nullptr) {
      End(absl::OkStatus(), {});
    } else {
      End(std::move(event.final->status), std::move(event.final->trailing));
    }
  }
}

void StreamCall::OnMessage(protocol::ReceivedMessage& message, bool consume) {
  if (method_.shape() == CallShape::kClientStreaming && std::exchange(replied_, true)) {
    Fail(absl::InternalError("the server sent more than one reply"));
    return;
  }
  Operation* reading = nullptr;
  MessageLite* into = nullptr;
  std::shared_ptr<Endpoint> discard;
  {
    absl::MutexLock lock(&mutex_);
    if (discarding_) {
      if (consume) discard = endpoint_;
    } else if (read_.operation != nullptr) {
      reading = Take(read_);
      into = read_into_;
    } else {
      message.Own();
      unread_.emplace_back(std::move(message), consume);
    }
  }
  if (reading != nullptr) {
    Deliver(message.bytes, consume, into, *reading);
  } else if (discard != nullptr) {
    discard->Run(
        [this, size = message.bytes.size()](protocol::Protocol& protocol, Endpoint::Events&) {
          protocol.Consumed(id_, size);
        });
  }
}

void StreamCall::End(absl::Status status, Metadata trailing) {
  {
    // What went wrong first is what the caller should hear.
    absl::MutexLock lock(&mutex_);
    if (!status_.ok()) status = std::exchange(status_, absl::OkStatus());
  }
  watchers_.OnFinish(status, trailing);
  std::shared_ptr<StreamCall> self;
  Operation* reading;
  Operation* writing;
  Operation* finishing;
  {
    absl::MutexLock lock(&mutex_);
    if (received_ != nullptr) received_->trailing = trailing;
    trailing_metadata_ = std::move(trailing);
    phase_ = Phase::kEnded;
    if (status_.ok()) status_ = std::move(status);
    self = std::move(self_);
    reading = Take(read_);
    writing = Take(write_);
    finishing = Take(finish_);
  }
  Complete(reading, false);
  Complete(writing, false);
  Complete(finishing, true);
}

}  // namespace anywire
