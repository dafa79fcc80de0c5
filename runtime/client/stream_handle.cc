// What the user holds of a streaming call.
#include <memory>
#include <utility>

#include "runtime/client/stream_call.h"

namespace anywire {
namespace {

using google::protobuf::MessageLite;

// The user's handle of a call.
class StreamHandle final : public ClientStream {
 public:
  explicit StreamHandle(std::shared_ptr<StreamCall> call) : call_(std::move(call)) {}
  ~StreamHandle() override { call_->Abandon(CancelledByCaller()); }

  void Read(MessageLite* message, Operation& done) override { call_->Read(message, done); }
  void Write(const MessageLite& message, Operation& done) override { call_->Write(message, done); }
  void WritesDone() override { call_->WritesDone(); }
  void Finish(Operation& done) override { call_->Finish(done); }
  absl::Status status() override { return call_->status(); }
  const Metadata& initial_metadata() const override { return call_->initial_metadata(); }
  const Metadata& trailing_metadata() const override { return call_->trailing_metadata(); }
  void Cancel() override { call_->CancelWith(CancelledByCaller()); }
  bool Await(absl::FunctionRef<void(Operation&)> start) override { return call_->Await(start); }

 private:
  const std::shared_ptr<StreamCall> call_;
};

// A call that failed before it began: every step says so.
class FailedStreamHandle final : public ClientStream {
 public:
  explicit FailedStreamHandle(absl::Status status) : status_(std::move(status)) {}

  void Read(MessageLite*, Operation& done) override { done.Done(false); }
  void Write(const MessageLite&, Operation& done) override { done.Done(false); }
  void WritesDone() override {}
  void Finish(Operation& done) override { done.Done(true); }
  absl::Status status() override { return status_; }
  const Metadata& initial_metadata() const override { return no_metadata_; }
  const Metadata& trailing_metadata() const override { return no_metadata_; }
  void Cancel() override {}
  bool Await(absl::FunctionRef<void(Operation&)> start) override {
    BlockingOperation operation;
    start(operation);
    operation.Wait();
    return operation.ok();
  }

 private:
  const absl::Status status_;
  const Metadata no_metadata_;
};

}  // namespace

std::unique_ptr<ClientStream> StartStream(const std::shared_ptr<Connector>& connector,
                                          const ClientInterceptors& interceptors,
                                          const Method& method, const MessageLite* request,
                                          const CallOptions& options) {
  auto call = std::make_shared<StreamCall>(connector, interceptors, method, options);
  call->Start(request, options);
  return std::make_unique<StreamHandle>(std::move(call));
}

std::unique_ptr<ClientStream> FailedStream(absl::Status status) {
  return std::make_unique<FailedStreamHandle>(std::move(status));
}

}  // namespace anywire
