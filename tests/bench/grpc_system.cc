// gRPC C++ under measurement. api=sync or callback: which of its APIs serves, and streams. Unary
// calls that nobody waits for are its callback API's in both.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/notification.h"
#include "tests/bench/bench.grpc.pb.h"
#include "tests/bench/grpc_server.h"
#include "tests/bench/program.h"
#include "tests/bench/system.h"

namespace anywire::bench {
namespace {

void Check(const grpc::Status& status) {
  if (!status.ok()) Die(status.error_message());
}

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
}

bool UsesCallbacks(const Parameters& parameters) {
  const std::string api = parameters.Text("api", "sync");
  if (api != "sync" && api != "callback") Die("no such API: " + api);
  return api == "callback";
}

// A unary call, made again and again; deletes itself.
template <typename Stub>
class Repeater {
 public:
  Repeater(Stub& stub, RepeatedCall& call) : stub_(stub), call_(call) {}
  void Start();

 private:
  void OnReply(const grpc::Status& status) {
    Check(status);
    CheckReply(call_.request(), reply_.payload());
    if (call_.OnReply()) {
      Start();
    } else {
      delete this;
    }
  }
  Stub& stub_;
  RepeatedCall& call_;
  // gRPC wants a new one for each call.
  std::optional<grpc::ClientContext> context_;
  EchoMessage reply_;
};

template <>
void Repeater<Bench::Stub>::Start() {
  SetDeadline(context_.emplace());
  stub_.async()->Echo(&*context_, &call_.request(), &reply_,
                      [this](const grpc::Status& status) { OnReply(status); });
}

template <>
void Repeater<Work::Stub>::Start() {
  SetDeadline(context_.emplace());
  stub_.async()->Do(&*context_, &call_.request(), &reply_,
                    [this](const grpc::Status& status) { OnReply(status); });
}

class UploadReactor final : public grpc::ClientWriteReactor<EchoMessage> {
 public:
  UploadReactor(Bench::Stub& stub, const EchoMessage& message, const std::atomic<bool>& stop)
      : message_(message), stop_(stop) {
    stub.async()->Upload(&context_, &summary_, this);
    StartWrite(&message_);
    StartCall();
  }
  void OnWriteDone(bool ok) override {
    if (ok && !stop_.load(std::memory_order_relaxed)) {
      StartWrite(&message_);
    } else {
      StartWritesDone();
    }
  }
  void OnDone(const grpc::Status& status) override {
    Check(status);
    done_.Notify();
  }
  uint64_t Wait() {
    done_.WaitForNotification();
    return summary_.messages();
  }

 private:
  const EchoMessage& message_;
  const std::atomic<bool>& stop_;
  grpc::ClientContext context_;
  UploadSummary summary_;
  absl::Notification done_;
};

class ChatReactor final : public grpc::ClientBidiReactor<EchoMessage, EchoMessage> {
 public:
  ChatReactor(Bench::Stub& stub, const EchoMessage& message, ChatProgress& progress)
      : message_(message), progress_(progress) {
    stub.async()->Chat(&context_, this);
    StartRead(&reply_);
    StartWrite(&message_);
    StartCall();
  }
  void OnWriteDone(bool ok) override {
    if (ok && !progress_.stop.load(std::memory_order_relaxed)) {
      StartWrite(&message_);
    } else {
      StartWritesDone();
    }
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    progress_.received.fetch_add(1, std::memory_order_relaxed);
    StartRead(&reply_);
  }
  void OnDone(const grpc::Status& status) override {
    Check(status);
    done_.Notify();
  }
  void Wait() { done_.WaitForNotification(); }

 private:
  const EchoMessage& message_;
  ChatProgress& progress_;
  grpc::ClientContext context_;
  EchoMessage reply_;
  absl::Notification done_;
};

class GrpcClient final : public Client {
 public:
  GrpcClient(const std::shared_ptr<grpc::Channel>& channel, const Parameters& parameters)
      : bench_(Bench::NewStub(channel)),
        work_(Work::NewStub(channel)),
        callbacks_(UsesCallbacks(parameters)),
        works_(parameters.Text("service", "bench") == "work") {}

  void Call(const EchoMessage& request) override {
    grpc::ClientContext context;
    SetDeadline(context);
    EchoMessage reply;
    Check(works_ ? work_->Do(&context, request, &reply) : bench_->Echo(&context, request, &reply));
    CheckReply(request, reply.payload());
  }

  void Start(RepeatedCall& call) override {
    if (works_) {
      (new Repeater(*work_, call))->Start();
    } else {
      (new Repeater(*bench_, call))->Start();
    }
  }

  uint64_t Upload(const EchoMessage& message, const std::atomic<bool>& stop) override {
    if (callbacks_) return UploadReactor(*bench_, message, stop).Wait();
    grpc::ClientContext context;
    UploadSummary summary;
    const auto writer = bench_->Upload(&context, &summary);
    while (!stop.load(std::memory_order_relaxed) && writer->Write(message)) {
    }
    writer->WritesDone();
    Check(writer->Finish());
    return summary.messages();
  }

  void Chat(const EchoMessage& message, ChatProgress& progress) override {
    if (callbacks_) return ChatReactor(*bench_, message, progress).Wait();
    grpc::ClientContext context;
    const auto stream = bench_->Chat(&context);
    std::thread writer([&] {
      while (!progress.stop.load(std::memory_order_relaxed) && stream->Write(message)) {
      }
      stream->WritesDone();
    });
    EchoMessage reply;
    while (stream->Read(&reply)) progress.received.fetch_add(1, std::memory_order_relaxed);
    writer.join();
    Check(stream->Finish());
  }

 private:
  const std::unique_ptr<Bench::Stub> bench_;
  const std::unique_ptr<Work::Stub> work_;
  const bool callbacks_;
  const bool works_;
};

class GrpcSystem final : public System {
 public:
  std::string StartServer(const std::string& uri, const Parameters& parameters) override {
    services_ = UsesCallbacks(parameters) ? MakeCallbackGrpcServices() : MakeSyncGrpcServices();
    grpc::ServerBuilder builder;
    int port = 0;
    absl::string_view tcp = uri;
    const bool is_tcp = absl::ConsumePrefix(&tcp, "tcp:");
    absl::ConsumePrefix(&tcp, "//");
    const bool in_process = uri.rfind("inproc:", 0) == 0;
    if (!in_process) {
      builder.AddListeningPort(is_tcp ? std::string(tcp) : uri, grpc::InsecureServerCredentials(),
                               &port);
    }
    services_->Register(builder);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || (!in_process && port == 0)) Die("cannot listen on " + uri);
    return is_tcp ? absl::StrCat(tcp.substr(0, tcp.rfind(':')), ":", port) : uri;
  }
  void StopServer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::unique_ptr<Client> Connect(const std::string& uri, const Parameters& parameters) override {
    grpc::ChannelArguments arguments;
    // Channels to one place would share a connection otherwise.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return std::make_unique<GrpcClient>(
        uri.rfind("inproc:", 0) == 0
            ? server_->InProcessChannel(arguments)
            : grpc::CreateCustomChannel(uri, grpc::InsecureChannelCredentials(), arguments),
        parameters);
  }

 private:
  std::unique_ptr<GrpcServices> services_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace
}  // namespace anywire::bench

int main(int argc, char** argv) {
  anywire::bench::GrpcSystem system;
  return anywire::bench::RunProgram(system, argc, argv);
}
