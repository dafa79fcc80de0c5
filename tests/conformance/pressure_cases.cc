// Many calls at once, and readers that do not read: each stream waits for its own reader and for
// nobody else.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/conformance/forms_test_base.h"
#include "tests/support/call_checker.h"

namespace anywire::test {
namespace {

class PressureTest : public FormsTest {
 protected:
  // What may be on its way between a writer and a reader who does not read, beside the call's
  // window: frames in the transport's buffers and one message at each end.
  static constexpr size_t kSlack = 4 << 20;
  static constexpr uint32_t kMessage = 8000;
  // Far more than any window.
  static constexpr int kMessages = 2000;
};
ANYWIRE_CONFORMANCE(PressureTest, AllSettings());

const Allowed kOnlyOk = {absl::StatusCode::kOk};

// Small calls of the same connection: however many of them, they do not depend on the stream that
// stands still.
void DoSmallCalls(const Conformance::Stub& stub, int calls) {
  for (int i = 0; i < calls; ++i) {
    const Request request = MakeRequest(1000 + i, 100, {100});
    const absl::StatusOr<Reply> reply = stub.Unary(request);
    ASSERT_OK(reply);
    ASSERT_OK(CheckReply(request, *reply, 0, 100));
  }
}

TEST_P(PressureTest, SlowReaderOfADownloadStallsItsStreamOnly) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    const Request request = MakeRequest(1, 1, std::vector<uint32_t>(kMessages, kMessage));
    auto slow = stub.Download(request);
    Reply reply;
    ASSERT_TRUE(slow.Read(&reply));
    DoSmallCalls(stub, 50);
    // Another stream of the same kind passes at full length beside the one that stands still.
    const Request other = MakeRequest(2, 1, std::vector<uint32_t>(100, kMessage));
    const Conversation beside = CallDownload(ClientForm::kBlocking, stub, other);
    EXPECT_OK(beside.status);
    EXPECT_EQ(beside.replies.size(), 100u);
    // The handler has been held back: it has not written more than windows and buffers take.
    EXPECT_LT((probe().written.value() - 100) * kMessage, kSlack);
    // And goes on when the reader does.
    int read = 1;
    while (slow.Read(&reply)) {
      ASSERT_OK(CheckReply(request, reply, read, kMessage));
      ++read;
    }
    EXPECT_EQ(read, kMessages);
    EXPECT_OK(slow.Finish());
  }
}

TEST_P(PressureTest, SlowReaderOfAnUploadStallsItsStreamOnly) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    std::atomic<uint64_t> taken = 0;
    std::thread uploader([&stub, &taken] {
      auto writer = stub.Upload();
      Request first = MakeRequest(1, 1);
      first.set_hold(Request::RELEASE);  // the handler reads no further until then
      EXPECT_TRUE(writer.Write(first));
      for (uint32_t i = 1; i <= kMessages; ++i) {
        EXPECT_TRUE(writer.Write(MakeRequest(1, kMessage, {}, i)));
        ++taken;
      }
      const absl::StatusOr<Reply> reply = writer.Finish();
      ASSERT_OK(reply);
      EXPECT_EQ(reply->requests_received(), kMessages + 1u);
    });
    probe().received.WaitFor(1);
    DoSmallCalls(stub, 50);
    std::vector<Request> requests;
    for (uint32_t i = 0; i < 100; ++i) requests.push_back(MakeRequest(2, kMessage, {}, i));
    EXPECT_OK(CallUpload(ClientForm::kBlocking, stub, requests));
    EXPECT_LT(taken.load() * kMessage, kSlack);
    probe().release.Open();
    uploader.join();
  }
}

// Several streams that nobody reads, on one connection: what waits for them is less than the
// connection may hold, and the connection is not closed to others by it.
TEST_P(PressureTest, ManySlowReadersLeaveRoomForOthers) {
  NewWorld({.concurrent_calls = 40});
  const Conformance::Stub stub(world().channel());
  constexpr int kSlow = 6;
  std::vector<ClientReader<Reply>> slow;
  Reply reply;
  for (int i = 0; i < kSlow; ++i) {
    slow.push_back(stub.Download(MakeRequest(i, 1, std::vector<uint32_t>(100, kMessage))));
  }
  probe().started.WaitFor(kSlow);
  DoSmallCalls(stub, 50);
  for (int i = 0; i < kSlow; ++i) {
    int read = 0;
    while (slow[i].Read(&reply)) {
      ASSERT_OK(CheckReply(MakeRequest(i, 0), reply, read, kMessage));
      ++read;
    }
    EXPECT_EQ(read, 100);
    EXPECT_OK(slow[i].Finish());
  }
}

// Thousands of calls whose handlers all run at the same time.
TEST_P(PressureTest, ThousandsInFlight) {
  constexpr int kCalls = 2000;
  NewWorld({.concurrent_calls = 4096, .server_limits = {{"max_concurrent_calls", "4096"}}});
  const Conformance::Stub stub(world().channel());
  CallChecker checker(kCalls);
  probe().TellChecker(&checker);
  Counter ended;
  for (int i = 0; i < kCalls; ++i) {
    const uint64_t call = checker.Begin();
    Request request = MakeRequest(call, i % 200, {static_cast<uint32_t>(i * 7 % 300)});
    request.set_hold(Request::RELEASE);
    stub.Async().Unary(request, [&checker, &ended, call](absl::StatusOr<Reply> reply) {
      if (reply.ok()) checker.OnReply(call, 0, reply->call(), reply->index(), reply->body());
      checker.End(call, reply.status(), kOnlyOk);
      ended.Add();
    });
  }
  probe().started.WaitFor(kCalls);
  EXPECT_EQ(ended.value(), 0u);
  probe().release.Open();
  ended.WaitFor(kCalls);
  probe().ended.WaitFor(kCalls);
  checker.Verify();
}

TEST_P(PressureTest, ManyThreadsOnOneChannel) {
  constexpr int kThreads = 16;
  constexpr int kCallsEach = 100;
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form, .concurrent_calls = 64});
    const Conformance::Stub stub(world().channel());
    CallChecker checker(kThreads * kCallsEach);
    probe().TellChecker(&checker);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&stub, &checker] {
        for (int i = 0; i < kCallsEach; ++i) {
          const uint64_t call = checker.Begin();
          const uint32_t size = call * 31 % 500;
          const absl::StatusOr<Reply> reply = stub.Unary(MakeRequest(call, size, {size}));
          if (reply.ok()) checker.OnReply(call, 0, reply->call(), reply->index(), reply->body());
          checker.End(call, reply.status(), kOnlyOk);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    probe().ended.WaitFor(kThreads * kCallsEach);
    checker.Verify();
  }
}

TEST_P(PressureTest, ManyStreamsOfManyThreads) {
  constexpr int kThreads = 8;
  constexpr uint32_t kRounds = 60;
  NewWorld({.concurrent_calls = 64});
  const Conformance::Stub stub(world().channel());
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&stub, t] {
      auto stream = stub.Chat();
      Reply reply;
      for (uint32_t i = 0; i < kRounds; ++i) {
        const uint32_t size = i * 97 % 4000;
        ASSERT_TRUE(stream.Write(MakeRequest(t, size, {size}, i)));
        ASSERT_TRUE(stream.Read(&reply));
        ASSERT_OK(CheckReply(MakeRequest(t, 0), reply, i, size));
      }
      stream.WritesDone();
      EXPECT_OK(stream.Finish());
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(PressureTest, ManyConnections) {
  constexpr int kConnections = 40;
  NewWorld();
  std::vector<std::unique_ptr<Conformance::Stub>> stubs;
  for (int i = 0; i < kConnections; ++i) {
    stubs.push_back(std::make_unique<Conformance::Stub>(world().NewChannel()));
  }
  Counter ended;
  for (int round = 0; round < 5; ++round) {
    for (const auto& stub : stubs) {
      stub->Async().Empty(Nothing(), [&ended](absl::StatusOr<Nothing> reply) {
        EXPECT_OK(reply);
        ended.Add();
      });
    }
  }
  ended.WaitFor(5 * kConnections);
}

// Calls from inside callbacks: a chain without a thread that waits.
TEST_P(PressureTest, EachCallbackMakesTheNextCall) {
  const Conformance::Stub stub(world().channel());
  constexpr int kCalls = 500;
  Gate ended;
  int made = 0;
  std::function<void()> next = [&stub, &ended, &made, &next] {
    stub.Async().Empty(Nothing(), [&ended, &made, &next](absl::StatusOr<Nothing> reply) {
      EXPECT_OK(reply);
      if (++made == kCalls) {
        ended.Open();
      } else {
        next();
      }
    });
  };
  next();
  ended.Wait();
}

}  // namespace
}  // namespace anywire::test
