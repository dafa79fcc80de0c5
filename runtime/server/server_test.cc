// How a server starts, what it refuses, and how it ends.
#include "anywire/server.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "anywire/awaitable.h"
#include "anywire/builtin.h"
#include "anywire/cancellation.h"
#include "anywire/delivery.h"
#include "anywire/event_loop.h"
#include "anywire/registry.h"
#include "anywire/runtime.h"
#include "anywire/transport.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/config/config.h"
#include "runtime/process/runtime_core.h"
#include "runtime/server/raw_client.h"
#include "runtime/server/test_service.h"
#include "tests/support/no_more_threads.h"

namespace anywire {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(30);

// Inproc with a Listen that waits at a gate.
class GatedTransport final : public Transport {
 public:
  struct Gate {
    absl::Notification reached, open;
  };
  GatedTransport(Transport& inproc, Gate& gate) : inproc_(inproc), gate_(gate) {}

  absl::string_view scheme() const override { return "gated"; }
  absl::Status CheckAddress(absl::string_view) const override { return absl::OkStatus(); }
  kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> Connect(
      EventLoop& loop, absl::string_view address, const ConnectOptions& options) override {
    return inproc_.Connect(loop, address, options);
  }
  absl::StatusOr<std::unique_ptr<Listener>> Listen(EventLoop& loop, absl::string_view address,
                                                   const ListenOptions& options) override {
    if (!gate_.reached.HasBeenNotified()) gate_.reached.Notify();
    gate_.open.WaitForNotificationWithTimeout(kPatience);
    return inproc_.Listen(loop, address, options);
  }
  std::string FreshAddress(absl::string_view) override { return "gated"; }

 private:
  Transport& inproc_;
  Gate& gate_;
};

// A connection whose client never says a word, and does not go when it is told to.
class SilentClient {
 public:
  SilentClient(const TransportRegistry& registry, absl::string_view uri) : loop_("silent-client") {
    const TransportRegistry::Target target = *registry.Resolve(uri);
    absl::Notification connected;
    loop_.Post([this, &target, &connected] {
      loop_.Detach(
          target.transport->Connect(loop_, target.address, {})
              .then([this, &connected](absl::StatusOr<std::unique_ptr<Connection>> connection) {
                EXPECT_TRUE(connection.ok()) << connection.status();
                if (connection.ok()) connection_ = *std::move(connection);
                connected.Notify();
              }),
          "connect");
    });
    EXPECT_TRUE(connected.WaitForNotificationWithTimeout(kPatience));
  }
  ~SilentClient() {
    loop_.RunAndWait([this] { connection_ = nullptr; });
  }

 private:
  EventLoop loop_;
  std::unique_ptr<Connection> connection_;
};

class ServerTest : public testing::Test {
 protected:
  void Configure(absl::string_view text) {
    TransportRegistry registry;
    RegisterBuiltinTransports(registry);
    Transport& inproc = *registry.Resolve("inproc:any")->transport;
    EXPECT_TRUE(registry.Register(std::make_unique<GatedTransport>(inproc, *gate_)).ok());
    runtime_ = std::make_unique<Runtime>(std::move(registry),
                                         *config::ParseConfig(text, config::Format::kText, "test"));
  }
  std::unique_ptr<Server> NewServer(const std::vector<std::string>& targets) {
    if (runtime_ == nullptr) Configure("");
    auto server = std::make_unique<Server>(*runtime_);
    server->AddService(&service_);
    for (const std::string& target : targets) server->Listen(target);
    return server;
  }
  std::unique_ptr<RawClient> NewClient(const std::string& uri) {
    return std::make_unique<RawClient>(runtime_->core().registry(), uri);
  }
  bool Answers(const std::string& uri) {
    return NewClient(uri)->Call(kEcho, Wire("?"))->WaitForEnd().ok();
  }
  // A handler that runs until its call is cancelled or `release_` is notified.
  void HoldEcho(bool heeds_cancellation = true) {
    service_.blocking_echo = [this, heeds_cancellation](ServerContext& context, const Text&,
                                                        Text*) {
      ++running_;
      const absl::Time give_up = absl::Now() + kPatience;
      while (!release_.HasBeenNotified() && absl::Now() < give_up &&
             !(heeds_cancellation && context.cancelled())) {
        release_.WaitForNotificationWithTimeout(absl::Milliseconds(1));
      }
      return absl::OkStatus();
    };
  }
  void WaitUntilRunning() {
    while (running_ == 0) std::this_thread::yield();
  }

  TestService service_;
  absl::Notification release_;
  std::atomic<int> running_ = 0;
  std::unique_ptr<GatedTransport::Gate> gate_ = std::make_unique<GatedTransport::Gate>();
  std::unique_ptr<Runtime> runtime_;
};

TEST_F(ServerTest, ListensOnSeveralAddressesAtOnce) {
  Configure(R"(service { name: "echo" listen: "inproc:a" listen: "tcp://127.0.0.1:0" })");
  const auto server = NewServer({"echo", "inproc:b"});
  ASSERT_TRUE(server->Start().ok());
  const std::vector<std::string> addresses = server->addresses();
  ASSERT_EQ(addresses.size(), 3u);
  EXPECT_EQ(addresses[0], "inproc:a");
  EXPECT_NE(addresses[1], "tcp://127.0.0.1:0");
  for (const std::string& address : addresses) EXPECT_TRUE(Answers(address)) << address;
}

TEST_F(ServerTest, AFailedStartNamesTheReasonAndLeavesNothingOpen) {
  const auto first = NewServer({"inproc:taken"});
  ASSERT_TRUE(first->Start().ok());
  struct Case {
    std::vector<std::string> targets;
    absl::StatusCode code;
    std::string text;
  };
  for (const Case& wrong :
       {Case{{"inproc:free", "inproc:taken"},
             absl::StatusCode::kAlreadyExists,
             "cannot listen on inproc:taken"},
        Case{{"inproc:free", "no-such-name"}, absl::StatusCode::kNotFound, "no-such-name"},
        Case{{"inproc:free", "carrier-pigeon:loft"},
             absl::StatusCode::kInvalidArgument,
             "carrier-pigeon"},
        Case{{}, absl::StatusCode::kFailedPrecondition, "no address to listen on"}}) {
    const auto server = NewServer(wrong.targets);
    const absl::Status status = server->Start();
    EXPECT_EQ(status.code(), wrong.code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(wrong.text));
    EXPECT_TRUE(server->addresses().empty());
    server->Wait();  // not at all
    const auto other = NewServer({"inproc:free"});
    EXPECT_TRUE(other->Start().ok());
  }
  EXPECT_TRUE(Answers("inproc:taken"));
}

TEST_F(ServerTest, TwoServicesOfOneNameAreAMistake) {
  const auto server = NewServer({"inproc:twice"});
  TestService second;
  server->AddService(&second);
  EXPECT_EQ(server->Start(),
            absl::AlreadyExistsError("the server has two services named test.Service"));
}

TEST_F(ServerTest, StartsOnce) {
  const auto server = NewServer({"inproc:once"});
  ASSERT_TRUE(server->Start().ok());
  EXPECT_EQ(server->Start().code(), absl::StatusCode::kFailedPrecondition);
  server->Shutdown(absl::ZeroDuration());
  server->Wait();
  EXPECT_EQ(server->Start().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ServerTest, AShutdownWhileItStartsLeavesNothingOpen) {
  struct Case {
    std::vector<std::string> targets;
    absl::StatusCode start;
  };
  for (const Case& shut_down : {Case{{"inproc:before", "gated:last"}, absl::StatusCode::kOk},
                                Case{{"inproc:before", "gated:last", "inproc:after"},
                                     absl::StatusCode::kFailedPrecondition}}) {
    SCOPED_TRACE(shut_down.targets.size());
    runtime_ = nullptr;
    gate_ = std::make_unique<GatedTransport::Gate>();
    const auto server = NewServer(shut_down.targets);
    absl::Status status;
    std::thread starter([&status, &server] { status = server->Start(); });
    ASSERT_TRUE(gate_->reached.WaitForNotificationWithTimeout(kPatience));
    server->Shutdown(absl::ZeroDuration());
    gate_->open.Notify();
    starter.join();
    server->Wait();
    EXPECT_EQ(status.code(), shut_down.start) << status;
    for (const std::string& target : shut_down.targets) {
      const auto other = NewServer({target});
      EXPECT_TRUE(other->Start().ok()) << target;
    }
  }
}

TEST_F(ServerTest, AServerThatStartedNeedsNoThreadToEnd) {
  const auto server = NewServer({"inproc:ends"});
  ASSERT_TRUE(server->Start().ok());
  const test::NoMoreThreads none;
  server->Shutdown(absl::ZeroDuration());
  server->Wait();
}

TEST_F(ServerTest, WithoutThreadsStartFails) {
  Configure("runtime { io_threads: 1 }");
  // Without the loop's, and with it.
  for (int i = 0; i < 2; ++i) {
    {
      const auto server = NewServer({"inproc:threads"});
      const test::NoMoreThreads none;
      EXPECT_EQ(server->Start().code(), absl::StatusCode::kResourceExhausted);
      server->Wait();
    }
    const auto server = NewServer({"inproc:threads"});
    EXPECT_TRUE(server->Start().ok());
  }
}

TEST_F(ServerTest, UnreadMessagesOfAllServersHaveOneLimit) {
  Configure(
      "runtime { process_buffer: \"1MiB\" } limits { call_window: \"4MiB\" "
      "max_receive_message_size: \"2MiB\" }");
  Door door;
  service_.upload = [&door](ServerContext& context, Reader& reader, Text*) -> Task<absl::Status> {
    co_await door.Pass();
    Text request;
    int read = 0;
    while (co_await reader.Read(&request)) ++read;
    co_return context.cancelled() || read != 1 ? absl::AbortedError("read") : absl::OkStatus();
  };
  const auto first = NewServer({"inproc:first"});
  const auto second = NewServer({"inproc:second"});
  ASSERT_TRUE(first->Start().ok());
  ASSERT_TRUE(second->Start().ok());
  const auto to_first = NewClient("inproc:first");
  const auto to_second = NewClient("inproc:second");
  const auto kept = to_first->Open(kUpload);
  kept->Send(Wire(std::string(600'000, 'a')));
  // When this has been answered, the server has that.
  EXPECT_TRUE(to_first->Call(kEcho, Wire(""))->WaitForEnd().ok());
  const auto refused = to_second->Open(kUpload);
  refused->Send(Wire(std::string(600'000, 'b')));
  EXPECT_EQ(refused->WaitForEnd().code(), absl::StatusCode::kResourceExhausted);
  kept->HalfClose();
  door.Open();
  EXPECT_TRUE(kept->WaitForEnd().ok());
}

TEST_F(ServerTest, AServerThatNeverStartedEndsAtOnce) {
  const auto server = NewServer({"inproc:never"});
  server->Shutdown();
  server->Wait();
}

TEST_F(ServerTest, TheAddressIsFreeAfterTheEnd) {
  for (int i = 0; i < 3; ++i) {
    const auto server = NewServer({"inproc:again"});
    ASSERT_TRUE(server->Start().ok());
    EXPECT_TRUE(Answers("inproc:again"));
  }
}

TEST_F(ServerTest, MoreConnectionsThanTheLimitAreClosed) {
  Configure(R"(service { name: "few" listen: "inproc:few" max_connections: 2 })");
  const auto server = NewServer({"few"});
  ASSERT_TRUE(server->Start().ok());
  auto first = NewClient("inproc:few");
  const auto second = NewClient("inproc:few");
  EXPECT_TRUE(first->Call(kEcho, Wire(""))->WaitForEnd().ok());
  EXPECT_TRUE(second->Call(kEcho, Wire(""))->WaitForEnd().ok());
  {
    const auto third = NewClient("inproc:few");
    EXPECT_TRUE(third->WaitForLoss());
  }
  EXPECT_TRUE(second->Call(kEcho, Wire(""))->WaitForEnd().ok());
  first = nullptr;
  // The server hears of it soon.
  const absl::Time give_up = absl::Now() + kPatience;
  while (!Answers("inproc:few") && absl::Now() < give_up) std::this_thread::yield();
  EXPECT_LT(absl::Now(), give_up);
}

TEST_F(ServerTest, ADrainWaitsForRunningCallsAndTakesNoNewOnes) {
  HoldEcho();
  const auto server = NewServer({"inproc:drain"});
  ASSERT_TRUE(server->Start().ok());
  auto client = NewClient("inproc:drain");
  const auto call = client->Call(kBlockingEcho, Wire(""));
  WaitUntilRunning();
  server->Shutdown(absl::InfiniteDuration());
  while (!client->endpoint()->retired()) std::this_thread::yield();
  absl::Status late;
  client->endpoint()->Run([&late](protocol::Protocol& protocol, protocol::Protocol::Events&) {
    protocol::Protocol::OpenRequest request;
    request.method = {.full_name = kEcho.full_name(), .index = kEcho.index()};
    bool queued = false;
    late = protocol.Open(request, std::chrono::steady_clock::now(), &queued).status();
  });
  EXPECT_EQ(late.code(), absl::StatusCode::kUnavailable);
  release_.Notify();
  EXPECT_TRUE(call->WaitForEnd().ok());
  server->Wait();
  EXPECT_TRUE(client->WaitForLoss());
}

TEST_F(ServerTest, AtTheEndOfTheDrainCallsAreEnded) {
  HoldEcho();
  const auto server = NewServer({"inproc:impatient"});
  ASSERT_TRUE(server->Start().ok());
  const auto client = NewClient("inproc:impatient");
  const auto call = client->Call(kBlockingEcho, Wire(""));
  WaitUntilRunning();
  server->Shutdown(absl::Milliseconds(20));
  const absl::Status status = call->WaitForEnd();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), "the server shut down before the call had ended");
  server->Wait();
}

TEST_F(ServerTest, ASecondShutdownShortensTheFirst) {
  HoldEcho();
  const auto server = NewServer({"inproc:shorter"});
  ASSERT_TRUE(server->Start().ok());
  const auto client = NewClient("inproc:shorter");
  const auto call = client->Call(kBlockingEcho, Wire(""));
  WaitUntilRunning();
  server->Shutdown(absl::InfiniteDuration());
  server->Shutdown(absl::ZeroDuration());
  server->Shutdown(absl::InfiniteDuration());
  EXPECT_EQ(call->WaitForEnd().code(), absl::StatusCode::kUnavailable);
  server->Wait();
}

// Clients that stay are given a while to go, and less when there is no more time to drain, however
// long the drain has been going on: here for longer than such a while, which another server has
// given meanwhile. A third one, which starts to then, is not through with it when the first ends.
TEST_F(ServerTest, AShortenedDrainDoesNotLinger) {
  Configure("limits { handshake_timeout: \"1h\" }");
  const auto start = [this](const char* address) {
    auto server = NewServer({address});
    EXPECT_TRUE(server->Start().ok());
    return server;
  };
  const auto linger = [this, &start](const char* address, absl::Duration drain) {
    const auto server = start(address);
    const SilentClient stays(runtime_->core().registry(), address);
    server->Shutdown(drain);
    server->Wait();
  };
  bool earlier = false;
  // A machine that stalls may let the third one overtake.
  for (int round = 0; round < 5 && !earlier; ++round) {
    running_ = 0;
    HoldEcho();
    const auto server = start("inproc:lingers");
    const SilentClient silent(runtime_->core().registry(), "inproc:lingers");
    const auto client = NewClient("inproc:lingers");
    const auto call = client->Call(kBlockingEcho, Wire(""));
    WaitUntilRunning();
    server->Shutdown(absl::InfiniteDuration());
    linger("inproc:meanwhile", absl::InfiniteDuration());
    const auto patient = start("inproc:patient");
    const SilentClient stays(runtime_->core().registry(), "inproc:patient");
    std::atomic<bool> patient_ended = false;
    patient->Shutdown(absl::InfiniteDuration());
    std::thread waiter([&patient, &patient_ended] {
      patient->Wait();
      patient_ended = true;
    });
    linger("inproc:hurried", absl::ZeroDuration());  // a head start for the third
    server->Shutdown(absl::ZeroDuration());
    server->Wait();
    earlier = !patient_ended;
    waiter.join();
  }
  EXPECT_TRUE(earlier);
}

TEST_F(ServerTest, TheDestructorWaitsForHandlers) {
  HoldEcho(/*heeds_cancellation=*/false);
  auto server = NewServer({"inproc:destroyed"});
  ASSERT_TRUE(server->Start().ok());
  const auto client = NewClient("inproc:destroyed");
  const auto call = client->Call(kBlockingEcho, Wire(""));
  WaitUntilRunning();
  std::thread releaser([this, &call] {
    (void)call->WaitForEnd();
    release_.Notify();
  });
  server = nullptr;
  EXPECT_TRUE(release_.HasBeenNotified());
  releaser.join();
}

// Clients whose connections are still in the kernel's queue, or have only just left it.
TEST_F(ServerTest, WhoConnectsAsItShutsDownIsRefusedAndNotCutOff) {
  Configure("runtime { io_threads: 1 }");
  const std::vector<std::string> targets = {
      "tcp://127.0.0.1:0", absl::StrCat("unix-abstract:late-", getpid()), "inproc:late"};
  for (const std::string& target : targets) {
    const auto server = NewServer({target});
    ASSERT_TRUE(server->Start().ok());
    const std::string address = server->addresses()[0];
    absl::Notification busy, go_on;
    runtime_->core().NextLoop().Post([&busy, &go_on] {
      busy.Notify();
      go_on.WaitForNotificationWithTimeout(kPatience);
    });
    ASSERT_TRUE(busy.WaitForNotificationWithTimeout(kPatience));
    std::vector<std::unique_ptr<RawClient>> clients;
    std::vector<std::unique_ptr<RawCall>> calls;
    for (int i = 0; i < 3; ++i) {
      clients.push_back(NewClient(address));
      calls.push_back(clients.back()->Call(kEcho, Wire("just in time")));
    }
    server->Shutdown(absl::Seconds(20));
    go_on.Notify();
    for (const std::unique_ptr<RawCall>& call : calls) {
      const absl::Status status = call->WaitForEnd();
      EXPECT_TRUE(status.ok() || DeliveryOf(status) != Delivery::kUnknown)
          << address << ": " << status;
    }
    calls.clear();
    server->Wait();
  }
}

TEST_F(ServerTest, RepliesAreNotLostAtTheEnd) {
  const auto server = NewServer({"tcp://127.0.0.1:0"});
  ASSERT_TRUE(server->Start().ok());
  const std::string address = server->addresses()[0];
  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0, refused = 0, lost = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([this, &address, &stop, &answered, &refused, &lost] {
      const auto client = NewClient(address);
      while (!stop && !client->endpoint()->retired()) {
        const absl::Status status = client->Call(kEcho, Wire("a reply"))->WaitForEnd();
        if (status.ok()) {
          ++answered;
        } else if (DeliveryOf(status) != Delivery::kUnknown) {
          ++refused;
        } else {
          ++lost;
        }
      }
    });
  }
  while (answered < 100) std::this_thread::yield();
  server->Shutdown(absl::Seconds(20));
  server->Wait();
  stop = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(lost, 0);
}

// ---- Run, in processes of their own

class ServerRunTest : public ServerTest {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  // Runs a server and a client with `calls` calls that do not end, sends so many signals, and exits
  // with Run's code; with SIGALRM if that takes too long.
  [[noreturn]] void RunAndSignal(int calls, int signals, bool heeds_cancellation) {
    alarm(static_cast<unsigned>(absl::ToInt64Seconds(kPatience)));
    HoldEcho(heeds_cancellation);
    Configure(R"(runtime { drain_timeout: "20s" })");
    const auto server = NewServer({"inproc:run"});
    std::thread([this, calls, signals] {
      started_.WaitForNotification();
      const std::unique_ptr<RawClient> client = NewClient("inproc:run");
      std::vector<std::unique_ptr<RawCall>> open;
      if (calls == 0) (void)client->Call(kEcho, Wire(""))->WaitForEnd();
      for (int i = 0; i < calls; ++i) open.push_back(client->Call(kBlockingEcho, Wire("")));
      while (running_ < calls) std::this_thread::yield();
      for (int i = 0; i < signals; ++i) {
        kill(getpid(), i == 0 ? SIGTERM : SIGINT);
        while (i == 0 && !client->endpoint()->retired()) std::this_thread::yield();
      }
      while (true) pause();  // the process ends, and the client stays until then
    }).detach();
    std::thread([this, &server] {
      while (server->addresses().empty()) std::this_thread::yield();
      started_.Notify();
    }).detach();
    _exit(server->Run());
  }

  absl::Notification started_;
};

TEST_F(ServerRunTest, ASignalDrainsAnIdleServer) {
  EXPECT_EXIT(RunAndSignal(0, 1, true), testing::ExitedWithCode(0), "");
}

TEST_F(ServerRunTest, ASecondSignalEndsTheDrain) {
  EXPECT_EXIT(RunAndSignal(1, 2, true), testing::ExitedWithCode(1), "");
}

TEST_F(ServerRunTest, HandlersThatIgnoreItDoNotKeepTheProcess) {
  EXPECT_EXIT(RunAndSignal(1, 2, false), testing::ExitedWithCode(1),
              "handlers run on after their calls have been cancelled");
}

TEST_F(ServerRunTest, AServerThatCannotStartSaysWhyInOneLine) {
  EXPECT_EXIT(
      {
        const auto server = NewServer({"carrier-pigeon:loft"});
        _exit(server->Run());
      },
      testing::ExitedWithCode(2), "^anywire: [^\n]*carrier-pigeon[^\n]*\n$");
}

TEST_F(ServerRunTest, NorDoTheyAfterAShutdownByTheProgram) {
  EXPECT_EXIT(
      {
        HoldEcho(/*heeds_cancellation=*/false);
        const auto server = NewServer({"inproc:run"});
        if (!server->Start().ok()) _exit(3);
        const auto client = NewClient("inproc:run");
        const auto call = client->Call(kBlockingEcho, Wire(""));
        std::thread([this, &server] {
          WaitUntilRunning();
          server->Shutdown(absl::ZeroDuration());
        }).detach();
        _exit(server->Run());
      },
      testing::ExitedWithCode(1), "handlers run on after their calls have been cancelled");
}

TEST_F(ServerRunTest, AfterAShutdownThereIsNothingToRun) {
  const auto server = NewServer({"inproc:run"});
  server->Shutdown();
  EXPECT_EQ(server->Run(), 0);
}

TEST_F(ServerRunTest, AShutdownWhileItStartsEndsIt) {
  const auto server = NewServer({"gated:run", "inproc:run"});
  std::thread stopper([this, &server] {
    EXPECT_TRUE(gate_->reached.WaitForNotificationWithTimeout(kPatience));
    server->Shutdown();
    gate_->open.Notify();
  });
  EXPECT_EQ(server->Run(), 0);
  stopper.join();
}

TEST_F(ServerRunTest, ShutdownByAnotherThreadEndsIt) {
  const auto server = NewServer({"inproc:run"});
  ASSERT_TRUE(server->Start().ok());  // Run goes on from there
  std::thread stopper([&server] {
    while (server->addresses().empty()) std::this_thread::yield();
    server->Shutdown();
  });
  EXPECT_EQ(server->Run(), 0);
  stopper.join();
}

}  // namespace
}  // namespace anywire
