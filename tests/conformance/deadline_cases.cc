// Deadlines: at every stage of a call, kept by both sides. No test looks at how long anything took.
#include <chrono>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "tests/conformance/forms_test_base.h"

namespace anywire::test {
namespace {

class DeadlineTest : public FormsTest {
 protected:
  static constexpr absl::Duration kShort = absl::Milliseconds(5);
  static Request Holding(uint64_t call, std::vector<uint32_t> reply_sizes = {}) {
    Request request = MakeRequest(call, 10, std::move(reply_sizes));
    request.set_hold(Request::CANCELLATION);
    return request;
  }
};
ANYWIRE_CONFORMANCE(DeadlineTest, AllSettings());

const auto kIsLate = StatusIs(absl::StatusCode::kDeadlineExceeded);

TEST_P(DeadlineTest, OverBeforeItBegins) {
  ForEachForm([this](ClientForm form, const Conformance::Stub& stub) {
    for (absl::Duration timeout :
         {absl::ZeroDuration(), absl::Seconds(-1), -absl::InfiniteDuration()}) {
      const CallOptions options = {.timeout = timeout};
      const absl::StatusOr<Reply> reply = CallUnary(form, stub, MakeRequest(1, 1), options);
      EXPECT_THAT(reply, kIsLate);
      EXPECT_THAT(reply, Delivered(Delivery::kNotSent));
      EXPECT_THAT(CallUpload(form, stub, {}, options), kIsLate);
      EXPECT_THAT(CallDownload(form, stub, MakeRequest(1, 1), options).status, kIsLate);
      EXPECT_THAT(CallPingPong(form, stub, {}, options).status, kIsLate);
    }
    EXPECT_EQ(probe().started.value(), 0u);
  });
}

TEST_P(DeadlineTest, BeforeThereIsAConnection) {
  ForEachForm([this](ClientForm form, const Conformance::Stub&) {
    world().faults().HoldConnects(true);
    const Conformance::Stub stub(world().NewChannel());
    const CallOptions options = {.timeout = kShort};
    const absl::StatusOr<Reply> reply = CallUnary(form, stub, MakeRequest(1, 1), options);
    EXPECT_THAT(reply, kIsLate);
    EXPECT_THAT(reply, Delivered(Delivery::kNotSent));
    EXPECT_THAT(CallUpload(form, stub, {}, options), kIsLate);
    EXPECT_THAT(CallDownload(form, stub, MakeRequest(1, 1), options).status, kIsLate);
    EXPECT_THAT(CallPingPong(form, stub, {}, options).status, kIsLate);
    world().faults().HoldConnects(false);
  });
}

// The handler is told, by its own side's clock or by the client's.
TEST_P(DeadlineTest, WhileTheHandlerRuns) {
  ForEachForm([this](ClientForm form, const Conformance::Stub& stub) {
    const CallOptions options = {.timeout = kShort};
    EXPECT_THAT(CallUnary(form, stub, Holding(1), options), kIsLate);
    EXPECT_THAT(CallUpload(form, stub, {Holding(1)}, options), kIsLate);
    EXPECT_THAT(CallDownload(form, stub, Holding(1, {100}), options).status, kIsLate);
    EXPECT_THAT(CallPingPong(form, stub, {Holding(1, {100})}, options).status, kIsLate);
    // A call whose deadline passed on its way may never have had a handler.
    probe().ended.WaitFor(probe().started.value());
    ExpectAlive();
  });
}

TEST_P(DeadlineTest, WhileTheClientIsKeptFromWriting) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    auto writer = stub.Upload({.timeout = absl::Milliseconds(100)});
    // The handler stays with the first request; the windows fill, and Write waits until the
    // deadline.
    uint32_t index = 0;
    while (writer.Write(index == 0 ? Holding(1) : MakeRequest(1, 20000, {}, index))) ++index;
    EXPECT_THAT(writer.Finish(), kIsLate);
    probe().ended.WaitFor(probe().started.value());
    ExpectAlive();
  }
}

TEST_P(DeadlineTest, WhileTheServerIsKeptFromWriting) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    // On a busy machine a deadline may pass before there is a handler: then it is tried again with
    // a later one.
    for (absl::Duration timeout = absl::Milliseconds(50); probe().written.value() == 0;
         timeout *= 2) {
      auto reader =
          stub.Download(MakeRequest(1, 1, std::vector<uint32_t>(200, 20000)), {.timeout = timeout});
      // Nobody reads until the deadline, which this call's is not before; the handler waits in a
      // write until then.
      EXPECT_THAT(stub.Unary(Holding(2), {.timeout = timeout}), kIsLate);
      probe().ended.WaitFor(probe().started.value());
      EXPECT_LT(probe().written.value(), 200u);
      Reply reply;
      while (reader.Read(&reply)) {
      }
      EXPECT_THAT(reader.Finish(), kIsLate);
    }
    ExpectAlive();
  }
}

// Nothing passes between the two any more: each side keeps the deadline by its own clock.
TEST_P(DeadlineTest, EachSideKeepsItAlone) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    probe().OnStart([this](ServerContext&) { world().faults().Stall(true); });
    const Conformance::Stub stub(world().channel());
    // On a busy machine a deadline may pass before there is a handler: then it is tried again with
    // a later one.
    for (absl::Duration timeout = absl::Milliseconds(50); probe().started.value() == 0;
         timeout *= 2) {
      EXPECT_THAT(stub.Unary(Holding(1), {.timeout = timeout}), kIsLate);
    }
    probe().cancelled.WaitFor(1);
    probe().OnStart([](ServerContext&) {});
    world().faults().Stall(false);
  }
}

TEST_P(DeadlineTest, HandlerKnowsIt) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    // A socket orders the threads at its ends as well, but no sanitizer knows.
    absl::Mutex mutex;
    absl::Duration left;
    std::chrono::steady_clock::time_point deadline;
    bool cancelled = true;
    NewWorld({.form = form});
    probe().OnStart([&mutex, &left, &deadline, &cancelled](ServerContext& context) {
      absl::MutexLock lock(&mutex);
      left = context.time_left();
      deadline = context.deadline();
      cancelled = context.cancelled();
    });
    const Conformance::Stub stub(world().channel());
    EXPECT_OK(stub.Empty(Nothing()));
    probe().started.WaitFor(1);
    {
      absl::MutexLock lock(&mutex);
      EXPECT_EQ(left, absl::InfiniteDuration());
      EXPECT_EQ(deadline, std::chrono::steady_clock::time_point::max());
      EXPECT_FALSE(cancelled);
    }
    const absl::Duration timeout = absl::Hours(3);
    const auto before = std::chrono::steady_clock::now();
    EXPECT_OK(stub.Empty(Nothing(), {.timeout = timeout}));
    const auto after = std::chrono::steady_clock::now();
    probe().started.WaitFor(2);
    absl::MutexLock lock(&mutex);
    EXPECT_LE(left, timeout);
    EXPECT_GT(left, absl::Hours(2));
    // What travels is the time remaining, so the way there is the most that the two ends can differ
    // by.
    EXPECT_GE(deadline, before + absl::ToChronoSeconds(timeout) - std::chrono::milliseconds(2));
    EXPECT_LE(deadline, after + absl::ToChronoSeconds(timeout) + std::chrono::milliseconds(2));
  }
}

TEST_P(DeadlineTest, LongestTimesAreNoDeadline) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    for (absl::Duration timeout : {absl::InfiniteDuration(), absl::Hours(24) * 365 * 1000,
                                   absl::InfiniteDuration() - absl::Seconds(1)}) {
      EXPECT_OK(CallEmpty(form, stub, {.timeout = timeout}));
      EXPECT_OK(CallPingPong(form, stub, {}, {.timeout = timeout}).status);
    }
  });
}

TEST_P(DeadlineTest, OneForCallsThatHaveNone) {
  NewWorld({.runtime = {{"call_timeout", "\"30ms\""}}});
  ForEachClientForm([](ClientForm form, const Conformance::Stub& stub) {
    EXPECT_THAT(CallUnary(form, stub, Holding(1)), kIsLate);
    EXPECT_THAT(CallPingPong(form, stub, {Holding(1)}).status, kIsLate);
  });
}

// Many deadlines that pass in another order than the calls were made.
TEST_P(DeadlineTest, ManyAtDifferentTimes) {
  NewWorld({.concurrent_calls = 100});
  const Conformance::Stub stub(world().channel());
  constexpr int kCalls = 100;
  Counter ended;
  for (int i = 0; i < kCalls; ++i) {
    stub.Async().Unary(Holding(i),
                       [&ended](absl::StatusOr<Reply> reply) {
                         EXPECT_THAT(reply, kIsLate);
                         ended.Add();
                       },
                       {.timeout = absl::Milliseconds(1 + i * 37 % 50)});
  }
  ended.WaitFor(kCalls);
  probe().ended.WaitFor(probe().started.value());
  ExpectAlive();
}

}  // namespace
}  // namespace anywire::test
