// anywire's echo: a coroutine handler, a blocking client.
//
// "echo_anywire messages CALLS" makes no calls and does only what protobuf has to do for as many:
// the part of the allocations that is not anywire's.
#include <stdio.h>

#include <string>

#include "anywire/channel.h"
#include "anywire/runtime.h"
#include "anywire/server.h"
#include "tests/bench/allocation_count.h"
#include "tests/bench/echo.anywire.h"
#include "tests/bench/load.h"

namespace anywire::bench {
namespace {

class EchoService final : public Echo::Service {
 public:
  Task<absl::Status> Echo(ServerContext& /*context*/, const EchoMessage& request,
                          EchoMessage* reply) override {
    reply->set_payload(request.payload());
    co_return absl::OkStatus();
  }
  Task<absl::Status> ReportUsage(ServerContext& /*context*/, const UsageRequest& /*request*/,
                                 Usage* reply) override {
    const ProcessUsage usage = OwnUsage();
    reply->set_cpu_ns(usage.cpu_ns);
    reply->set_allocations(usage.allocations);
    co_return absl::OkStatus();
  }
};

class Client final : public EchoClient {
 public:
  explicit Client(const std::string& uri) : stub_(Channel(uri)) {
    request_.set_payload(std::string(kPayloadSize, 'x'));
  }
  void Echo() override {
    const absl::StatusOr<EchoMessage> reply = stub_.Echo(request_, {.timeout = absl::Seconds(60)});
    if (!reply.ok()) Die(reply.status().ToString());
    if (reply->payload() != request_.payload()) Die("a wrong reply");
  }
  ProcessUsage ServerUsage() override {
    const absl::StatusOr<Usage> usage = stub_.ReportUsage(UsageRequest());
    if (!usage.ok()) Die(usage.status().ToString());
    return {.cpu_ns = usage->cpu_ns(), .allocations = usage->allocations()};
  }

 private:
  const bench::Echo::Stub stub_;
  EchoMessage request_;
};

void Serve(const std::string& uri) {
  EchoService service;
  Server server;
  server.Listen(uri);
  server.AddService(&service);
  if (const absl::Status status = server.Start(); !status.ok()) Die(status.ToString());
  ServeUntilStdinCloses();
  server.Shutdown(absl::ZeroDuration());
  server.Wait();
}

void CountMessageAllocations(int calls) {
  EchoMessage request;
  request.set_payload(std::string(kPayloadSize, 'x'));
  EchoMessage received;
  EchoMessage reply;
  char wire[2 * kPayloadSize];
  const uint64_t before = AllocationCount();
  for (int i = 0; i < calls; ++i) {
    request.SerializeToArray(wire, sizeof wire);
    received.ParseFromArray(wire, static_cast<int>(request.ByteSizeLong()));
    reply.set_payload(received.payload());
    reply.SerializeToArray(wire, sizeof wire);
    EchoMessage answered;
    answered.ParseFromArray(wire, static_cast<int>(reply.ByteSizeLong()));
    if (answered.payload() != request.payload()) Die("a wrong reply");
  }
  printf("{\"allocations\": %.3f}\n", static_cast<double>(AllocationCount() - before) / calls);
}

}  // namespace
}  // namespace anywire::bench

int main(int argc, char** argv) {
  using namespace anywire::bench;
  anywire::Init(argc, argv);
  if (argc == 3 && std::string(argv[1]) == "messages") {
    CountMessageAllocations(std::stoi(argv[2]));
    return 0;
  }
  Run<Client>(ParseCommand(argc, argv), &Serve);
}
