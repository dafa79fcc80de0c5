#include "runtime/client/call_setup.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "anywire/call_scope.h"
#include "anywire/delivery.h"
#include "runtime/message/message_bytes.h"

namespace anywire {
namespace {

using Clock = std::chrono::steady_clock;
using google::protobuf::MessageLite;
using protocol::Instant;

// Longer than any process runs, and far from the end of the clock.
constexpr absl::Duration kForever = absl::Hours(100 * 365 * 24);

Instant After(Instant now, absl::Duration timeout) {
  if (timeout <= absl::ZeroDuration()) return now;
  if (timeout >= kForever) return Instant::max();
  return now + std::chrono::nanoseconds(absl::ToInt64Nanoseconds(timeout));
}

}  // namespace

void ClientWatchers::Intercept(const ClientInterceptors& interceptors, const Method& method,
                               absl::string_view target) {
  std::vector<std::unique_ptr<ClientCallWatcher>> watchers;
  for (const std::shared_ptr<ClientInterceptor>& interceptor : interceptors) {
    std::unique_ptr<ClientCallWatcher> watcher = interceptor->Intercept(method, target);
    if (watcher != nullptr) watchers.push_back(std::move(watcher));
  }
  if (watchers.empty()) return;
  watched_ = std::make_unique<Watched>();
  watched_->interceptors = interceptors;
  absl::MutexLock lock(&watched_->mutex);
  watched_->watchers = std::move(watchers);
  watched_->started = Clock::now();
}

absl::Status ClientWatchers::OnStart(Metadata& metadata) noexcept {
  if (empty()) return absl::OkStatus();
  absl::MutexLock lock(&watched_->mutex);
  auto& watchers = watched_->watchers;
  for (auto it = watchers.begin(); it != watchers.end(); ++it) {
    if (absl::Status status = (*it)->OnStart(metadata); !status.ok()) {
      watchers.erase(it + 1, watchers.end());
      return WithDelivery(std::move(status), Delivery::kNotSent);
    }
  }
  return absl::OkStatus();
}

void ClientWatchers::OnSendMessage(const MessageLite& message) noexcept {
  if (empty()) return;
  absl::MutexLock lock(&watched_->mutex);
  for (auto& watcher : watched_->watchers) watcher->OnSendMessage(message);
}

void ClientWatchers::OnInitialMetadata(const Metadata& metadata) noexcept {
  if (empty()) return;
  absl::MutexLock lock(&watched_->mutex);
  auto& watchers = watched_->watchers;
  for (auto it = watchers.rbegin(); it != watchers.rend(); ++it) (*it)->OnInitialMetadata(metadata);
}

void ClientWatchers::OnReceiveMessage(const MessageLite& message) noexcept {
  if (empty()) return;
  absl::MutexLock lock(&watched_->mutex);
  auto& watchers = watched_->watchers;
  for (auto it = watchers.rbegin(); it != watchers.rend(); ++it) (*it)->OnReceiveMessage(message);
}

void ClientWatchers::TellFinish(absl::Status& status, const Metadata& trailing) noexcept {
  const absl::Duration elapsed = absl::FromChrono(Clock::now() - watched_->started);
  absl::MutexLock lock(&watched_->mutex);
  auto& watchers = watched_->watchers;
  for (auto it = watchers.rbegin(); it != watchers.rend(); ++it) {
    (*it)->OnFinish(status, trailing, elapsed);
  }
  watchers.clear();
}

Instant CallDeadline(const CallOptions& options, const Method& method, absl::Duration call_timeout,
                     Instant now) {
  absl::Duration timeout = call_timeout;
  if (options.timeout.has_value()) {
    timeout = *options.timeout;
  } else if (method.default_timeout() != absl::InfiniteDuration()) {
    timeout = method.default_timeout();
  }
  Instant deadline = After(now, timeout);
  const CallScope* const scope = CurrentCallScope();
  if (options.inherit && scope != nullptr) deadline = std::min(deadline, scope->deadline);
  return deadline;
}

CancellationToken OwnCancellation(const CallOptions& options) {
  return options.cancellation != nullptr ? *options.cancellation : CancellationToken();
}

CancellationToken InheritedCancellation(const CallOptions& options) {
  const CallScope* const scope = CurrentCallScope();
  const bool inherits = options.inherit && scope != nullptr && scope->cancellation != nullptr;
  return inherits ? *scope->cancellation : CancellationToken();
}

absl::Status MakePayload(const MessageLite& message, const protocol::Limits& limits,
                         protocol::Payload& payload) {
  const size_t size = message.ByteSizeLong();
  if (size > limits.max_send_message_size) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a message of ", size, " bytes; at most ", limits.max_send_message_size,
                     " may be sent (limits.max_send_message_size)"));
  }
  if (!message.IsInitialized()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a ", message.GetTypeName(),
                     " lacks required fields: ", message.InitializationErrorString()));
  }
  payload = {
      .size = size, .object = &message, .write = [](const void* object, uint8_t* to, size_t size) {
        WriteMessage(*static_cast<const MessageLite*>(object), size, to);
      }};
  return absl::OkStatus();
}

absl::Status ParseReply(absl::Span<const uint8_t> bytes, MessageLite* reply) {
  if (ReadMessage(bytes, *reply)) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("the server's message is no valid ", reply->GetTypeName()));
}

absl::Status CancelledByCaller() { return absl::CancelledError("cancelled by the caller"); }

absl::Status BlockingCallRefused() {
  return WithDelivery(
      absl::FailedPreconditionError(
          "a blocking call on a thread of the runtime (in a coroutine handler or a callback) would "
          "wait for itself: co_await the call through Async() instead"),
      Delivery::kNotSent);
}

}  // namespace anywire
