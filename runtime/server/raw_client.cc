#include "runtime/server/raw_client.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "runtime/protocol/wire_protocol.h"

namespace anywire {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

using protocol::Payload;
using protocol::Protocol;

Payload PayloadOf(const std::string& text) {
  return {.size = text.size(),
          .object = &text,
          .write = [](const void* object, uint8_t* to, size_t size) {
            std::memcpy(to, static_cast<const std::string*>(object)->data(), size);
          }};
}

}  // namespace

RawCall::RawCall(std::shared_ptr<Endpoint> endpoint, const Method& method,
                 const std::string* message, bool half_close, absl::Duration timeout,
                 const Metadata* metadata)
    : endpoint_(std::move(endpoint)) {
  Payload payload;
  if (message != nullptr) payload = PayloadOf(*message);
  const auto now = std::chrono::steady_clock::now();
  Protocol::OpenRequest request;
  request.tag = static_cast<CallSink*>(this);
  request.method = {.full_name = method.full_name(), .index = method.index()};
  if (timeout != absl::InfiniteDuration())
    request.deadline = now + absl::ToChronoNanoseconds(timeout);
  request.metadata = metadata;
  request.message = message != nullptr ? &payload : nullptr;
  request.half_close = half_close;
  endpoint_->BeginAsync();
  const absl::StatusOr<protocol::CallId> call =
      endpoint_->Run([&request, now](Protocol& protocol, Protocol::Events&) {
        bool queued = false;
        return protocol.Open(request, now, &queued);
      });
  if (call.ok()) {
    call_ = *call;
  } else {
    const absl::MutexLock lock(&mutex_);
    end_ = call.status();
  }
}

RawCall::~RawCall() {
  Cancel();
  (void)WaitForEnd();
  // Nothing comes after the end, but its event may not have returned yet.
  endpoint_->loop().RunAndWait([] {});
  endpoint_->Run(
      [this](Protocol& protocol, Protocol::Events& events) { protocol.Release(call_, events); });
  endpoint_->EndAsync();
}

bool RawCall::Send(const std::string& message) {
  const Payload payload = PayloadOf(message);
  const protocol::SendResult result =
      endpoint_->Run([this, &payload](Protocol& protocol, Protocol::Events&) {
        return protocol.Send(call_, payload);
      });
  if (result != protocol::SendResult::kQueued) return result == protocol::SendResult::kSent;
  const absl::MutexLock lock(&mutex_);
  const auto over = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return writable_ || end_.has_value();
  };
  EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&over), kPatience));
  return std::exchange(writable_, false);
}

void RawCall::HalfClose() {
  endpoint_->Run([this](Protocol& protocol, Protocol::Events&) { protocol.HalfClose(call_); });
}

void RawCall::Cancel() {
  endpoint_->Run([this](Protocol& protocol, Protocol::Events& events) {
    protocol.Cancel(call_, absl::CancelledError("by the test"), events);
  });
}

void RawCall::HoldCredit() {
  const absl::MutexLock lock(&mutex_);
  holds_credit_ = true;
}

void RawCall::GiveCredit() {
  std::vector<size_t> read;
  {
    const absl::MutexLock lock(&mutex_);
    holds_credit_ = false;
    read.swap(unread_);
  }
  endpoint_->Run([this, &read](Protocol& protocol, Protocol::Events&) {
    for (const size_t size : read) protocol.Consumed(call_, size);
  });
}

absl::Status RawCall::WaitForEnd() {
  const absl::MutexLock lock(&mutex_);
  const auto ended = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return end_.has_value(); };
  mutex_.AwaitWithTimeout(absl::Condition(&ended), kPatience);
  EXPECT_TRUE(end_.has_value()) << "the call has not ended";
  return end_.value_or(absl::DeadlineExceededError("test"));
}

std::vector<std::string> RawCall::WaitForMessages(size_t count) {
  const absl::MutexLock lock(&mutex_);
  const auto enough = [this, count]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return end_.has_value() || messages_.size() >= count;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&enough), kPatience);
  return messages_;
}

Metadata RawCall::initial() const {
  const absl::MutexLock lock(&mutex_);
  return initial_;
}

Metadata RawCall::trailing() const {
  const absl::MutexLock lock(&mutex_);
  return trailing_;
}

bool RawCall::KeepUnread(size_t size) {
  const absl::MutexLock lock(&mutex_);
  if (holds_credit_) unread_.push_back(size);
  return holds_credit_;
}

void RawCall::OnEvent(protocol::Event& event) {
  if ((event.bits & protocol::Event::kMessage) && !KeepUnread(event.message.bytes.size())) {
    endpoint_->Run([&event](Protocol& protocol, Protocol::Events&) {
      protocol.Consumed(event.call, event.message.bytes.size());
    });
  }
  const absl::MutexLock lock(&mutex_);
  if (event.metadata != nullptr) initial_ = *event.metadata;
  if (event.bits & protocol::Event::kWritable) writable_ = true;
  if (event.bits & protocol::Event::kMessage) {
    const absl::Span<const uint8_t> bytes = event.message.bytes;
    messages_.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  if (event.bits & protocol::Event::kFinished) {
    end_ = event.final != nullptr ? event.final->status : absl::OkStatus();
    if (event.final != nullptr) trailing_ = event.final->trailing;
  }
}

struct RawClient::Loss {
  absl::Notification lost;
};

RawClient::RawClient(const TransportRegistry& registry, absl::string_view uri,
                     const protocol::Limits& limits)
    : loop_("raw-client"), loss_(std::make_shared<Loss>()) {
  const absl::StatusOr<TransportRegistry::Target> target = registry.Resolve(uri);
  EXPECT_TRUE(target.ok()) << target.status();
  absl::Notification connected;
  loop_.Post([this, &target, &connected, &limits] {
    loop_.Detach(
        target->transport->Connect(loop_, target->address, {})
            .then([this, &connected,
                   &limits](absl::StatusOr<std::unique_ptr<Connection>> connection) {
              EXPECT_TRUE(connection.ok()) << connection.status();
              if (connection.ok()) {
                endpoint_ = Endpoint::Start(
                    loop_, *std::move(connection), Endpoint::Role::kClient, nullptr, nullptr,
                    [limits](Connection& connection) {
                      return protocol::MakeWireClient(connection, FrameSizesOf(connection), limits,
                                                      std::chrono::steady_clock::now());
                    },
                    [loss = loss_](const absl::Status&) { loss->lost.Notify(); });
                endpoint_->BeginAsync();
              }
              connected.Notify();
            }),
        "connect");
  });
  EXPECT_TRUE(connected.WaitForNotificationWithTimeout(kPatience));
}

RawClient::~RawClient() {
  Close();
  WaitForLoss();
}

bool RawClient::WaitForLoss(absl::Duration timeout) {
  return endpoint_ == nullptr || loss_->lost.WaitForNotificationWithTimeout(timeout);
}

void RawClient::Close() {
  if (endpoint_ != nullptr) endpoint_->Close(absl::CancelledError("the test closes"));
}

}  // namespace anywire
