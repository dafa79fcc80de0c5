// Servers: starting, what handlers know of their call, several addresses, draining.
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/conformance/forms_test_base.h"

namespace anywire::test {
namespace {

using ::testing::HasSubstr;

class ServerTest : public FormsTest {
 protected:
  static Request Held(uint64_t call, Request::Hold hold) {
    Request request = MakeRequest(call, 10, {20});
    request.set_hold(hold);
    return request;
  }
  // What calls are told once the server drains, which begins a moment after it was told to.
  static absl::Status UntilRefused(const Conformance::Stub& stub) {
    absl::Status status;
    while (status.ok()) status = stub.Unary(MakeRequest(3, 10)).status();
    return status;
  }
  // A unary call in the background whose handler runs when this returns.
  struct Running {
    Gate ended;
    absl::StatusOr<Reply> reply = absl::UnknownError("has not ended");
  };
  std::unique_ptr<Running> StartHeld(const Conformance::Stub& stub, Request::Hold hold) {
    auto running = std::make_unique<Running>();
    const uint64_t started = probe().started.value();
    stub.Async().Unary(Held(1, hold), [running = running.get()](absl::StatusOr<Reply> reply) {
      running->reply = std::move(reply);
      running->ended.Open();
    });
    probe().started.WaitFor(started + 1);
    return running;
  }
};
ANYWIRE_CONFORMANCE(ServerTest, AllSettings());

const auto kIsUnavailable = StatusIs(absl::StatusCode::kUnavailable);

// ---- what a handler knows

TEST_P(ServerTest, HandlersKnowTheirMethodAndPeer) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    std::string method;
    ConnectionInfo peer;
    probe().OnStart([&method, &peer](ServerContext& context) {
      method = std::string(context.method().full_name());
      peer = context.peer();
    });
    const Conformance::Stub stub(world().channel());
    ReceivedMetadata received;
    EXPECT_OK(stub.Empty(Nothing(), {.received = &received}));
    probe().started.WaitFor(1);
    EXPECT_EQ(method, "anywire.conformance.Conformance/Empty");
    EXPECT_EQ(received.peer, world().address_seen());
    EXPECT_EQ(peer.local_address, world().address());
    EXPECT_GE(peer.max_frame_size, 1024u);
    const std::string& scheme = GetParam().scheme;
    if (absl::StartsWith(scheme, "unix")) {
      ASSERT_TRUE(peer.peer.credentials.has_value());
    }
    if (peer.peer.credentials.has_value()) {
      EXPECT_EQ(peer.peer.credentials->uid, getuid());
      EXPECT_EQ(peer.peer.credentials->gid, getgid());
      EXPECT_EQ(peer.peer.credentials->pid, getpid());
    }
    if (scheme == "tcp") {
      EXPECT_TRUE(absl::StartsWith(peer.remote_address, "tcp://127.0.0.1:")) << peer.remote_address;
      EXPECT_FALSE(peer.peer.credentials.has_value());
    }
  }
}

TEST_P(ServerTest, BlockingCallsOnItsOwnThreadsAreRefused) {
  NewWorld();
  const Conformance::Stub stub(world().channel());
  absl::Status unary;
  absl::Status stream;
  const auto call = [&stub, &unary, &stream] {
    unary = stub.Unary(MakeRequest(1, 1)).status();
    auto chat = stub.Chat();
    Reply reply;
    EXPECT_FALSE(chat.Read(&reply));
    stream = chat.Finish();
  };
  const auto expect_refused = [&unary, &stream] {
    for (const absl::Status& status : {unary, stream}) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("co_await")));
    }
  };
  // In a coroutine handler.
  std::atomic<bool> nested = false;
  probe().OnStart([&nested, &call](ServerContext&) {
    if (!nested.exchange(true)) call();
  });
  EXPECT_OK(stub.Empty(Nothing()));
  probe().ended.WaitFor(1);
  expect_refused();
  // In a callback.
  unary = stream = absl::OkStatus();
  Gate ended;
  stub.Async().Empty(Nothing(), [&call, &ended](absl::StatusOr<Nothing> reply) {
    EXPECT_OK(reply);
    call();
    ended.Open();
  });
  ended.Wait();
  expect_refused();
  EXPECT_EQ(probe().received.value(), 0u);
  ExpectAlive();
}

TEST_P(ServerTest, BlockingHandlersMayMakeBlockingCalls) {
  NewWorld({.form = ServerForm::kBlocking, .runtime = {{"worker_threads", "2"}}});
  const Conformance::Stub stub(world().channel());
  std::atomic<bool> nested = false;
  absl::Status inner = absl::UnknownError("has not ended");
  probe().OnStart([&nested, &inner, &stub](ServerContext&) {
    if (!nested.exchange(true)) inner = stub.Unary(MakeRequest(1, 1)).status();
  });
  EXPECT_OK(stub.Empty(Nothing()));
  probe().started.WaitFor(2);
  EXPECT_OK(inner);
}

// ---- starting

TEST_P(ServerTest, AnAddressInUseIsRefusedByName) {
  Server second(world().runtime());
  second.Listen(world().address());
  const absl::Status started = second.Start();
  EXPECT_FALSE(started.ok());
  EXPECT_THAT(std::string(started.message()), HasSubstr(world().address()));
  ExpectAlive();  // the first one has lost nothing
}

TEST_P(ServerTest, MistakesComeOutOfStart) {
  CoroutineConformance service(probe());
  CoroutineConformance same_name(probe());
  {
    Server server(world().runtime());
    server.AddService(&service);
    server.AddService(&same_name);
    server.Listen(world().address());
    EXPECT_THAT(server.Start().ToString(), HasSubstr("anywire.conformance.Conformance"));
  }
  {
    Server server(world().runtime());
    server.Listen("nosuch://address");
    EXPECT_THAT(server.Start(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().scheme)));
  }
  {
    Server server(world().runtime());
    server.Listen("no-such-service");
    EXPECT_THAT(server.Start(), StatusIs(absl::StatusCode::kNotFound));
  }
  ExpectAlive();
}

TEST_P(ServerTest, ListensOnSeveralAddressesOfEveryTransport) {
  World& first = world();
  const TempDir first_folder;
  const TempDir second_folder;
  TransportRegistry registry = MakeRegistry();
  Probe probe;
  CoroutineConformance service(probe);
  Server server(first.runtime());
  server.AddService(&service);
  size_t expected = 0;
  for (const Transport* transport : registry.transports()) {
    for (const std::string& folder : {first_folder.path(), second_folder.path()}) {
      server.Listen(FreshUri(registry, std::string(transport->scheme()), folder));
      ++expected;
    }
  }
  ASSERT_OK(server.Start());
  EXPECT_EQ(server.addresses().size(), expected);
  for (const std::string& address : server.addresses()) {
    SCOPED_TRACE(address);
    const Conformance::Stub stub{Channel(first.runtime(), address)};
    EXPECT_OK(stub.Empty(Nothing()));
  }
  EXPECT_EQ(probe.started.value(), expected);
  server.Shutdown(absl::ZeroDuration());
  server.Wait();
}

TEST_P(ServerTest, OneAddressThatFailsLeavesNoneOpen) {
  const TempDir scratch;
  TransportRegistry registry = MakeRegistry();
  Server server(world().runtime());
  server.Listen(FreshUri(registry, GetParam().scheme, scratch.path()));
  server.Listen(world().address());  // in use
  EXPECT_FALSE(server.Start().ok());
  EXPECT_TRUE(server.addresses().empty());
}

TEST_P(ServerTest, ServersComeAndGo) {
  for (int i = 0; i < 5; ++i) {
    world().RestartServer();
    ExpectAlive();
  }
}

// ---- draining

TEST_P(ServerTest, RunningCallsFinishWhileItDrains) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    const std::unique_ptr<Running> running = StartHeld(stub, Request::RELEASE);
    auto stream = stub.Chat();
    Reply reply;
    ASSERT_TRUE(stream.Write(MakeRequest(2, 10, {10}, 0)));
    ASSERT_TRUE(stream.Read(&reply));

    world().server().Shutdown(absl::InfiniteDuration());
    // No new calls: those on the old connection are refused, and there are no new connections.
    const absl::Status late = UntilRefused(stub);
    EXPECT_THAT(late, kIsUnavailable);
    EXPECT_FALSE(DeliveryOf(late) == Delivery::kUnknown) << late;
    const Conformance::Stub other(world().NewChannel());
    const absl::StatusOr<Reply> elsewhere = other.Unary(MakeRequest(4, 10));
    EXPECT_THAT(elsewhere, kIsUnavailable);
    EXPECT_FALSE(DeliveryOf(elsewhere.status()) == Delivery::kUnknown) << elsewhere.status();
    EXPECT_FALSE(running->ended.IsOpen());

    // What ran goes on, streams too.
    ASSERT_TRUE(stream.Write(MakeRequest(2, 10, {10}, 1)));
    ASSERT_TRUE(stream.Read(&reply));
    EXPECT_OK(CheckReply(MakeRequest(2, 0), reply, 1, 10));
    stream.WritesDone();
    EXPECT_FALSE(stream.Read(&reply));
    EXPECT_OK(stream.Finish());
    probe().release.Open();
    running->ended.Wait();
    EXPECT_OK(running->reply);
    world().server().Wait();
    EXPECT_EQ(probe().ended.value(), probe().started.value());
  }
}

TEST_P(ServerTest, WhatDoesNotFinishInTimeIsCancelled) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    const std::unique_ptr<Running> running = StartHeld(stub, Request::CANCELLATION);
    world().server().Shutdown(absl::Milliseconds(20));
    world().server().Wait();
    EXPECT_EQ(probe().cancelled.value(), 1u);
    running->ended.Wait();
    EXPECT_FALSE(running->reply.ok());
    EXPECT_THAT(running->reply, Delivered(Delivery::kUnknown));
  }
}

TEST_P(ServerTest, ASecondShutdownShortensTheFirst) {
  const Conformance::Stub stub(world().channel());
  const std::unique_ptr<Running> running = StartHeld(stub, Request::CANCELLATION);
  world().server().Shutdown(absl::InfiniteDuration());
  EXPECT_THAT(UntilRefused(stub), kIsUnavailable);
  EXPECT_FALSE(running->ended.IsOpen());
  world().server().Shutdown(absl::ZeroDuration());
  world().server().Shutdown(absl::InfiniteDuration());  // cannot make it longer again
  world().server().Wait();
  running->ended.Wait();
  EXPECT_FALSE(running->reply.ok());
}

TEST_P(ServerTest, DrainsAtOnceWhenNothingRuns) {
  ExpectAlive();
  world().server().Shutdown(absl::InfiniteDuration());
  world().server().Wait();
}

TEST_P(ServerTest, DestroyedWithCallsInProgress) {
  const Conformance::Stub stub(world().channel());
  const std::unique_ptr<Running> running = StartHeld(stub, Request::CANCELLATION);
  world().DestroyServer();
  running->ended.Wait();
  EXPECT_FALSE(running->reply.ok());
  EXPECT_EQ(probe().cancelled.value(), 1u);
}

// The channel may go before its calls end: they keep the connection.
TEST_P(ServerTest, CallsOutliveTheirChannel) {
  auto running = std::make_unique<Running>();
  {
    const Conformance::Stub stub(world().NewChannel());
    running = StartHeld(stub, Request::RELEASE);
  }
  probe().release.Open();
  running->ended.Wait();
  EXPECT_OK(running->reply);
}

}  // namespace
}  // namespace anywire::test
