// Two million calls in the ordinary run, spread over the transports, with every body verified.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/conformance/forms_test_base.h"
#include "tests/support/call_checker.h"

namespace anywire::test {
namespace {

// All transports together. Where there are few, as when one is tested alone, each does its part.
constexpr uint64_t kCallsInAll = 2'000'000;
constexpr uint64_t kMostForOne = 500'000;

class BulkTest : public FormsTest {
 protected:
  absl::Duration TimeLimit() const override { return absl::Minutes(4); }
};
ANYWIRE_CONFORMANCE(BulkTest, PlainSettings());

const Allowed kOnlyOk = {absl::StatusCode::kOk};

// One row of calls, of which each begins in the callback of the one before.
class CallChain {
 public:
  CallChain(const Channel& channel, CallChecker& checker, std::atomic<int64_t>& left,
            Counter& ended)
      : stub_(channel), checker_(checker), left_(left), ended_(ended) {}

  void Next() {
    if (left_.fetch_sub(1) <= 0) {
      ended_.Add();
      return;
    }
    call_ = checker_.Begin();
    const uint32_t size = call_ % 97;
    stub_.Async().Unary(MakeRequest(call_, size, {96 - size}), [this](absl::StatusOr<Reply> reply) {
      Check(reply);
      Next();
    });
  }

 private:
  void Check(const absl::StatusOr<Reply>& reply) {
    if (reply.ok()) checker_.OnReply(call_, 0, reply->call(), reply->index(), reply->body());
    checker_.End(call_, reply.status(), kOnlyOk);
  }

  const Conformance::Stub stub_;
  CallChecker& checker_;
  std::atomic<int64_t>& left_;
  Counter& ended_;
  uint64_t call_ = 0;
};

TEST_P(BulkTest, TwoMillionCallsOverAllTransports) {
  const uint64_t calls =
      std::min(kMostForOne, kCallsInAll / PlainSettings().size()) / (BuildSlowness() > 1 ? 20 : 1);
  CallChecker checker(calls);
  NewWorld({.bare_transports = true, .concurrent_calls = 1024});
  probe().TellChecker(&checker);
  std::atomic<int64_t> left = static_cast<int64_t>(calls);
  Counter ended;
  constexpr int kConnections = 4;
  constexpr int kChainsEach = 64;
  std::vector<std::unique_ptr<CallChain>> chains;
  for (int connection = 0; connection < kConnections; ++connection) {
    const Channel channel = world().NewChannel();
    for (int chain = 0; chain < kChainsEach; ++chain) {
      chains.push_back(std::make_unique<CallChain>(channel, checker, left, ended));
    }
  }
  for (const std::unique_ptr<CallChain>& chain : chains) chain->Next();
  ended.WaitFor(chains.size());
  probe().ended.WaitFor(calls);
  EXPECT_EQ(checker.begun(), calls);
  EXPECT_EQ(checker.ended(absl::StatusCode::kOk), calls);
  checker.Verify();
}

// The same body of work through blocking calls of several threads: another path of the runtime.
TEST_P(BulkTest, BlockingCallsOfThreads) {
  constexpr int kThreads = 4;
  const uint64_t calls = 20000 / (BuildSlowness() > 1 ? 20 : 1);
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    CallChecker checker(calls);
    NewWorld({.bare_transports = true, .form = form});
    probe().TellChecker(&checker);
    std::atomic<int64_t> left = static_cast<int64_t>(calls);
    const Conformance::Stub stub(world().channel());
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&stub, &checker, &left] {
        while (left.fetch_sub(1) > 0) {
          const uint64_t call = checker.Begin();
          const uint32_t size = call % 300;
          const absl::StatusOr<Reply> reply = stub.Unary(MakeRequest(call, size, {299 - size}));
          if (reply.ok()) checker.OnReply(call, 0, reply->call(), reply->index(), reply->body());
          checker.End(call, reply.status(), kOnlyOk);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    probe().ended.WaitFor(calls);
    checker.Verify();
  }
}

}  // namespace
}  // namespace anywire::test
