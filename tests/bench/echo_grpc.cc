// gRPC's echo: a handler of its synchronous API, a blocking client.
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/strings/strip.h"
#include "tests/bench/echo.grpc.pb.h"
#include "tests/bench/load.h"

namespace anywire::bench {
namespace {

// "unix:///path" is gRPC's own form as well.
std::string GrpcAddress(absl::string_view uri) {
  absl::ConsumePrefix(&uri, "tcp://");
  return std::string(uri);
}

class EchoService final : public Echo::Service {
 public:
  grpc::Status Echo(grpc::ServerContext* /*context*/, const EchoMessage* request,
                    EchoMessage* reply) override {
    reply->set_payload(request->payload());
    return grpc::Status::OK;
  }
  grpc::Status ReportUsage(grpc::ServerContext* /*context*/, const UsageRequest* /*request*/,
                           Usage* reply) override {
    const ProcessUsage usage = OwnUsage();
    reply->set_cpu_ns(usage.cpu_ns);
    reply->set_allocations(usage.allocations);
    return grpc::Status::OK;
  }
};

class Client final : public EchoClient {
 public:
  explicit Client(const std::string& uri)
      : stub_(Echo::NewStub(
            grpc::CreateChannel(GrpcAddress(uri), grpc::InsecureChannelCredentials()))) {
    request_.set_payload(std::string(kPayloadSize, 'x'));
  }
  void Echo() override {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    EchoMessage reply;
    const grpc::Status status = stub_->Echo(&context, request_, &reply);
    if (!status.ok()) Die(status.error_message());
    if (reply.payload() != request_.payload()) Die("a wrong reply");
  }
  ProcessUsage ServerUsage() override {
    grpc::ClientContext context;
    Usage usage;
    const grpc::Status status = stub_->ReportUsage(&context, UsageRequest(), &usage);
    if (!status.ok()) Die(status.error_message());
    return {.cpu_ns = usage.cpu_ns(), .allocations = usage.allocations()};
  }

 private:
  const std::unique_ptr<bench::Echo::Stub> stub_;
  EchoMessage request_;
};

void Serve(const std::string& uri) {
  EchoService service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(GrpcAddress(uri), grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) Die("cannot listen on " + uri);
  ServeUntilStdinCloses();
  server->Shutdown();
}

}  // namespace
}  // namespace anywire::bench

int main(int argc, char** argv) {
  using namespace anywire::bench;
  Run<Client>(ParseCommand(argc, argv), &Serve);
}
