#include "runtime/client/unary_call.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/strings/str_cat.h"
#include "anywire/delivery.h"
#include "runtime/task/frame_allocator.h"

namespace anywire {
namespace {

using Clock = std::chrono::steady_clock;
using google::protobuf::MessageLite;

// What to send: the options' own metadata, or a copy in `own` that the watchers may add to.
absl::Status PrepareMetadata(ClientWatchers& watchers, const CallOptions& options, Metadata* own,
                             const Metadata** metadata) {
  *metadata = options.metadata != nullptr ? options.metadata : own;
  if (watchers.empty()) return absl::OkStatus();
  if (options.metadata != nullptr) *own = *options.metadata;
  *metadata = own;
  return watchers.OnStart(*own);
}

}  // namespace

auto UnaryCallBase::OpenCommand(Endpoint& endpoint, const protocol::Payload& payload,
                                const Metadata& metadata, Instant deadline, Instant now) {
  open_on_ = &endpoint;
  endpoint.WriteAhead(payload);
  if (received_ != nullptr) received_->peer = endpoint.info().remote_address;
  return
      [this, &payload, &metadata, deadline, now](protocol::Protocol& protocol, Endpoint::Events&) {
        if (cancelled_early_) return WithDelivery(CancelledByCaller(), Delivery::kNotSent);
        bool queued;
        absl::StatusOr<protocol::CallId> id =
            protocol.Open({.tag = static_cast<CallSink*>(this),
                           .method = {.full_name = method_.full_name(), .index = method_.index()},
                           .deadline = deadline,
                           .metadata = metadata.empty() ? nullptr : &metadata,
                           .message = &payload,
                           .half_close = true,
                           .release_at_end = true},
                          now, &queued);
        if (!id.ok()) return id.status();
        id_ = *id;
        opened_ = true;
        return absl::OkStatus();
      };
}

absl::Status UnaryCallBase::Open(Endpoint& endpoint, const protocol::Payload& payload,
                                 const Metadata& metadata, Instant deadline, Instant now) {
  return endpoint.Run(OpenCommand(endpoint, payload, metadata, deadline, now));
}

absl::Status UnaryCallBase::OpenAndAwait(Endpoint& endpoint, const protocol::Payload& payload,
                                         const Metadata& metadata, Instant deadline, Instant now,
                                         BlockingOperation& operation, bool cancellable) {
  return endpoint.RunAndAwait(OpenCommand(endpoint, payload, metadata, deadline, now), operation,
                              cancellable, now);
}

void UnaryCallBase::Cancel(Endpoint& endpoint) {
  endpoint.Run([this](protocol::Protocol& protocol, Endpoint::Events& events) {
    if (opened_) {
      protocol.Cancel(id_, CancelledByCaller(), events);
    } else {
      cancelled_early_ = true;
    }
  });
}

void UnaryCallBase::OnInitialMetadata(Metadata& metadata) {
  watchers_.OnInitialMetadata(metadata);
  if (received_ != nullptr) received_->initial = std::move(metadata);
}

void UnaryCallBase::OnReply(absl::Span<const uint8_t> bytes) {
  if (std::exchange(replied_, true)) {
    status_ = absl::InternalError("the server sent more than one reply");
    return;
  }
  status_ = ParseReply(bytes, reply_);
  if (status_.ok()) watchers_.OnReceiveMessage(*reply_);
}

void UnaryCallBase::GoOnAfterReply(size_t size) {
  open_on_->Run([this, size](protocol::Protocol& protocol, Endpoint::Events& events) {
    protocol.Consumed(id_, size);
    if (!status_.ok()) protocol.Cancel(id_, status_, events);
  });
}

void UnaryCallBase::OnEvent(protocol::Event& event) {
  if (event.bits & protocol::Event::kInitialMetadata && event.metadata != nullptr) {
    OnInitialMetadata(*event.metadata);
  }
  if (event.bits & protocol::Event::kMessage) {
    OnReply(event.message.bytes);
    if ((event.bits & protocol::Event::kFinished) == 0) GoOnAfterReply(event.message.bytes.size());
  }
  if (event.bits & protocol::Event::kFinished) {
    // What went wrong first is what the caller should hear.
    if (event.final != nullptr && status_.ok()) status_ = std::move(event.final->status);
    if (status_.ok() && !replied_) {
      status_ = absl::InternalError("the server ended the call as OK without a reply");
    }
    if (!watchers_.empty()) {
      const Metadata none;
      watchers_.OnFinish(status_, event.final != nullptr ? event.final->trailing : none);
    }
    if (received_ != nullptr && event.final != nullptr) {
      received_->trailing = std::move(event.final->trailing);
    }
    OnEnd();
  }
}

absl::Status UnaryCallBase::Conclude(absl::Status status, const Metadata& trailing) {
  watchers_.OnFinish(status, trailing);
  return status;
}

namespace {

// The wait of a blocking call for its connection.
class BlockingConnect final : public ConnectWaiter {
 public:
  absl::StatusOr<std::shared_ptr<Endpoint>> Get(Connector& connector, Instant deadline,
                                                const CancellationToken& own,
                                                const CancellationToken& inherited) {
    connector.Wait(*this, deadline);
    CallCancellation cancellation;
    cancellation.Listen(own, inherited, [this, &connector] {
      if (!connector.Forget(*this)) return;
      OnConnected(WithDelivery(CancelledByCaller(), Delivery::kNotSent));
    });
    operation_.Wait();
    return std::move(endpoint_);
  }

 private:
  void OnConnected(absl::StatusOr<std::shared_ptr<Endpoint>> endpoint) override {
    endpoint_ = std::move(endpoint);
    operation_.Done(true);
  }
  absl::StatusOr<std::shared_ptr<Endpoint>> endpoint_;
  BlockingOperation operation_;
};

ABSL_ATTRIBUTE_NOINLINE absl::StatusOr<std::shared_ptr<Endpoint>> AwaitConnection(
    Connector& connector, Instant deadline, const CancellationToken& own,
    const CancellationToken& inherited) {
  return BlockingConnect().Get(connector, deadline, own, inherited);
}

class BlockingUnaryCall final : public UnaryCallBase {
 public:
  BlockingUnaryCall(Connector& connector, const ClientInterceptors& interceptors,
                    const Method& method, MessageLite* reply, const CallOptions& options)
      : UnaryCallBase(connector, interceptors, method, reply, options) {}

  absl::Status Run(const MessageLite& request, const CallOptions& options) {
    const Endpoint::ScopedBorrow borrow;
    Metadata own;
    const Metadata* metadata;
    if (absl::Status status = PrepareMetadata(watchers_, options, &own, &metadata); !status.ok()) {
      return Conclude(std::move(status), {});
    }
    Instant now = Clock::now();
    const Instant deadline = CallDeadline(options, method_, connector_.options().call_timeout, now);
    const CancellationToken own_token = OwnCancellation(options);
    const CancellationToken inherited = InheritedCancellation(options);
    protocol::Payload payload;
    if (absl::Status status = MakePayload(request, connector_.options().limits, payload);
        !status.ok()) {
      return Conclude(WithDelivery(std::move(status), Delivery::kNotSent), {});
    }
    watchers_.OnSendMessage(request);
    if (own_token.cancelled() || inherited.cancelled()) {
      return Conclude(WithDelivery(CancelledByCaller(), Delivery::kNotSent), {});
    }
    for (int attempt = 1;; ++attempt) {
      std::shared_ptr<Endpoint> endpoint = connector_.Current();
      if (endpoint == nullptr) {
        absl::StatusOr<std::shared_ptr<Endpoint>> connected =
            AwaitConnection(connector_, deadline, own_token, inherited);
        if (!connected.ok()) return Conclude(connected.status(), {});
        endpoint = *std::move(connected);
        now = Clock::now();
      }
      CallCancellation cancellation;
      cancellation.Listen(own_token, inherited, [this, &endpoint] { Cancel(*endpoint); });
      absl::Status status = OpenAndAwait(*endpoint, payload, *metadata, deadline, now, operation_,
                                         own_token || inherited);
      if (status.ok()) return std::move(status_);
      // A connection that ended between the look and the opening: the next one serves as well.
      if (endpoint->retired() && absl::IsUnavailable(status) && attempt < kMaxOpenAttempts) {
        continue;
      }
      return Conclude(std::move(status), {});
    }
  }

 private:
  void OnEnd() override { operation_.Done(status_.ok()); }
  BlockingOperation operation_;
};

// Owns itself, from StartCall to the completion of `done`.
class AsyncUnaryCall final : public UnaryCallBase,
                             private ConnectWaiter,
                             public internal::FrameAllocated {
 public:
  AsyncUnaryCall(std::shared_ptr<Connector> connector, const ClientInterceptors& interceptors,
                 const Method& method, MessageLite* reply, absl::Status* result,
                 const CallOptions& options, Operation& done, Instant now)
      : UnaryCallBase(*connector, interceptors, method, reply, options),
        connector_owner_(std::move(connector)),
        result_(result),
        done_(done),
        deadline_(CallDeadline(options, method, connector_.options().call_timeout, now)) {}

  void Start(const MessageLite& request, const CallOptions& options, Instant now) {
    const Metadata* metadata;
    absl::Status status = PrepareMetadata(watchers_, options, &metadata_, &metadata);
    protocol::Payload payload;
    if (status.ok()) {
      status = WithDelivery(MakePayload(request, connector_.options().limits, payload),
                            Delivery::kNotSent);
    }
    if (!status.ok()) {
      Fail(std::move(status));
    } else {
      watchers_.OnSendMessage(request);
      cancellation_.Listen(OwnCancellation(options), InheritedCancellation(options),
                           [this] { OnCancelled(); });
      if (cancel_wanted_.load()) {
        Fail(WithDelivery(CancelledByCaller(), Delivery::kNotSent));
        Leave(/*starter=*/true);
        return;
      }
      endpoint_ = connector_.Current();
      if (endpoint_ == nullptr || !TryOpen(payload, *metadata, now)) {
        // The request and its metadata wait here for the connection.
        if (metadata != &metadata_) metadata_ = *metadata;
        serialized_.resize(payload.size);
        payload.WriteTo(reinterpret_cast<uint8_t*>(serialized_.data()));
        waiting_.store(true);
        connector_.Wait(*this, deadline_);
        if (cancel_wanted_.load()) OnCancelled();
      }
    }
    Leave(/*starter=*/true);
  }

 private:
  // False: the connection has retired in the meantime, and there should be another.
  bool TryOpen(const protocol::Payload& payload, const Metadata& metadata, Instant now) {
    endpoint_->BeginAsync();
    absl::Status status = Open(*endpoint_, payload, metadata, deadline_, now);
    if (status.ok()) {
      opened_.store(true);
      if (cancel_wanted_.load()) Cancel(*endpoint_);
      return true;
    }
    endpoint_->EndAsync();
    const bool again =
        endpoint_->retired() && absl::IsUnavailable(status) && ++attempts_ < kMaxOpenAttempts;
    endpoint_ = nullptr;
    if (!again) Fail(std::move(status));
    return !again;
  }

  void OnConnected(absl::StatusOr<std::shared_ptr<Endpoint>> endpoint) override {
    if (!endpoint.ok()) {
      Fail(endpoint.status());
      return;
    }
    // The call may end on another thread while it is still being opened here.
    parties_.fetch_add(1, std::memory_order_relaxed);
    endpoint_ = *std::move(endpoint);
    const protocol::Payload payload = {.size = serialized_.size(),
                                       .object = serialized_.data(),
                                       .write = [](const void* object, uint8_t* to, size_t size) {
                                         if (size != 0) std::memcpy(to, object, size);
                                       }};
    if (!TryOpen(payload, metadata_, Clock::now())) {
      connector_.Wait(*this, deadline_);
      if (cancel_wanted_.load()) OnCancelled();
    }
    Leave(/*starter=*/true);
  }

  // Any thread. Either the cancelling thread or the opening one sees what the other has done.
  void OnCancelled() {
    cancel_wanted_.store(true);
    if (waiting_.load() && connector_.Forget(*this)) {
      Fail(WithDelivery(CancelledByCaller(), Delivery::kNotSent));
    } else if (opened_.load()) {
      Cancel(*endpoint_);
    }
  }

  // Ends a call that was not opened.
  void Fail(absl::Status status) {
    status_ = Conclude(std::move(status), {});
    Leave(/*starter=*/true);
  }

  void OnEnd() override { Leave(/*starter=*/false); }

  // The last to leave delivers, never inside the function that started or cancelled the call.
  void Leave(bool starter) {
    if (parties_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (starter) {
      connector_.loop().Post([this] { Deliver(); });
    } else {
      Deliver();
    }
  }

  void Deliver() {
    cancellation_.Stop();
    const std::shared_ptr<Endpoint> endpoint = std::move(endpoint_);
    const std::shared_ptr<Connector> connector = std::move(connector_owner_);
    Operation& done = done_;
    const bool ok = status_.ok();
    *result_ = std::move(status_);
    delete this;
    if (endpoint == nullptr) {
      done.Done(ok);
    } else {
      endpoint->EndAsync();
      endpoint->Complete(done, ok);
    }
  }

  std::shared_ptr<Connector> connector_owner_;
  absl::Status* const result_;
  Operation& done_;
  const Instant deadline_;
  std::shared_ptr<Endpoint> endpoint_;
  std::string serialized_;
  Metadata metadata_;
  CallCancellation cancellation_;
  int attempts_ = 0;
  std::atomic<int> parties_{2};  // the starter, and the call
  std::atomic<bool> waiting_{false};
  std::atomic<bool> opened_{false};
  std::atomic<bool> cancel_wanted_{false};
};

}  // namespace

absl::Status CallAndWait(Connector& connector, const ClientInterceptors& interceptors,
                         const Method& method, const MessageLite& request, MessageLite* reply,
                         const CallOptions& options) {
  return BlockingUnaryCall(connector, interceptors, method, reply, options).Run(request, options);
}

void StartCall(const std::shared_ptr<Connector>& connector, const ClientInterceptors& interceptors,
               const Method& method, const MessageLite& request, MessageLite* reply,
               absl::Status* status, const CallOptions& options, Operation& done) {
  const Instant now = Clock::now();
  auto* call =
      new AsyncUnaryCall(connector, interceptors, method, reply, status, options, done, now);
  call->Start(request, options, now);
}

}  // namespace anywire
