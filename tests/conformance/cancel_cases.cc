// Cancellation: at every stage of a call, from every side, and seen by the handler.
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/conformance/forms_test_base.h"

namespace anywire::test {
namespace {

class CancelTest : public FormsTest {
 protected:
  // A request whose handler waits until its call is over.
  static Request Holding(uint64_t call, std::vector<uint32_t> reply_sizes = {}) {
    Request request = MakeRequest(call, 10, std::move(reply_sizes));
    request.set_hold(Request::CANCELLATION);
    return request;
  }
  // Cancels `source` as soon as `counter` says that the call has come so far.
  static std::thread CancelWhen(const Counter& counter, uint64_t value,
                                CancellationSource& source) {
    return std::thread([&counter, value, &source] {
      counter.WaitFor(value);
      source.Cancel();
    });
  }
  void ExpectHandlersSaw(uint64_t cancelled) {
    probe().cancelled.WaitFor(cancelled);
    probe().ended.WaitFor(probe().started.value());
  }
};
ANYWIRE_CONFORMANCE(CancelTest, AllSettings());

const auto kIsCancelled = StatusIs(absl::StatusCode::kCancelled);

TEST_P(CancelTest, BeforeTheCall) {
  ForEachForm([this](ClientForm form, const Conformance::Stub& stub) {
    CancellationSource source;
    source.Cancel();
    const CancellationToken token = source.token();
    const CallOptions options = {.cancellation = &token};
    const absl::StatusOr<Reply> reply = CallUnary(form, stub, MakeRequest(1, 1), options);
    EXPECT_THAT(reply, kIsCancelled);
    EXPECT_THAT(reply, Delivered(Delivery::kNotSent));
    EXPECT_THAT(CallUpload(form, stub, {}, options), kIsCancelled);
    EXPECT_THAT(CallDownload(form, stub, MakeRequest(1, 1), options).status, kIsCancelled);
    EXPECT_THAT(CallPingPong(form, stub, {}, options).status, kIsCancelled);
    EXPECT_EQ(probe().started.value(), 0u);
  });
}

TEST_P(CancelTest, BeforeThereIsAConnection) {
  ForEachForm([this](ClientForm form, const Conformance::Stub&) {
    world().faults().HoldConnects(true);
    for (const bool streaming : {false, true}) {
      SCOPED_TRACE(streaming ? "stream" : "unary");
      const Conformance::Stub stub(world().NewChannel());
      CancellationSource source;
      const CancellationToken token = source.token();
      const CallOptions options = {.cancellation = &token};
      // Whenever it comes, before the call starts or while it waits for the connection.
      std::thread canceller([&source] { source.Cancel(); });
      const absl::Status status = streaming ? CallPingPong(form, stub, {}, options).status
                                            : CallEmpty(form, stub, options).status();
      canceller.join();
      EXPECT_THAT(status, kIsCancelled);
      EXPECT_THAT(status, Delivered(Delivery::kNotSent));
    }
    world().faults().HoldConnects(false);
  });
}

TEST_P(CancelTest, UnaryWhileItsHandlerRuns) {
  ForEachForm([this](ClientForm form, const Conformance::Stub& stub) {
    CancellationSource source;
    const CancellationToken token = source.token();
    const uint64_t started = probe().started.value();
    const uint64_t cancelled = probe().cancelled.value();
    std::thread canceller = CancelWhen(probe().started, started + 1, source);
    const absl::StatusOr<Reply> reply = CallUnary(form, stub, Holding(1), {.cancellation = &token});
    canceller.join();
    EXPECT_THAT(reply, kIsCancelled);
    EXPECT_THAT(reply, Delivered(Delivery::kUnknown));
    ExpectHandlersSaw(cancelled + 1);
    ExpectAlive();
  });
}

TEST_P(CancelTest, StreamsByTheirTokenInEveryForm) {
  ForEachForm([this](ClientForm form, const Conformance::Stub& stub) {
    for (int shape = 0; shape < 3; ++shape) {
      SCOPED_TRACE(shape);
      CancellationSource source;
      const CancellationToken token = source.token();
      const CallOptions options = {.cancellation = &token};
      const uint64_t cancelled = probe().cancelled.value();
      std::thread canceller = CancelWhen(probe().received, probe().received.value() + 1, source);
      absl::Status status;
      if (shape == 0) status = CallUpload(form, stub, {Holding(1)}, options).status();
      if (shape == 1) status = CallDownload(form, stub, Holding(1, {100, 100}), options).status;
      if (shape == 2) status = CallPingPong(form, stub, {Holding(1, {100})}, options).status;
      canceller.join();
      EXPECT_THAT(status, kIsCancelled);
      ExpectHandlersSaw(cancelled + 1);
    }
    ExpectAlive();
  });
}

TEST_P(CancelTest, MidUpload) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    auto writer = stub.Upload();
    ASSERT_TRUE(writer.Write(MakeRequest(1, 5000, {}, 0)));
    probe().received.WaitFor(1);
    writer.Cancel();
    writer.Cancel();
    // The handler's read ends: it does not wait for what never comes.
    probe().ended.WaitFor(1);
    EXPECT_FALSE(writer.Write(MakeRequest(1, 5000, {}, 1)));
    EXPECT_THAT(writer.Finish(), kIsCancelled);
    ExpectAlive();
  }
}

TEST_P(CancelTest, MidDownload) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    // More than any window: the handler is stopped in the middle of a write.
    auto reader = stub.Download(MakeRequest(1, 1, std::vector<uint32_t>(200, 10000)));
    Reply reply;
    ASSERT_TRUE(reader.Read(&reply));
    reader.Cancel();
    probe().ended.WaitFor(1);
    EXPECT_THAT(reader.Finish(), kIsCancelled);
    EXPECT_LT(probe().written.value(), 200u);
    ExpectAlive();
  }
}

TEST_P(CancelTest, ByAnotherThreadWhileThisOneReads) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    auto stream = stub.Chat();
    ASSERT_TRUE(stream.Write(Holding(1, {10})));
    Reply reply;
    ASSERT_TRUE(stream.Read(&reply));
    std::thread canceller([this, &stream] {
      probe().received.WaitFor(1);
      stream.Cancel();
    });
    EXPECT_FALSE(stream.Read(&reply));
    canceller.join();
    EXPECT_THAT(stream.Finish(), kIsCancelled);
    ExpectHandlersSaw(1);
  }
}

TEST_P(CancelTest, ByAnotherThreadWhileThisOneWrites) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    auto stream = stub.Chat();
    ASSERT_TRUE(stream.Write(Holding(1)));  // the handler reads no further
    std::thread canceller([this, &stream] {
      probe().received.WaitFor(1);
      stream.Cancel();
    });
    uint32_t index = 1;
    while (stream.Write(MakeRequest(1, 20000, {}, index))) ++index;
    canceller.join();
    EXPECT_THAT(stream.Finish(), kIsCancelled);
    ExpectHandlersSaw(1);
  }
}

TEST_P(CancelTest, AfterHalfClose) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    auto stream = stub.Chat();
    ASSERT_TRUE(stream.Write(Holding(1)));
    stream.WritesDone();
    probe().received.WaitFor(1);
    stream.Cancel();
    EXPECT_THAT(stream.Finish(), kIsCancelled);
    ExpectHandlersSaw(1);
    ExpectAlive();
  }
}

TEST_P(CancelTest, AfterTheEndChangesNothing) {
  const Conformance::Stub stub(world().channel());
  CancellationSource source;
  const CancellationToken token = source.token();
  EXPECT_OK(stub.Empty(Nothing(), {.cancellation = &token}));
  auto stream = stub.Chat({.cancellation = &token});
  stream.WritesDone();
  Reply reply;
  EXPECT_FALSE(stream.Read(&reply));
  EXPECT_OK(stream.Finish());
  source.Cancel();
  stream.Cancel();
  ExpectAlive();
}

TEST_P(CancelTest, ByDestroyingTheStream) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    {
      auto upload = stub.Upload();
      ASSERT_TRUE(upload.Write(Holding(1)));
      auto download = stub.Download(Holding(2));
      auto chat = stub.Chat();
      ASSERT_TRUE(chat.Write(Holding(3)));
      probe().received.WaitFor(3);
    }
    ExpectHandlersSaw(3);
    {
      // Not even begun to write.
      auto upload = stub.Upload();
      auto chat = stub.Async().Chat();
    }
    ExpectAlive();
  }
}

TEST_P(CancelTest, OneTokenEndsManyCalls) {
  const Conformance::Stub stub(world().channel());
  CancellationSource source;
  const CancellationToken token = source.token();
  constexpr int kCalls = 10;
  Counter ended;
  for (int i = 0; i < kCalls; ++i) {
    stub.Async().Unary(Holding(i),
                       [&ended](absl::StatusOr<Reply> reply) {
                         EXPECT_THAT(reply, kIsCancelled);
                         ended.Add();
                       },
                       {.cancellation = &token});
  }
  probe().started.WaitFor(kCalls);
  source.Cancel();
  ended.WaitFor(kCalls);
  ExpectHandlersSaw(kCalls);
}

TEST_P(CancelTest, OthersOfTheConnectionGoOn) {
  const Conformance::Stub stub(world().channel());
  auto other = stub.Chat();
  ASSERT_TRUE(other.Write(MakeRequest(1, 10, {10}, 0)));
  Reply reply;
  ASSERT_TRUE(other.Read(&reply));
  for (int i = 0; i < 20; ++i) {
    auto stream = stub.Chat();
    ASSERT_TRUE(stream.Write(Holding(2, {3000})));
    stream.Cancel();
    EXPECT_THAT(stream.Finish(), kIsCancelled);
  }
  ASSERT_TRUE(other.Write(MakeRequest(1, 10, {10}, 1)));
  ASSERT_TRUE(other.Read(&reply));
  EXPECT_OK(CheckReply(MakeRequest(1, 0), reply, 1, 10));
  other.WritesDone();
  EXPECT_OK(other.Finish());
}

// Frames of a cancelled call that are still on their way must not be taken for those of the next
// one.
TEST_P(CancelTest, ANewCallNeverGetsTheOldOnesMessages) {
  const Conformance::Stub stub(world().channel());
  for (uint64_t call = 0; call < 50; ++call) {
    auto reader = stub.Download(MakeRequest(call, 1, std::vector<uint32_t>(30, 500)));
    Reply reply;
    for (uint64_t i = 0; i < call % 4; ++i) {
      ASSERT_TRUE(reader.Read(&reply));
      EXPECT_OK(CheckReply(MakeRequest(call, 0), reply, i, 500));
    }
  }
}

// ---- calls made by handlers

class ChildCallTest : public FormsTest {
 protected:
  // A server whose Relay service calls the world's Conformance service.
  struct RelayServer {
    RelayServer(World& world, const Setting& setting, ServerForm form, bool inherit)
        : coroutine(world.channel(), inherit),
          blocking(world.channel(), inherit),
          server(world.runtime()) {
      TransportRegistry registry = MakeRegistry();
      server.Listen(FreshUri(registry, setting.scheme, scratch.path()));
      if (form == ServerForm::kCoroutine) {
        server.AddService(&coroutine);
      } else {
        server.AddService(&blocking);
      }
      EXPECT_OK(server.Start());
      channel.emplace(world.runtime(), server.addresses().front());
    }
    ~RelayServer() {
      channel.reset();
      server.Shutdown(absl::ZeroDuration());
      server.Wait();
    }
    TempDir scratch;
    CoroutineRelay coroutine;
    BlockingRelay blocking;
    Server server;
    std::optional<Channel> channel;
  };
};
ANYWIRE_CONFORMANCE(ChildCallTest, AllSettings());

TEST_P(ChildCallTest, InheritsCancellation) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    World& inner = NewWorld();
    RelayServer relay(inner, GetParam(), form, /*inherit=*/true);
    const conformance::Relay::Stub stub(*relay.channel);
    Request request = MakeRequest(1, 10);
    EXPECT_OK(stub.Unary(request));
    request.set_hold(Request::CANCELLATION);
    CancellationSource source;
    const CancellationToken token = source.token();
    std::thread canceller([&inner, &source] {
      inner.probe().started.WaitFor(2);
      source.Cancel();
    });
    EXPECT_THAT(stub.Unary(request, {.cancellation = &token}), kIsCancelled);
    canceller.join();
    // Nobody but the outer call's end ends the inner one.
    inner.probe().cancelled.WaitFor(1);
  }
}

TEST_P(ChildCallTest, InheritsTheDeadline) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    World& inner = NewWorld();
    absl::Duration left = absl::InfiniteDuration();
    inner.probe().OnStart([&left](ServerContext& context) { left = context.time_left(); });
    RelayServer relay(inner, GetParam(), form, /*inherit=*/true);
    const conformance::Relay::Stub stub(*relay.channel);
    const absl::Duration timeout = absl::Hours(1);
    EXPECT_OK(stub.Unary(MakeRequest(1, 10), {.timeout = timeout}));
    inner.probe().started.WaitFor(1);
    EXPECT_LE(left, timeout);
    EXPECT_GT(left, absl::ZeroDuration());
    Request request = MakeRequest(1, 10);
    request.set_hold(Request::CANCELLATION);
    EXPECT_THAT(stub.Unary(request, {.timeout = absl::Milliseconds(50)}),
                StatusIs(absl::StatusCode::kDeadlineExceeded));
    inner.probe().cancelled.WaitFor(inner.probe().started.value() - 1);
  }
}

TEST_P(ChildCallTest, InheritsNothingWhenToldSo) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    World& inner = NewWorld();
    absl::Duration left = absl::ZeroDuration();
    inner.probe().OnStart([&left](ServerContext& context) { left = context.time_left(); });
    RelayServer relay(inner, GetParam(), form, /*inherit=*/false);
    absl::Status child = absl::UnknownError("has not ended");
    const auto on_end = [&child](const absl::Status& status) { child = status; };
    relay.coroutine.on_end = on_end;
    relay.blocking.on_end = on_end;
    const conformance::Relay::Stub stub(*relay.channel);
    Request request = MakeRequest(1, 10);
    request.set_hold(Request::RELEASE);
    CancellationSource source;
    const CancellationToken token = source.token();
    std::thread canceller([&inner, &source] {
      inner.probe().started.WaitFor(1);
      source.Cancel();
    });
    EXPECT_THAT(stub.Unary(request, {.timeout = absl::Hours(1), .cancellation = &token}),
                kIsCancelled);
    canceller.join();
    EXPECT_EQ(left, absl::InfiniteDuration());
    inner.probe().release.Open();
    (form == ServerForm::kCoroutine ? relay.coroutine.calls_ended : relay.blocking.calls_ended)
        .WaitFor(1);
    EXPECT_OK(child);
  }
}

}  // namespace
}  // namespace anywire::test
