// Connections that fail: what each call is told, what is known of its delivery, and that the next
// call starts afresh.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/conformance/forms_test_base.h"
#include "tests/support/call_checker.h"

namespace anywire::test {
namespace {

class FailureTest : public FormsTest {
 protected:
  static Request Holding(uint64_t call, std::vector<uint32_t> reply_sizes = {}) {
    Request request = MakeRequest(call, 10, std::move(reply_sizes));
    request.set_hold(Request::CANCELLATION);
    return request;
  }
};
ANYWIRE_CONFORMANCE(FailureTest, AllSettings());

const auto kIsUnavailable = StatusIs(absl::StatusCode::kUnavailable);
const Allowed kOkOrLost = {absl::StatusCode::kOk, absl::StatusCode::kUnavailable};

TEST_P(FailureTest, NobodyListens) {
  WorldOptions options;
  // That nobody listens is not said through a relay: nobody answers.
  if (GetParam().handicap.path.has_value()) options.runtime["connect_timeout"] = "\"20ms\"";
  const auto body = [this](ClientForm form, const Conformance::Stub&) {
    world().StopServer();
    const Conformance::Stub stub(world().NewChannel());
    const CallOptions options = {.timeout = absl::Minutes(10)};
    const absl::StatusOr<Reply> reply = CallUnary(form, stub, MakeRequest(1, 1), options);
    EXPECT_THAT(reply, kIsUnavailable);
    EXPECT_THAT(reply, Delivered(Delivery::kNotSent));
    const absl::Status statuses[] = {
        CallUpload(form, stub, {MakeRequest(1, 1)}, options).status(),
        CallDownload(form, stub, MakeRequest(1, 1), options).status,
        CallPingPong(form, stub, {MakeRequest(1, 1, {1})}, options).status};
    for (const absl::Status& status : statuses) {
      EXPECT_THAT(status, kIsUnavailable);
      EXPECT_THAT(status, Delivered(Delivery::kNotSent));
    }
  };
  ForEachForm(body, options);
}

TEST_P(FailureTest, ConnectingTakesTooLong) {
  NewWorld({.runtime = {{"connect_timeout", "\"20ms\""}}});
  world().faults().HoldConnects(true);
  ForEachClientForm([](ClientForm form, const Conformance::Stub& stub) {
    const absl::StatusOr<Reply> reply = CallUnary(form, stub, MakeRequest(1, 1));
    EXPECT_THAT(reply, kIsUnavailable);
    EXPECT_THAT(reply, Delivered(Delivery::kNotSent));
    EXPECT_THAT(CallPingPong(form, stub, {}).status, kIsUnavailable);
  });
  world().faults().HoldConnects(false);
  // A handshake may take longer than this, too: on a busy machine, or one that has lost a datagram.
  ExpectAliveAgain();
}

// A target that means nothing: each call says why.
TEST_P(FailureTest, TargetsThatMeanNothing) {
  struct Case {
    std::string target;
    absl::StatusCode code;
  };
  const Case cases[] = {{"no-such-service", absl::StatusCode::kNotFound},
                        {"nosuch://somewhere", absl::StatusCode::kInvalidArgument},
                        {"", absl::StatusCode::kNotFound}};
  for (const Case& wrong : cases) {
    SCOPED_TRACE(wrong.target);
    const Channel channel(world().runtime(), wrong.target);
    EXPECT_FALSE(channel.status().ok());
    const Conformance::Stub stub(channel);
    for (ClientForm form : kClientForms) {
      for (const absl::Status& status :
           {CallEmpty(form, stub).status(), CallPingPong(form, stub, {}).status}) {
        EXPECT_EQ(status.code(), channel.status().code());
        EXPECT_EQ(status.message(), channel.status().message());
        EXPECT_THAT(status, Delivered(Delivery::kNotSent));
      }
    }
  }
}

TEST_P(FailureTest, CutWhileHandlersRun) {
  ForEachForm([this](ClientForm form, const Conformance::Stub& stub) {
    const uint64_t started = probe().started.value();
    const uint64_t cancelled = probe().cancelled.value();
    std::vector<absl::Status> statuses(4);
    std::vector<std::thread> callers;
    callers.emplace_back(
        [&statuses, &stub, form] { statuses[0] = CallUnary(form, stub, Holding(1)).status(); });
    callers.emplace_back(
        [&statuses, &stub, form] { statuses[1] = CallUpload(form, stub, {Holding(2)}).status(); });
    callers.emplace_back([&statuses, &stub, form] {
      statuses[2] = CallDownload(form, stub, Holding(3, {9})).status;
    });
    callers.emplace_back([&statuses, &stub, form] {
      statuses[3] = CallPingPong(form, stub, {Holding(4, {9})}).status;
    });
    probe().received.WaitFor(started + 4);
    world().faults().CutAll();
    for (std::thread& caller : callers) caller.join();
    for (const absl::Status& status : statuses) {
      EXPECT_THAT(status, kIsUnavailable);
      EXPECT_THAT(status, Delivered(Delivery::kUnknown));
    }
    probe().cancelled.WaitFor(cancelled + 4);
    ExpectAlive();  // by a new connection
  });
}

// The connection is cut behind each frame in turn, whoever sends it: each call ends once, and what
// it says of its delivery is true.
TEST_P(FailureTest, CutBehindEachFrame) {
  for (ServerForm server_form : kServerForms) {
    SCOPED_TRACE(ServerFormName(server_form));
    NewWorld({.form = server_form});
    CallChecker checker(1000);
    probe().TellChecker(&checker);
    const Conformance::Stub stub(world().channel());
    for (ClientForm form : kClientForms) {
      for (uint64_t frame = 1; frame <= 12; ++frame) {
        world().faults().CutAfterFrames(frame);
        const auto end = [&checker](uint64_t call, const absl::Status& status,
                                    const std::vector<Reply>& replies) {
          for (size_t i = 0; i < replies.size(); ++i) {
            checker.OnReply(call, i, replies[i].call(), replies[i].index(), replies[i].body());
          }
          checker.End(call, status, kOkOrLost);
        };
        uint64_t call = checker.Begin();
        const absl::StatusOr<Reply> unary = CallUnary(form, stub, MakeRequest(call, 2000, {3000}));
        end(call, unary.status(), {});
        call = checker.Begin();
        const absl::StatusOr<Reply> upload = CallUpload(
            form, stub, {MakeRequest(call, 2000, {}, 0), MakeRequest(call, 2000, {99}, 1)});
        end(call, upload.status(), {});
        call = checker.Begin();
        const Conversation download =
            CallDownload(form, stub, MakeRequest(call, 100, {2000, 2000}));
        end(call, download.status, download.replies);
        call = checker.Begin();
        const Conversation chat = CallPingPong(
            form, stub, {MakeRequest(call, 10, {10}, 0), MakeRequest(call, 10, {10}, 1)});
        end(call, chat.status, chat.replies);
      }
    }
    world().faults().CutAfterFrames(1 << 30);
    ExpectAliveAgain();
    probe().TellChecker(nullptr);
    probe().ended.WaitFor(probe().started.value());
    checker.Verify();
    EXPECT_GT(checker.ended(absl::StatusCode::kUnavailable), 0u);
    EXPECT_GT(checker.ended(absl::StatusCode::kOk), 0u);
  }
}

TEST_P(FailureTest, ServerThatEndsWithCallsInProgress) {
  ForEachForm([this](ClientForm form, const Conformance::Stub& stub) {
    const uint64_t started = probe().received.value();
    std::vector<absl::Status> statuses(2);
    std::thread unary(
        [&statuses, &stub, form] { statuses[0] = CallUnary(form, stub, Holding(1)).status(); });
    std::thread chat([&statuses, &stub, form] {
      statuses[1] = CallPingPong(form, stub, {Holding(2, {9})}).status;
    });
    probe().received.WaitFor(started + 2);
    world().RestartServer();
    unary.join();
    chat.join();
    for (const absl::Status& status : statuses) {
      EXPECT_FALSE(status.ok());
      EXPECT_THAT(status, Delivered(Delivery::kUnknown));
    }
    ExpectAlive();
  });
}

TEST_P(FailureTest, NextCallConnectsAnew) {
  ForEachForm([this](ClientForm form, const Conformance::Stub& stub) {
    EXPECT_OK(CallEmpty(form, stub));
    world().StopServer();
    EXPECT_THAT(CallEmpty(form, stub), kIsUnavailable);
    world().RestartServer();
    EXPECT_OK(CallEmpty(form, stub));
    EXPECT_OK(CallPingPong(form, stub, {MakeRequest(1, 1, {1})}).status);
  });
}

TEST_P(FailureTest, SilentPathIsGivenUp) {
  const ConfigFields limits = {{"keepalive_time", "\"10ms\""}, {"keepalive_timeout", "\"50ms\""}};
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form, .server_limits = limits, .client_limits = limits});
    probe().OnStart([this, stalled = std::make_shared<std::atomic<bool>>(false)](ServerContext&) {
      if (!stalled->exchange(true)) world().faults().Stall(true);
    });
    const Conformance::Stub stub(world().channel());
    // On a busy machine a connection may be given up before there is a handler: then it is tried
    // again.
    for (int tries = 1; probe().started.value() == 0; ++tries) {
      const absl::StatusOr<Reply> reply = stub.Unary(Holding(1));
      EXPECT_THAT(reply, kIsUnavailable);
      if (tries == 1 && probe().started.value() > 0) {
        EXPECT_THAT(reply, Delivered(Delivery::kUnknown));
      }
    }
    probe().cancelled.WaitFor(1);  // the server gives it up too
    world().faults().Stall(false);
    ExpectAliveAgain();
  }
}

// Signs of life keep a connection on which nothing else happens.
TEST_P(FailureTest, QuietCallsAreKept) {
  const ConfigFields limits = {{"keepalive_time", "\"10ms\""}, {"keepalive_timeout", "\"10s\""}};
  NewWorld({.server_limits = limits, .client_limits = limits});
  const Conformance::Stub stub(world().channel());
  auto stream = stub.Chat();
  Reply reply;
  ASSERT_TRUE(stream.Write(MakeRequest(1, 1, {1}, 0)));
  ASSERT_TRUE(stream.Read(&reply));
  // Nothing but a sign of life and its answer makes this number grow.
  const uint64_t frames = world().faults().frames();
  while (world().faults().frames() < frames + 2) std::this_thread::yield();
  ASSERT_TRUE(stream.Write(MakeRequest(1, 1, {1}, 1)));
  ASSERT_TRUE(stream.Read(&reply));
  stream.WritesDone();
  EXPECT_OK(stream.Finish());
}

TEST_P(FailureTest, CutAndReconnectManyTimes) {
  // Far more than are made between twenty cuts, however fast the transport is.
  constexpr uint64_t kMostCalls = 1'000'000;
  NewWorld();
  CallChecker checker(kMostCalls + 4);
  probe().TellChecker(&checker);
  const Conformance::Stub stub(world().channel());
  std::atomic<bool> done = false;
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&stub, &checker, &done] {
      while (!done && checker.begun() < kMostCalls) {
        const uint64_t call = checker.Begin();
        const absl::StatusOr<Reply> reply = stub.Unary(MakeRequest(call, 100, {100}));
        if (reply.ok()) checker.OnReply(call, 0, reply->call(), reply->index(), reply->body());
        checker.End(call, reply.status(), kOkOrLost);
      }
    });
  }
  for (int cut = 1; cut <= 20; ++cut) {
    const uint64_t ok = checker.ended(absl::StatusCode::kOk);
    while (checker.ended(absl::StatusCode::kOk) < ok + 5) {
      ASSERT_LT(checker.begun(), kMostCalls) << cut;
      std::this_thread::yield();
    }
    world().faults().CutAll();
  }
  done = true;
  for (std::thread& caller : callers) caller.join();
  ExpectAliveAgain();
  probe().TellChecker(nullptr);
  probe().ended.WaitFor(probe().started.value());
  checker.Verify();
}

}  // namespace
}  // namespace anywire::test
