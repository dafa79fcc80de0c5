#include "anywire/channel.h"

#include <utility>

#include "anywire/delivery.h"
#include "anywire/runtime.h"
#include "runtime/client/call_setup.h"
#include "runtime/client/connector.h"
#include "runtime/client/stream_call.h"
#include "runtime/client/unary_call.h"
#include "runtime/endpoint/endpoint.h"
#include "runtime/process/runtime_core.h"

namespace anywire {

// Constant once made; Intercepted makes another.
class ChannelCore {
 public:
  ChannelCore(Runtime::Core& runtime, absl::string_view target) : runtime(runtime) {
    absl::StatusOr<std::shared_ptr<Connector>> made = Connector::Create(runtime, target);
    if (made.ok()) {
      connector = *std::move(made);
    } else {
      status = WithDelivery(made.status(), Delivery::kNotSent);
    }
  }

  Runtime::Core& runtime;
  absl::Status status;
  std::shared_ptr<Connector> connector;  // null unless status is OK
  ClientInterceptors interceptors;
};

Channel::Channel(absl::string_view target) : Channel(Runtime::Default(), target) {}

Channel::Channel(Runtime& runtime, absl::string_view target)
    : core_(std::make_shared<ChannelCore>(runtime.core(), target)) {}

const absl::Status& Channel::status() const { return core_->status; }

Channel Channel::Intercepted(std::shared_ptr<ClientInterceptor> interceptor) const {
  Channel intercepted = *this;
  auto core = std::make_shared<ChannelCore>(*core_);
  core->interceptors.push_back(std::move(interceptor));
  intercepted.core_ = std::move(core);
  return intercepted;
}

absl::Status Channel::Call(const Method& method, const google::protobuf::MessageLite& request,
                           google::protobuf::MessageLite* reply, const CallOptions& options) const {
  if (!core_->status.ok()) return core_->status;
  if (Endpoint::OnRuntimeThread()) return BlockingCallRefused();
  return CallAndWait(*core_->connector, core_->interceptors, method, request, reply, options);
}

void Channel::StartCall(const Method& method, const google::protobuf::MessageLite& request,
                        google::protobuf::MessageLite* reply, absl::Status* status,
                        const CallOptions& options, Operation& done) const {
  if (!core_->status.ok()) {
    *status = core_->status;
    RunLater([&done] { done.Done(false); });
    return;
  }
  anywire::StartCall(core_->connector, core_->interceptors, method, request, reply, status, options,
                     done);
}

std::unique_ptr<ClientStream> Channel::StartStream(const Method& method,
                                                   const google::protobuf::MessageLite* request,
                                                   const CallOptions& options) const {
  if (!core_->status.ok()) return FailedStream(core_->status);
  return anywire::StartStream(core_->connector, core_->interceptors, method, request, options);
}

void Channel::RunLater(absl::AnyInvocable<void()> function) const {
  EventLoop& loop =
      core_->connector != nullptr ? core_->connector->loop() : core_->runtime.NextLoop();
  loop.Post(std::move(function));
}

}  // namespace anywire
