#include "anywire/server_context.h"

#include <algorithm>
#include <chrono>

#include "runtime/server/call_context.h"

namespace anywire {
namespace {

using internal::CallContext;
using Clock = std::chrono::steady_clock;

// The only class that derives from ServerContext.
const CallContext& Of(const ServerContext* context) {
  return *static_cast<const CallContext*>(context);
}
CallContext& Of(ServerContext* context) { return *static_cast<CallContext*>(context); }

}  // namespace

const Method& ServerContext::method() const { return *Of(this).method_; }

const Metadata& ServerContext::client_metadata() const {
  static const Metadata* const none = new Metadata;
  const Metadata* const metadata = Of(this).client_metadata_.get();
  return metadata != nullptr ? *metadata : *none;
}

const ConnectionInfo& ServerContext::peer() const { return *Of(this).peer_; }

Clock::time_point ServerContext::deadline() const { return Of(this).scope_.deadline; }

absl::Duration ServerContext::time_left() const {
  if (deadline() == Clock::time_point::max()) return absl::InfiniteDuration();
  return std::max(absl::ZeroDuration(), absl::FromChrono(deadline() - Clock::now()));
}

bool ServerContext::cancelled() const {
  // The first is what a Read that failed has gone by; the token may be a moment behind.
  if (Of(this).over_.load(std::memory_order_acquire) || cancellation().cancelled()) return true;
  // Whoever keeps the time may be waiting for the thread that asks.
  return deadline() != Clock::time_point::max() && Clock::now() >= deadline();
}

const CancellationToken& ServerContext::cancellation() const {
  return Of(this).cancellation_.token();
}

void ServerContext::AddInitialMetadata(absl::string_view key, absl::string_view value) {
  Of(this).initial_metadata_.Add(key, value);
}

absl::Status ServerContext::SendInitialMetadata() {
  if (Of(this).initial_metadata_sent_) {
    return absl::FailedPreconditionError("initial metadata has been sent already");
  }
  return Of(this).SendInitialMetadataNow();
}

void ServerContext::AddTrailingMetadata(absl::string_view key, absl::string_view value) {
  Of(this).trailing_metadata_.Add(key, value);
}

}  // namespace anywire
