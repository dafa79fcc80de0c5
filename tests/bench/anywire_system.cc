// anywire under measurement.
//
// "bench_anywire messages CALLS" makes no calls and does only what protobuf has to do for as many:
// the part of the allocations that is not anywire's.
#include <stdio.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "anywire/builtin.h"
#include "anywire/channel.h"
#include "anywire/runtime.h"
#include "anywire/server.h"
#include "tests/bench/allocation_count.h"
#include "tests/bench/bench.anywire.h"
#include "tests/bench/program.h"
#include "tests/bench/system.h"

namespace anywire::bench {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(60);

// Transports that do not leave the process: server and client share one.
constexpr absl::string_view kInProcessSchemes[] = {"inproc"};

void Check(const absl::Status& status) {
  if (!status.ok()) Die(status.ToString());
}

class BenchService final : public Bench::Service {
 public:
  Task<absl::Status> Echo(ServerContext& /*context*/, const EchoMessage& request,
                          EchoMessage* reply) override {
    reply->set_payload(request.payload());
    co_return absl::OkStatus();
  }
  Task<absl::Status> Chat(ServerContext& /*context*/,
                          ServerReaderWriter<EchoMessage, EchoMessage>& stream) override {
    EchoMessage message;
    while (co_await stream.Read(&message)) {
      if (!co_await stream.Write(message)) break;
    }
    co_return absl::OkStatus();
  }
  Task<absl::Status> Upload(ServerContext& /*context*/, ServerReader<EchoMessage>& reader,
                            UploadSummary* summary) override {
    EchoMessage message;
    uint64_t messages = 0;
    while (co_await reader.Read(&message)) ++messages;
    summary->set_messages(messages);
    co_return absl::OkStatus();
  }
};

class WorkService final : public Work::BlockingService {
 public:
  absl::Status Do(ServerContext& /*context*/, const EchoMessage& request,
                  EchoMessage* reply) override {
    if (request.delay_us() > 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(request.delay_us()));
    }
    reply->set_payload(request.payload());
    return absl::OkStatus();
  }
};

// form=callback (the default) or coroutine: how calls are made that nobody waits for.
// service=bench (the default) or work.
class AnywireClient final : public Client {
 public:
  AnywireClient(const std::string& uri, const Parameters& parameters)
      : channel_(uri),
        bench_(channel_),
        work_(channel_),
        coroutines_(parameters.Text("form", "callback") == "coroutine"),
        works_(parameters.Text("service", "bench") == "work") {
    Check(channel_.status());
  }

  void Call(const EchoMessage& request) override {
    const absl::StatusOr<EchoMessage> reply = works_ ? work_.Do(request, {.timeout = kTimeout})
                                                     : bench_.Echo(request, {.timeout = kTimeout});
    Check(reply.status());
    CheckReply(request, reply->payload());
  }

  void Start(RepeatedCall& call) override {
    if (coroutines_) {
      Spawn(Repeat(bench_, call));
    } else {
      StartOnce(call);
    }
  }

  uint64_t Upload(const EchoMessage& message, const std::atomic<bool>& stop) override {
    ClientWriter<EchoMessage, UploadSummary> writer = bench_.Upload();
    while (!stop.load(std::memory_order_relaxed) && writer.Write(message)) {
    }
    const absl::StatusOr<UploadSummary> summary = writer.Finish();
    Check(summary.status());
    return summary->messages();
  }

  void Chat(const EchoMessage& message, ChatProgress& progress) override {
    ClientReaderWriter<EchoMessage, EchoMessage> stream = bench_.Chat();
    std::thread writer([&] {
      while (!progress.stop.load(std::memory_order_relaxed) && stream.Write(message)) {
      }
      stream.WritesDone();
    });
    EchoMessage reply;
    while (stream.Read(&reply)) progress.received.fetch_add(1, std::memory_order_relaxed);
    writer.join();
    Check(stream.Finish());
  }

 private:
  void StartOnce(RepeatedCall& call) {
    const auto on_reply = [this, &call](absl::StatusOr<EchoMessage> reply) {
      Check(reply.status());
      CheckReply(call.request(), reply->payload());
      if (call.OnReply()) StartOnce(call);
    };
    if (works_) {
      work_.Async().Do(call.request(), on_reply, {.timeout = kTimeout});
    } else {
      bench_.Async().Echo(call.request(), on_reply, {.timeout = kTimeout});
    }
  }
  static Task<void> Repeat(const Bench::Stub& stub, RepeatedCall& call) {
    bool again = true;
    while (again) {
      absl::StatusOr<EchoMessage> reply =
          co_await stub.Async().Echo(call.request(), {.timeout = kTimeout});
      Check(reply.status());
      CheckReply(call.request(), reply->payload());
      again = call.OnReply();
    }
  }

  const Channel channel_;
  const Bench::Stub bench_;
  const Work::Stub work_;
  const bool coroutines_;
  const bool works_;
};

class AnywireSystem final : public System {
 public:
  std::string StartServer(const std::string& uri, const Parameters& /*parameters*/) override {
    server_ = std::make_unique<Server>();
    server_->Listen(uri);
    server_->AddService(&bench_);
    server_->AddService(&work_);
    Check(server_->Start());
    return server_->addresses().front();
  }
  void StopServer() override {
    server_->Shutdown(absl::ZeroDuration());
    server_->Wait();
  }
  std::unique_ptr<Client> Connect(const std::string& uri, const Parameters& parameters) override {
    return std::make_unique<AnywireClient>(uri, parameters);
  }
  void PrintTransports(const std::string& folder) override {
    TransportRegistry registry;
    RegisterBuiltinTransports(registry);
    for (Transport* const transport : registry.transports()) {
      const std::string scheme(transport->scheme());
      const bool in_process =
          std::count(std::begin(kInProcessSchemes), std::end(kInProcessSchemes), scheme) > 0;
      puts(absl::StrCat(R"({"scheme": ")", scheme, R"(", "uri": ")", scheme, ":",
                        transport->FreshAddress(folder), R"(", "in_process": )",
                        in_process ? "true" : "false", "}")
               .c_str());
    }
  }

 private:
  BenchService bench_;
  WorkService work_;
  std::unique_ptr<Server> server_;
};

void CountMessageAllocations(int calls) {
  EchoMessage request;
  request.set_payload(std::string(64, 'x'));
  EchoMessage received;
  EchoMessage reply;
  char wire[128];
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
  anywire::Init(argc, argv);
  if (argc == 3 && std::string(argv[1]) == "messages") {
    anywire::bench::CountMessageAllocations(std::stoi(argv[2]));
    return 0;
  }
  anywire::bench::AnywireSystem system;
  return anywire::bench::RunProgram(system, argc, argv);
}
