// Cap'n Proto RPC under measurement: the two-party protocol, a loop on each side. Its client's loop
// runs on the thread that made the client, as Cap'n Proto wants it, so only that thread makes
// calls.
#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>
#include <kj/thread.h>

#include <future>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "tests/bench/bench.capnp.h"
#include "tests/bench/program.h"
#include "tests/bench/system.h"

namespace anywire::bench {
namespace {

using Schema = capnp_schema::Bench;

// "unix:///path" and "tcp://127.0.0.1:0" as kj writes them.
std::string KjAddress(absl::string_view uri) {
  const bool is_tcp = absl::StartsWith(uri, "tcp:");
  absl::ConsumePrefix(&uri, "tcp:");
  absl::ConsumePrefix(&uri, "unix:");
  absl::ConsumePrefix(&uri, "//");
  return is_tcp ? std::string(uri) : absl::StrCat("unix:", uri);
}

[[noreturn]] void DieOf(const kj::Exception& exception) { Die(exception.getDescription().cStr()); }

class SinkServer final : public Schema::Sink::Server {
 public:
  kj::Promise<void> write(WriteContext) override {
    ++messages_;
    return kj::READY_NOW;
  }
  kj::Promise<void> finish(FinishContext context) override {
    context.getResults().setMessages(messages_);
    return kj::READY_NOW;
  }

 private:
  uint64_t messages_ = 0;
};

class BenchServer final : public Schema::Server {
 public:
  explicit BenchServer(kj::Timer& timer) : timer_(timer) {}
  kj::Promise<void> echo(EchoContext context) override {
    context.getResults().setPayload(context.getParams().getPayload());
    return kj::READY_NOW;
  }
  kj::Promise<void> work(WorkContext context) override {
    const uint32_t delay = context.getParams().getDelayUs();
    kj::Promise<void> ready = kj::READY_NOW;
    if (delay > 0) ready = timer_.afterDelay(delay * kj::MICROSECONDS);
    return ready.then(
        [context]() mutable { context.getResults().setPayload(context.getParams().getPayload()); });
  }
  kj::Promise<void> upload(UploadContext context) override {
    context.getResults().setSink(kj::heap<SinkServer>());
    return kj::READY_NOW;
  }

 private:
  kj::Timer& timer_;
};

// This thread's loop, as long as the thread.
kj::AsyncIoContext& Io() {
  thread_local kj::AsyncIoContext io = kj::setupAsyncIo();
  return io;
}

capnp::Data::Reader DataOf(const EchoMessage& message) {
  return {reinterpret_cast<const kj::byte*>(message.payload().data()), message.payload().size()};
}

absl::string_view ViewOf(capnp::Data::Reader data) {
  return {reinterpret_cast<const char*>(data.begin()), data.size()};
}

class CapnpClient final : public Client {
 public:
  CapnpClient(const std::string& address, const Parameters& parameters)
      : stream_(Io().provider->getNetwork()
                    .parseAddress(address.c_str())
                    .wait(Io().waitScope)
                    ->connect()
                    .wait(Io().waitScope)),
        client_(*stream_),
        bench_(client_.bootstrap().castAs<Schema>()),
        works_(parameters.Text("service", "bench") == "work") {}

  // kj's destructors may throw.
  ~CapnpClient() noexcept override {}

  void Call(const EchoMessage& request) override {
    auto call = bench_.echoRequest();
    call.setPayload(DataOf(request));
    const auto reply = call.send().wait(Io().waitScope);
    CheckReply(request, ViewOf(reply.getPayload()));
  }

  void Start(RepeatedCall& call) override {
    const EchoMessage& message = call.request();
    if (works_) {
      auto request = bench_.workRequest();
      request.setPayload(DataOf(message));
      request.setDelayUs(message.delay_us());
      Send(request, call);
    } else {
      auto request = bench_.echoRequest();
      request.setPayload(DataOf(message));
      Send(request, call);
    }
  }

  uint64_t Upload(const EchoMessage& message, const std::atomic<bool>& stop) override {
    auto sink = bench_.uploadRequest().send().getSink();
    while (!stop.load(std::memory_order_relaxed)) {
      auto request = sink.writeRequest();
      request.setPayload(DataOf(message));
      // Is done when more may be written.
      request.send().wait(Io().waitScope);
    }
    return sink.finishRequest().send().wait(Io().waitScope).getMessages();
  }

  void Chat(const EchoMessage& /*message*/, ChatProgress& /*progress*/) override {
    Die("Cap'n Proto has no streams that go both ways");
  }

  void SleepUntil(std::chrono::steady_clock::time_point time) override {
    using std::chrono::steady_clock;
    for (auto now = steady_clock::now(); now < time; now = steady_clock::now()) {
      const auto left = std::chrono::duration_cast<std::chrono::microseconds>(time - now);
      Io().provider->getTimer().afterDelay(left.count() * kj::MICROSECONDS).wait(Io().waitScope);
    }
  }

 private:
  template <typename Request>
  void Send(Request& request, RepeatedCall& call) {
    request.send()
        .then([this, &call](auto&& reply) {
          CheckReply(call.request(), ViewOf(reply.getPayload()));
          if (call.OnReply()) Start(call);
        })
        .detach([](kj::Exception&& exception) { DieOf(exception); });
  }

  kj::Own<kj::AsyncIoStream> stream_;
  capnp::TwoPartyClient client_;
  Schema::Client bench_;
  const bool works_;
};

class CapnpSystem final : public System {
 public:
  ~CapnpSystem() noexcept override {}
  std::string StartServer(const std::string& uri, const Parameters& /*parameters*/) override {
    std::promise<std::string> address;
    thread_ = std::thread([this, uri, &address] { Serve(uri, address); });
    return address.get_future().get();
  }
  void StopServer() override {
    stop_->fulfill();
    thread_.join();
  }
  std::unique_ptr<Client> Connect(const std::string& uri, const Parameters& parameters) override {
    return std::make_unique<CapnpClient>(uri, parameters);
  }

 private:
  void Serve(const std::string& uri, std::promise<std::string>& address) {
    try {
      kj::AsyncIoContext io = kj::setupAsyncIo();
      const std::string kj_address = KjAddress(uri);
      auto listener =
          io.provider->getNetwork().parseAddress(kj_address.c_str()).wait(io.waitScope)->listen();
      capnp::TwoPartyServer server(kj::heap<BenchServer>(io.provider->getTimer()));
      kj::Promise<void> serving = server.listen(*listener);
      auto stop = kj::newPromiseAndCrossThreadFulfiller<void>();
      stop_ = kj::mv(stop.fulfiller);
      address.set_value(absl::StartsWith(kj_address, "unix:")
                            ? kj_address
                            : absl::StrCat("127.0.0.1:", listener->getPort()));
      stop.promise.exclusiveJoin(kj::mv(serving)).wait(io.waitScope);
    } catch (const kj::Exception& exception) {
      DieOf(exception);
    }
  }

  std::thread thread_;
  kj::Own<kj::CrossThreadPromiseFulfiller<void>> stop_;
};

}  // namespace
}  // namespace anywire::bench

int main(int argc, char** argv) {
  try {
    anywire::bench::CapnpSystem system;
    return anywire::bench::RunProgram(system, argc, argv);
  } catch (const kj::Exception& exception) {
    anywire::bench::DieOf(exception);
  }
}
