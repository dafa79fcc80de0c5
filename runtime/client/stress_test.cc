// Many threads make calls of all forms on few channels at random, over transports that misbehave;
// every call must end once, with a status that it may end with, and a reply must be its own.
//
// The amount of work is fixed, not the time. ANYWIRE_TEST_SEED repeats a run's choices (not its
// interleaving).
#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "anywire/async_streams.h"
#include "anywire/builtin.h"
#include "anywire/cancellation.h"
#include "anywire/channel.h"
#include "anywire/runtime.h"
#include "anywire/server.h"
#include "anywire/service.h"
#include "anywire/streams.h"
#include "anywire/task.h"
#include "anywire/wait.h"
#include "google/protobuf/wrappers.pb.h"
#include "gtest/gtest.h"
#include "tests/support/fault_transport.h"
#include "tests/support/seed.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/watchdog.h"

namespace anywire::test {
namespace {

using absl::StatusCode;
using google::protobuf::StringValue;

constinit const Method kEcho("stress.Service/Echo", CallShape::kUnary);
constinit const Method kSlowEcho("stress.Service/SlowEcho", CallShape::kUnary);
constinit const Method kChat("stress.Service/Chat", CallShape::kBidiStreaming);

constexpr int kThreads = 8;

class StressService final : public Service {
 public:
  absl::string_view service_name() const override { return "stress.Service"; }
  void Bind(MethodBinder& binder) override {
    binder.Add(kEcho, this, &StressService::Echo);
    binder.Add(kSlowEcho, this, &StressService::SlowEcho);
    binder.Add(kChat, this, &StressService::Chat);
  }

 private:
  Task<absl::Status> Echo(ServerContext&, const StringValue& request, StringValue* reply) {
    *reply = request;
    co_return absl::OkStatus();
  }
  // On a worker thread.
  absl::Status SlowEcho(ServerContext&, const StringValue& request, StringValue* reply) {
    std::this_thread::yield();
    *reply = request;
    return absl::OkStatus();
  }
  Task<absl::Status> Chat(ServerContext&, ServerReaderWriter<StringValue, StringValue>& stream) {
    StringValue message;
    while (co_await stream.Read(&message)) {
      if (!co_await stream.Write(message)) break;
    }
    co_return absl::OkStatus();
  }
};

struct StressCase {
  const char* name;
  const char* scheme;
  bool faults;
  int rounds;
};

class StressTest : public ::testing::TestWithParam<StressCase> {
 protected:
  // One thread's part.
  class User {
   public:
    User(Runtime& runtime, const std::string& target, bool faults, uint64_t seed)
        : runtime_(runtime), target_(target), faults_(faults), random_(seed) {}

    void Run(int rounds, std::vector<std::unique_ptr<Channel>>& shared, absl::Mutex& mutex) {
      for (int i = 0; i < rounds; ++i) {
        Channel channel = [this, &shared, &mutex] {
          absl::MutexLock lock(&mutex);
          auto& chosen = shared[Random(shared.size())];
          // Now and then a channel goes, with all that is in progress on it.
          if (Random(40) == 0) chosen = std::make_unique<Channel>(runtime_, target_);
          return *chosen;
        }();
        switch (Random(8)) {
          case 0:
          case 1:
          case 2:
            Blocking(channel);
            break;
          case 3:
            Asynchronous(channel);
            break;
          case 4:
            Coroutine(channel);
            break;
          case 5:
            Cancelled(channel);
            break;
          case 6:
            Chat(channel);
            break;
          case 7:
            CallbackChain(channel);
            break;
        }
      }
    }

   private:
    size_t Random(size_t below) { return random_() % below; }
    std::string Body() {
      return absl::StrCat(random_(), ":",
                          std::string(Random(20) == 0 ? 100'000 : Random(300), 'b'));
    }
    const Method& AnyUnary() { return Random(4) == 0 ? kSlowEcho : kEcho; }
    CallOptions AnyOptions() {
      CallOptions options;
      if (Random(8) == 0) options.timeout = absl::Microseconds(Random(3000));
      if (Random(4) == 0) options.timeout = absl::Seconds(100);
      return options;
    }
    void Check(const absl::Status& status, const CallOptions& options, bool cancelled = false) {
      if (status.ok()) return;
      switch (status.code()) {
        case StatusCode::kDeadlineExceeded:
          EXPECT_LT(options.timeout.value_or(absl::InfiniteDuration()), absl::Seconds(100))
              << status;
          return;
        case StatusCode::kCancelled:
          EXPECT_TRUE(cancelled) << status;
          return;
        case StatusCode::kUnavailable:
          EXPECT_TRUE(faults_) << status;
          return;
        default:
          ADD_FAILURE() << status;
      }
    }

    void Blocking(const Channel& channel) {
      StringValue request, reply;
      request.set_value(Body());
      const CallOptions options = AnyOptions();
      const absl::Status status = channel.Call(AnyUnary(), request, &reply, options);
      Check(status, options);
      if (status.ok()) {
        EXPECT_EQ(reply.value(), request.value());
      }
    }

    void Asynchronous(const Channel& channel) {
      struct Call final : Operation {
        void Done(bool ok) override {
          EXPECT_EQ(ok, status.ok());
          done.Notify();  // twice would be fatal
        }
        StringValue request, reply;
        absl::Status status;
        absl::Notification done;
      };
      std::vector<std::unique_ptr<Call>> calls;
      const CallOptions options = AnyOptions();
      const size_t count = 1 + Random(16);
      for (size_t i = 0; i < count; ++i) {
        Call& call = *calls.emplace_back(std::make_unique<Call>());
        call.request.set_value(Body());
        channel.StartCall(AnyUnary(), call.request, &call.reply, &call.status, options, call);
        if (Random(4) == 0) Blocking(channel);
      }
      for (auto& call : calls) {
        call->done.WaitForNotification();
        Check(call->status, options);
        if (call->status.ok()) {
          EXPECT_EQ(call->reply.value(), call->request.value());
        }
      }
    }

    static Task<absl::Status> Several(const Channel& channel, const std::string& body, int count,
                                      CallOptions options) {
      StringValue request;
      request.set_value(body);
      for (int i = 0; i < count; ++i) {
        UnaryCall<StringValue, StringValue> call(channel, kEcho, request, options);
        absl::StatusOr<StringValue> reply = co_await std::move(call);
        if (!reply.ok()) co_return reply.status();
        EXPECT_EQ(reply->value(), body);
      }
      co_return absl::OkStatus();
    }
    void Coroutine(const Channel& channel) {
      const CallOptions options = AnyOptions();
      Check(Wait(Several(channel, Body(), 1 + static_cast<int>(Random(8)), options)), options);
    }

    void Cancelled(const Channel& channel) {
      CancellationSource source;
      CallOptions options = AnyOptions();
      options.cancellation = &source.token();
      std::thread canceller([&source, spins = Random(2000)] {
        for (size_t i = 0; i < spins; ++i) std::this_thread::yield();
        source.Cancel();
      });
      if (Random(2) == 0) {
        StringValue request, reply;
        request.set_value(Body());
        Check(channel.Call(AnyUnary(), request, &reply, options), options, true);
      } else {
        Check(Wait(Several(channel, Body(), 20, options)), options, true);
      }
      canceller.join();
    }

    // Each reply is asked for in the callback of the one before.
    void CallbackChain(const Channel& channel) {
      struct Chain : Operation {
        void Done(bool ok) override {
          if (!ok || --left == 0) {
            done.Notify();
            return;
          }
          channel->StartCall(kEcho, request, &reply, &status, {}, *this);
        }
        const Channel* channel;
        StringValue request, reply;
        absl::Status status;
        int left;
        absl::Notification done;
      };
      Chain chain;
      chain.channel = &channel;
      chain.request.set_value(Body());
      chain.left = 1 + static_cast<int>(Random(20));
      channel.StartCall(kEcho, chain.request, &chain.reply, &chain.status, {}, chain);
      if (Random(2) == 0) Blocking(channel);
      chain.done.WaitForNotification();
      Check(chain.status, {});
    }

    void Chat(const Channel& channel) {
      const CallOptions options = AnyOptions();
      ClientReaderWriter<StringValue, StringValue> stream(
          channel.StartStream(kChat, nullptr, options));
      const int count = static_cast<int>(Random(30));
      const std::string body = Body();
      const size_t end = Random(4);
      std::thread writer([&stream, &body, count, end] {
        StringValue message;
        for (int i = 0; i < count; ++i) {
          message.set_value(absl::StrCat(i, body));
          if (!stream.Write(message)) return;
        }
        if (end == 0) {
          stream.Cancel();
        } else {
          stream.WritesDone();
        }
      });
      StringValue message;
      int read = 0;
      const int wanted = end == 1 ? count / 2 : count;  // the rest is dropped by Finish
      for (; read < wanted && stream.Read(&message); ++read) {
        EXPECT_EQ(message.value(), absl::StrCat(read, body));
      }
      // Who does not read on must say so, or the writer waits for the reader's credit for ever.
      if (end == 2) stream.Cancel();
      const absl::Status status = stream.Finish();
      writer.join();
      Check(status, options, /*cancelled=*/end == 0 || end == 2);
      if (status.ok()) {
        EXPECT_EQ(read, wanted);
      }
    }

    Runtime& runtime_;
    const std::string target_;
    const bool faults_;
    std::mt19937_64 random_;
  };
};

TEST_P(StressTest, EveryCallEndsOnceAsItShould) {
  const StressCase& param = GetParam();
  const Watchdog watchdog(param.name, absl::Seconds(120));
  const uint64_t seed = TestSeed(20221122);
  const TempDir directory;

  FaultPlan plan;
  plan.seed = seed;
  if (param.faults) {
    plan.max_delay = absl::Microseconds(200);
    plan.refusals_per_mille = 20;
    plan.room = 64 << 10;
    plan.reorder_streams = true;
  }
  FaultControl faults(plan);
  TransportRegistry registry;
  RegisterBuiltinTransports(registry);
  if (param.faults) registry = WithFaults(std::move(registry), faults);
  std::string uri;
  for (Transport* transport : registry.transports()) {
    if (transport->scheme() == param.scheme) {
      uri = absl::StrCat(param.scheme, ":", transport->FreshAddress(directory.path()));
    }
  }
  ASSERT_NE(uri, "");

  Runtime runtime(std::move(registry));
  StressService service;
  Server server(runtime);
  server.Listen(uri);
  server.AddService(&service);
  ASSERT_OK(server.Start());
  const std::string target = server.addresses()[0];

  {
    absl::Mutex mutex;
    std::vector<std::unique_ptr<Channel>> channels;
    for (int i = 0; i < 3; ++i) channels.push_back(std::make_unique<Channel>(runtime, target));
    std::atomic<int> running{kThreads};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&runtime, &target, &param, &channels, &mutex, &running, seed, i] {
        User user(runtime, target, param.faults, seed + static_cast<uint64_t>(i));
        user.Run(param.rounds / BuildSlowness(), channels, mutex);
        --running;
      });
    }
    // The path breaks again and again, each time when some frames more have travelled.
    uint64_t cut_at = 500;
    while (param.faults && running > 0) {
      if (faults.frames() >= cut_at) {
        faults.CutAll();
        cut_at = faults.frames() + 500;
      }
      std::this_thread::yield();
    }
    for (std::thread& thread : threads) thread.join();
  }
  server.Shutdown(absl::Seconds(10));
  server.Wait();
}

INSTANTIATE_TEST_SUITE_P(All, StressTest,
                         ::testing::Values(StressCase{"Inproc", "inproc", false, 400},
                                           StressCase{"Unix", "unix", false, 400},
                                           StressCase{"InprocWithFaults", "inproc", true, 150},
                                           StressCase{"UnixWithFaults", "unix", true, 150}),
                         [](const ::testing::TestParamInfo<StressCase>& info) {
                           return info.param.name;
                         });

}  // namespace
}  // namespace anywire::test
