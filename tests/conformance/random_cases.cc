// Random operations: all shapes and forms, with cancels, deadlines, streams that are dropped half
// way and connections that are cut, by several threads at once. The checker judges each call.
// ANYWIRE_TEST_SEED repeats a run's choices.
#include <array>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/conformance/forms_test_base.h"
#include "tests/support/call_checker.h"
#include "tests/support/seed.h"

namespace anywire::test {
namespace {

constexpr int kThreads = 4;
constexpr int kOperations = 120;  // of each thread

const Allowed kAnyOfThese = {absl::StatusCode::kOk, absl::StatusCode::kCancelled,
                             absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kUnavailable};

using Random = std::mt19937_64;
uint32_t Below(Random& random, uint32_t limit) { return random() % limit; }

// The cancellation of what each thread is doing now, for the others to pull.
class Triggers {
 public:
  CancellationToken Arm(int thread) {
    absl::MutexLock lock(&mutex_);
    sources_[thread] = std::make_shared<CancellationSource>();
    return sources_[thread]->token();
  }
  void Pull(int thread) {
    std::shared_ptr<CancellationSource> source;
    {
      absl::MutexLock lock(&mutex_);
      source = sources_[thread];
    }
    if (source != nullptr) source->Cancel();
  }

 private:
  absl::Mutex mutex_;
  std::array<std::shared_ptr<CancellationSource>, kThreads> sources_ ABSL_GUARDED_BY(mutex_);
};

class RandomClient {
 public:
  RandomClient(World& world, CallChecker& checker, Triggers& triggers, int thread, uint64_t seed)
      : stub_(world.channel()),
        faults_(world.faults()),
        checker_(checker),
        triggers_(triggers),
        thread_(thread),
        random_(seed * 1000 + thread) {}

  void Run() {
    for (int i = 0; i < kOperations; ++i) Step();
  }

 private:
  void Step() {
    // What happens to others meanwhile.
    if (Below(random_, 12) == 0) triggers_.Pull(Below(random_, kThreads));
    if (Below(random_, 40) == 0) faults_.CutAll();
    if (Below(random_, 40) == 0) faults_.CutAfterFrames(1 + Below(random_, 30));

    const CancellationToken token = triggers_.Arm(thread_);
    CallOptions options = {.cancellation = &token};
    if (Below(random_, 5) == 0) options.timeout = absl::Microseconds(Below(random_, 3000));
    const uint64_t call = checker_.Begin();
    switch (Below(random_, 6)) {
      case 0:
      case 1:
        return Unary(call, options);
      case 2:
        return Upload(call, options);
      case 3:
        return Download(call, options);
      case 4:
        return PingPong(call, options);
      default:
        return HalfWay(call, options);
    }
  }

  ClientForm Form() { return kClientForms[Below(random_, 3)]; }
  // Mostly small, now and then more than a window.
  uint32_t Size() { return Below(random_, 10) == 0 ? Below(random_, 30000) : Below(random_, 300); }
  std::vector<uint32_t> Sizes(uint32_t most) {
    std::vector<uint32_t> sizes(Below(random_, most + 1));
    for (uint32_t& size : sizes) size = Size();
    return sizes;
  }
  Request RandomRequest(uint64_t call, std::vector<uint32_t> reply_sizes, uint32_t index = 0) {
    return MakeRequest(call, Size(), std::move(reply_sizes), index);
  }

  void End(uint64_t call, const absl::Status& status) { checker_.End(call, status, kAnyOfThese); }
  void OnReplies(uint64_t call, const std::vector<Reply>& replies) {
    for (size_t i = 0; i < replies.size(); ++i) {
      checker_.OnReply(call, i, replies[i].call(), replies[i].index(), replies[i].body());
    }
  }

  void Unary(uint64_t call, const CallOptions& options) {
    const absl::StatusOr<Reply> reply =
        CallUnary(Form(), stub_, RandomRequest(call, {Size()}), options);
    if (reply.ok()) OnReplies(call, {*reply});
    End(call, reply.status());
  }
  void Upload(uint64_t call, const CallOptions& options) {
    std::vector<Request> requests;
    const uint32_t count = 1 + Below(random_, 10);
    for (uint32_t i = 0; i < count; ++i) requests.push_back(RandomRequest(call, {Size()}, i));
    const absl::StatusOr<Reply> reply = CallUpload(Form(), stub_, requests, options);
    if (reply.ok()) {
      OnReplies(call, {*reply});
      EXPECT_EQ(reply->requests_received(), count);
    }
    End(call, reply.status());
  }
  void Download(uint64_t call, const CallOptions& options) {
    const Request request = RandomRequest(call, Sizes(20));
    const Conversation conversation = CallDownload(Form(), stub_, request, options);
    OnReplies(call, conversation.replies);
    if (conversation.status.ok()) {
      EXPECT_EQ(conversation.replies.size(), static_cast<size_t>(request.reply_sizes_size()));
    }
    End(call, conversation.status);
  }
  void PingPong(uint64_t call, const CallOptions& options) {
    std::vector<Request> requests;
    size_t replies = 0;
    const uint32_t count = 1 + Below(random_, 10);
    for (uint32_t i = 0; i < count; ++i) {
      requests.push_back(RandomRequest(call, Sizes(3), i));
      replies += requests.back().reply_sizes_size();
    }
    const Conversation conversation = CallPingPong(Form(), stub_, requests, options);
    OnReplies(call, conversation.replies);
    if (conversation.status.ok()) {
      EXPECT_EQ(conversation.replies.size(), replies);
    }
    End(call, conversation.status);
  }
  // A stream that is used for a while and then cancelled, finished, or dropped as it is.
  void HalfWay(uint64_t call, const CallOptions& options) {
    auto stream = stub_.Chat(options);
    uint32_t written = 0;
    uint32_t read = 0;
    uint32_t due = 0;
    Reply reply;
    for (uint32_t steps = Below(random_, 12); steps > 0; --steps) {
      if (due > 0 && Below(random_, 2) == 0) {
        if (!stream.Read(&reply)) break;
        checker_.OnReply(call, read++, reply.call(), reply.index(), reply.body());
        --due;
      } else {
        const std::vector<uint32_t> sizes = Sizes(2);
        if (!stream.Write(RandomRequest(call, sizes, written++))) break;
        due += sizes.size();
      }
    }
    switch (Below(random_, 3)) {
      case 0:
        stream.Cancel();
        return End(call, stream.Finish());
      case 1:
        stream.WritesDone();
        while (stream.Read(&reply)) {
          checker_.OnReply(call, read++, reply.call(), reply.index(), reply.body());
        }
        return End(call, written == 0 ? Unhandled(stream.Finish()) : stream.Finish());
      default:
        // Dropped: its end is for nobody to see.
        return End(call, absl::CancelledError("dropped"));
    }
  }
  // A stream without requests names no call to its handler, so the checker cannot know that a
  // handler ran.
  static absl::Status Unhandled(const absl::Status& status) {
    return status.ok() ? absl::CancelledError("without a message") : status;
  }

  const Conformance::Stub stub_;
  FaultControl& faults_;
  CallChecker& checker_;
  Triggers& triggers_;
  const int thread_;
  Random random_;
};

class RandomTest : public FormsTest {};
ANYWIRE_CONFORMANCE(RandomTest, AllSettings());

TEST_P(RandomTest, OperationsOfManyThreads) {
  const uint64_t seed = TestSeed(20221113);
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    Setting setting = GetParam();
    setting.handicap.faults.seed = seed;
    NewWorld(setting, {.form = form, .concurrent_calls = 64});
    CallChecker checker(kThreads * kOperations);
    probe().TellChecker(&checker);
    Triggers triggers;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([this, &checker, &triggers, t, seed] {
        RandomClient(world(), checker, triggers, t, seed).Run();
      });
    }
    for (std::thread& thread : threads) thread.join();
    // All that is left ends by itself, and the channel is as good as new.
    world().faults().CutAfterFrames(1 << 30);
    probe().TellChecker(nullptr);
    ExpectAliveAgain();
    world().StopServer();
    probe().ended.WaitFor(probe().started.value());
    checker.Verify();
    EXPECT_GT(checker.ended(absl::StatusCode::kOk), 0u);
  }
}

}  // namespace
}  // namespace anywire::test
