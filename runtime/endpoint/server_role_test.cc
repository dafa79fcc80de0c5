// Endpoints of servers: busy connections get a thread of their own, and a server inside the process
// answers on the thread of a client that waits.
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "runtime/endpoint/endpoint.h"
#include "runtime/endpoint/testing.h"
#include "runtime/protocol/wire_protocol.h"
#include "tests/support/status_matchers.h"
#include "tests/support/watchdog.h"
#include "transports/inproc/inproc_connection.h"

namespace anywire::test {
namespace {

using protocol::Event;
using protocol::Protocol;

constexpr absl::Duration kLimit = absl::Seconds(30);

protocol::Payload PayloadOf(const std::string& bytes) {
  return {.size = bytes.size(),
          .object = bytes.data(),
          .write = [](const void* object, uint8_t* to, size_t size) {
            if (size != 0) std::memcpy(to, object, size);
          }};
}

// Answers every call with its request, at once.
class EchoServer final : private protocol::CallFactory, private CallSink {
 public:
  void Start(EventLoop& loop, std::unique_ptr<Connection> connection, DriverPool* drivers) {
    endpoint_ = Endpoint::Start(
        loop, std::move(connection), Endpoint::Role::kServer, drivers, /*spin=*/nullptr,
        [this](Connection& connection) {
          return protocol::MakeWireServer(connection, connection.info().max_frame_size,
                                          protocol::Limits(), std::chrono::steady_clock::now(),
                                          *this);
        },
        [this](const absl::Status&) { lost_.Notify(); });
  }
  void Stop() {
    endpoint_->Close(absl::CancelledError("the test ends"));
    lost_.WaitForNotification();
    endpoint_ = nullptr;
  }
  std::thread::id thread() const { return thread_; }  // of the last request

 private:
  const void* FindMethod(absl::string_view) override { return this; }
  void* NewCall(protocol::CallId, const void*) override { return static_cast<CallSink*>(this); }
  void OnEvent(Event& event) override {
    thread_ = std::this_thread::get_id();
    const std::string request(event.message.bytes.begin(), event.message.bytes.end());
    endpoint_->Run([&event, &request](Protocol& protocol, Protocol::Events& events) {
      const protocol::Payload payload = PayloadOf(request);
      if ((event.bits & Event::kFinished) == 0) {
        protocol.Finish(event.call, absl::OkStatus(), nullptr, &payload);
      }
      protocol.Release(event.call, events);
    });
  }

  std::shared_ptr<Endpoint> endpoint_;
  absl::Notification lost_;
  std::atomic<std::thread::id> thread_{};
};

// The client's machine of a server's connection, moved by the test.
class ScriptedClient final : private FrameSink {
 public:
  explicit ScriptedClient(std::shared_ptr<ConnectionScript> script)
      : script_(std::move(script)),
        machine_(protocol::MakeWireClient(*this, 4096, protocol::Limits(),
                                          std::chrono::steady_clock::now())) {}

  // Makes one call and waits for its reply.
  std::string Call(const std::string& request) { return CallAtOnce({request}); }

  // Makes as many calls as there are requests, all of which arrive in one Receive, and waits for
  // the replies: these, one behind the other.
  std::string CallAtOnce(const std::vector<std::string>& requests) {
    Protocol::Events events;
    std::vector<protocol::CallId> calls;
    for (const std::string& request : requests) {
      const protocol::Payload payload = PayloadOf(request);
      bool queued = false;
      calls.push_back(*machine_->Open(
          {.method = {.full_name = "s/M", .index = 1}, .message = &payload, .half_close = true},
          std::chrono::steady_clock::now(), &queued));
    }
    script_->Deliver(std::exchange(out_, {}));
    std::string replies;
    for (size_t finished = 0; finished < calls.size();) {
      const std::vector<TestFrame> frames = script_->TakeSent();
      std::vector<ReceivedFrame> views;
      for (const TestFrame& frame : frames) {
        views.push_back(
            {frame.stream, absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(frame.bytes.data()),
                                               frame.bytes.size())});
      }
      EXPECT_OK(machine_->OnFrames(views, std::chrono::steady_clock::now(), events));
      for (const Event& event : events) {
        replies.append(event.message.bytes.begin(), event.message.bytes.end());
        if (event.bits & Event::kFinished) ++finished;
      }
      events.clear();
    }
    for (const protocol::CallId& call : calls) machine_->Release(call, events);
    return replies;
  }

 private:
  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) override {
    out_.push_back({stream, std::string(size, '\xee')});
    return absl::MakeSpan(reinterpret_cast<uint8_t*>(out_.back().bytes.data()), size);
  }
  const std::shared_ptr<ConnectionScript> script_;
  std::vector<TestFrame> out_;
  const std::unique_ptr<Protocol> machine_;
};

std::thread::id ThreadOf(EventLoop& loop) {
  std::thread::id id;
  loop.RunAndWait([&id] { id = std::this_thread::get_id(); });
  return id;
}

TEST(ServerRoleTest, ABusyConnectionGetsADriverAndReturnsToTheLoopWhenSilent) {
  const Watchdog watchdog("ABusyConnectionGetsADriver", kLimit);
  DriverPool drivers(1);
  EventLoop loop("test-loop");
  const auto script = std::make_shared<ConnectionScript>();
  EchoServer server;
  server.Start(loop, std::make_unique<ScriptedConnection>(loop, script, true), &drivers);
  ScriptedClient client(script);
  const std::thread::id on_loop = ThreadOf(loop);
  EXPECT_EQ(client.Call("first"), "first");
  EXPECT_EQ(server.thread(), on_loop);
  // As many as it takes: how quickly they follow each other, and how soon we look, is not ours to
  // say.
  std::thread::id driver;
  bool watched = true;
  while (driver == std::thread::id() || script->receiver() != driver) {
    EXPECT_EQ(client.Call("more"), "more");
    driver = script->receiver();
    watched = script->watched();
  }
  EXPECT_NE(driver, on_loop);
  EXPECT_FALSE(watched);
  script->WaitUntilWatched();
  EXPECT_EQ(client.Call("after the silence"), "after the silence");
  server.Stop();
  script->WaitUntilDestroyed();
}

TEST(ServerRoleTest, AConnectionWhereWaitingIsNotCheaperStaysWithTheLoop) {
  const Watchdog watchdog("AConnectionWhereWaitingIsNotCheaper", kLimit);
  DriverPool drivers(1);
  EventLoop loop("test-loop");
  const auto script = std::make_shared<ConnectionScript>();
  EchoServer server;
  server.Start(loop, std::make_unique<ScriptedConnection>(loop, script, false), &drivers);
  ScriptedClient client(script);
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(client.Call("more"), "more");
    ASSERT_EQ(server.thread(), ThreadOf(loop));
  }
  server.Stop();
  script->WaitUntilDestroyed();
}

// So that the peer, which would wait for all of them, has something to do meanwhile.
TEST(ServerRoleTest, ALongBatchOfCallsIsAnsweredInParts) {
  const Watchdog watchdog("ALongBatchOfCalls", kLimit);
  DriverPool drivers(1);
  EventLoop loop("test-loop");
  const auto script = std::make_shared<ConnectionScript>();
  EchoServer server;
  server.Start(loop, std::make_unique<ScriptedConnection>(loop, script), &drivers);
  ScriptedClient client(script);
  EXPECT_EQ(client.Call("a"), "a");  // and the hellos
  const auto transmits = [&](size_t calls) {
    const uint64_t before = script->transmits();
    EXPECT_EQ(client.CallAtOnce(std::vector<std::string>(calls, "a")), std::string(calls, 'a'));
    loop.RunAndWait([] {});  // the last is counted once it has been made
    return script->transmits() - before;
  };
  EXPECT_EQ(transmits(31), 1u);
  EXPECT_EQ(transmits(32), 1u);
  EXPECT_EQ(transmits(33), 2u);
  EXPECT_EQ(transmits(64), 2u);
  EXPECT_EQ(transmits(65), 3u);
  server.Stop();
  script->WaitUntilDestroyed();
}

TEST(ServerRoleTest, ClosingWakesADriver) {
  const Watchdog watchdog("ClosingWakesADriver", kLimit);
  DriverPool drivers(1);
  EventLoop loop("test-loop");
  const auto script = std::make_shared<ConnectionScript>();
  EchoServer server;
  server.Start(loop, std::make_unique<ScriptedConnection>(loop, script, true), &drivers);
  ScriptedClient client(script);
  while (!script->receiving()) ASSERT_EQ(client.Call("more"), "more");
  server.Stop();
  script->WaitUntilDestroyed();
}

// A client and a server inside the process.
class InprocPair {
 public:
  InprocPair(EventLoop& client_loop, EventLoop& server_loop) {
    const auto link = std::make_shared<InprocLink>();
    server_.Start(server_loop, std::make_unique<InprocConnection>(server_loop, link, 1, "inproc:t"),
                  nullptr);
    client_ = Endpoint::Start(
        client_loop, std::make_unique<InprocConnection>(client_loop, link, 0, "inproc:t"),
        Endpoint::Role::kClient, /*drivers=*/nullptr, /*spin=*/nullptr,
        [](Connection& connection) {
          return protocol::MakeWireClient(connection, connection.info().max_frame_size,
                                          protocol::Limits(), std::chrono::steady_clock::now());
        },
        [](const absl::Status&) {});
  }
  ~InprocPair() {
    client_->Close(absl::CancelledError("the test ends"));
    server_.Stop();
  }
  Endpoint& client() { return *client_; }
  EchoServer& server() { return server_; }

 private:
  EchoServer server_;
  std::shared_ptr<Endpoint> client_;
};

class OneCall final : public CallSink {
 public:
  explicit OneCall(Endpoint& endpoint) : endpoint_(endpoint) {}
  void Open() {
    const std::string request = "request";
    endpoint_.Run([this, &request](Protocol& protocol, Protocol::Events&) {
      bool queued = false;
      const protocol::Payload payload = PayloadOf(request);
      id_ = *protocol.Open({.tag = static_cast<CallSink*>(this),
                            .method = {.full_name = "s/M", .index = 1},
                            .message = &payload,
                            .half_close = true},
                           std::chrono::steady_clock::now(), &queued);
    });
  }
  BlockingOperation ended;
  std::atomic<bool> over{false};
  absl::Notification told;

 private:
  void OnEvent(Event& event) override {
    EXPECT_NE(event.bits & Event::kFinished, 0);
    endpoint_.Run(
        [this](Protocol& protocol, Protocol::Events& events) { protocol.Release(id_, events); });
    over = true;
    ended.Done(true);
    told.Notify();
  }
  Endpoint& endpoint_;
  protocol::CallId id_;
};

TEST(ServerRoleTest, AServerInTheProcessAnswersOnTheThreadThatWaits) {
  const Watchdog watchdog("AServerInTheProcessAnswers", kLimit);
  EventLoop client_loop("client"), server_loop("server");
  InprocPair pair(client_loop, server_loop);
  for (int i = 0; i < 100; ++i) {
    OneCall call(pair.client());
    {
      const Endpoint::ScopedBorrow borrow;
      call.Open();
      pair.client().Await(call.ended, false);
    }
    call.told.WaitForNotification();
    // The loop may have been about to look, which is as good; but it is not the rule.
    if (pair.server().thread() == std::this_thread::get_id()) return;
  }
  FAIL() << "never on this thread";
}

TEST(ServerRoleTest, AThreadThatDoesNotWaitIsNotBorrowed) {
  const Watchdog watchdog("AThreadThatDoesNotWait", kLimit);
  EventLoop client_loop("client"), server_loop("server");
  InprocPair pair(client_loop, server_loop);
  for (int i = 0; i < 100; ++i) {
    OneCall call(pair.client());
    pair.client().BeginAsync();
    call.Open();
    call.told.WaitForNotification();
    pair.client().EndAsync();
    ASSERT_EQ(pair.server().thread(), ThreadOf(server_loop));
  }
}

// Neither the server's handler nor the callback runs inside the function that starts a call, though
// all three are on one thread and the transport is synchronous.
TEST(ServerRoleTest, OnOneLoopNothingRunsInsideTheStartOfACall) {
  const Watchdog watchdog("OnOneLoopNothingRunsInside", kLimit);
  EventLoop loop("both");
  InprocPair pair(loop, loop);
  for (int i = 0; i < 100; ++i) {
    OneCall call(pair.client());
    pair.client().BeginAsync();
    loop.RunAndWait([&call] {
      call.Open();
      EXPECT_FALSE(call.over);
    });
    call.told.WaitForNotification();
    pair.client().EndAsync();
  }
}

}  // namespace
}  // namespace anywire::test
