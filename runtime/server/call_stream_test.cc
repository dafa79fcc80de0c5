// How the stream of a call ends: for the handler that reads it, for one that returns first, and for
// one that writes too much.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "anywire/interceptor.h"
#include "anywire/operation.h"
#include "anywire/task.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/server/raw_client.h"
#include "runtime/server/server_call_test_base.h"
#include "runtime/server/test_service.h"

namespace anywire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CallStreamTest : public ServerCallTest {};

TEST_F(CallStreamTest, AMessageOfAStreamThatCannotBeParsedEndsTheCall) {
  absl::Notification ended;
  std::atomic<bool> first = false, second = true, cancelled = false;
  service_.upload = [&first, &second, &cancelled, &ended](ServerContext& context, Reader& reader,
                                                          Text*) -> Task<absl::Status> {
    Text request;
    first = co_await reader.Read(&request);
    second = co_await reader.Read(&request);
    cancelled = context.cancelled();  // at once: false here would mean that this is all
    ended.Notify();
    co_return absl::OkStatus();  // too late
  };
  RawClient& client = Start();
  const auto call = client.Open(kUpload);
  call->Send(Wire("fine"));
  call->Send("\x0a\x7f short");
  const absl::Status status = call->WaitForEnd();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(status.message(), "could not parse a request of type google.protobuf.StringValue");
  ASSERT_TRUE(ended.WaitForNotificationWithTimeout(kPatience));
  EXPECT_TRUE(first);
  EXPECT_FALSE(second);
  EXPECT_TRUE(cancelled);
}

// The connection's thread is kept busy, so that it cannot tell the call of its end.
TEST_F(CallStreamTest, AReadThatFailsFindsTheCallCancelled) {
  absl::Notification chatting, busy, over, ended, release;
  std::atomic<bool> read = true, cancelled = false;
  service_.blocking_chat = [&chatting, &over, &read, &cancelled, &ended](
                               ServerContext& context,
                               BlockingServerReaderWriter<Text, Text>& stream) {
    chatting.Notify();
    over.WaitForNotificationWithTimeout(kPatience);
    Text request;
    read = stream.Read(&request);
    cancelled = context.cancelled();
    ended.Notify();
    return absl::OkStatus();
  };
  service_.echo = [&busy, &release](ServerContext&, const Text&, Text*) -> Task<absl::Status> {
    busy.Notify();
    release.WaitForNotificationWithTimeout(kPatience);
    co_return absl::OkStatus();
  };
  // One for the listener, which is closed first, wherever this runs.
  RawClient& client = Start("runtime { io_threads: 2 }");
  const auto chat = client.Open(kBlockingChat);
  ASSERT_TRUE(chatting.WaitForNotificationWithTimeout(kPatience));
  const auto echo = client.Call(kEcho, Wire(""));
  ASSERT_TRUE(busy.WaitForNotificationWithTimeout(kPatience));
  server_->Shutdown(absl::ZeroDuration());
  EXPECT_EQ(chat->WaitForEnd().code(), absl::StatusCode::kUnavailable);
  over.Notify();
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(kPatience));
  release.Notify();
  server_->Wait();
  EXPECT_FALSE(read);
  EXPECT_TRUE(cancelled);
}

// A step of a stream that is not awaited by the handler.
class Aside final : private Operation {
 public:
  void Start(Task<bool> task) {
    task_.emplace(std::move(task));
    task_->Start(*this);
  }
  bool Wait() { return ended_.WaitForNotificationWithTimeout(kPatience); }
  bool ended() const { return ended_.HasBeenNotified(); }
  bool ok() const { return ok_; }

 private:
  void Done(bool) override {
    ok_ = task_->Take();
    ended_.Notify();
  }
  std::optional<Task<bool>> task_;
  absl::Notification ended_;
  bool ok_ = false;
};

Task<bool> ReadTwice(Reader& reader, Text* request) {
  (void)co_await reader.Read(request);
  co_return co_await reader.Read(request);
}

TEST_F(CallStreamTest, AHandlerThatReturnsEndsTheReadThatIsOutstanding) {
  Aside aside;
  Text never;
  std::atomic<int> calls = 0;
  service_.upload = [&aside, &never, &calls](ServerContext&, Reader& reader,
                                             Text* reply) -> Task<absl::Status> {
    if (++calls == 1) {
      aside.Start(ReadTwice(reader, &never));
      EXPECT_FALSE(aside.ended());
      co_return absl::OkStatus();
    }
    EXPECT_TRUE(aside.ended());
    (void)co_await reader.Read(reply);
    co_return absl::OkStatus();
  };
  RawClient& client = Start();
  EXPECT_TRUE(client.Open(kUpload)->WaitForEnd().ok());
  ASSERT_TRUE(aside.Wait());
  EXPECT_FALSE(aside.ok());
  // The next call, in the same memory, has its messages for itself.
  const auto next = client.Open(kUpload);
  next->Send(Wire("mine"));
  EXPECT_TRUE(next->WaitForEnd().ok());
  EXPECT_THAT(next->WaitForMessages(1), ElementsAre(Wire("mine")));
  EXPECT_EQ(never.value(), "");
}

Task<bool> WriteForEver(Writer& writer, std::atomic<int>& written) {
  Text message;
  message.set_value(std::string(100'000, 'w'));
  while (co_await writer.Write(message)) ++written;
  co_return false;
}

TEST_F(CallStreamTest, AHandlerThatReturnsEndsTheWriteThatIsOutstanding) {
  Aside aside;
  std::atomic<int> written = 0;
  service_.download = [&aside, &written](ServerContext&, const Text&,
                                         Writer& writer) -> Task<absl::Status> {
    aside.Start(WriteForEver(writer, written));
    EXPECT_FALSE(aside.ended());
    co_return absl::OkStatus();
  };
  RawClient& client = Start();
  const auto call = client.Call(kDownload, Wire(""));
  ASSERT_TRUE(aside.Wait());
  // What was written arrives, the one that waited too.
  EXPECT_EQ(call->WaitForMessages(static_cast<size_t>(written) + 1).size(),
            static_cast<size_t>(written) + 1);
  EXPECT_TRUE(call->WaitForEnd().ok());
}

// Holds the first message that is received, and tells whether its call ended meanwhile.
class HeldMessage final : public ServerInterceptor {
 public:
  std::unique_ptr<ServerCallWatcher> Intercept(const Method& method) override {
    if (method.full_name() != kBlockingChat.full_name()) return nullptr;
    return std::make_unique<Watcher>(*this);
  }

  absl::Notification reached, go_on;
  std::atomic<bool> finished = false, finished_meanwhile = false;

 private:
  class Watcher final : public ServerCallWatcher {
   public:
    explicit Watcher(HeldMessage& held) : held_(held) {}
    void OnReceiveMessage(const google::protobuf::MessageLite&) override {
      HeldMessage& held = held_;
      held.reached.Notify();
      held.go_on.WaitForNotificationWithTimeout(kPatience);
      held.finished_meanwhile = held.finished.load();
    }
    void OnFinish(absl::Status&, const Metadata&, absl::Duration) override {
      held_.finished = true;
    }

   private:
    HeldMessage& held_;
  };
};

TEST_F(CallStreamTest, AHandlerThatReturnsUnderAStepLeavesTheEndToIt) {
  const auto held = std::make_shared<HeldMessage>();
  interceptors_.push_back(held);
  std::atomic<bool> read = false;
  std::optional<std::thread> reading;
  service_.blocking_chat = [&held, &read, &reading](
                               ServerContext&, BlockingServerReaderWriter<Text, Text>& stream) {
    reading.emplace([&stream, &read] {
      Text request;
      read = stream.Read(&request);
    });
    held->reached.WaitForNotificationWithTimeout(kPatience);
    return absl::OkStatus();  // against the rule
  };
  service_.blocking_echo = [&held](ServerContext&, const Text&, Text*) {
    held->go_on.Notify();  // on the one worker, which has left the other handler's call by now
    return absl::OkStatus();
  };
  RawClient& client = Start("runtime { io_threads: 2 worker_threads: 1 }");
  const std::unique_ptr<RawClient> other = NewClient();
  const auto chat = client.Open(kBlockingChat);
  chat->Send(Wire("held"));
  ASSERT_TRUE(held->reached.WaitForNotificationWithTimeout(kPatience));
  EXPECT_TRUE(other->Call(kBlockingEcho, Wire(""))->WaitForEnd().ok());
  EXPECT_TRUE(chat->WaitForEnd().ok());
  reading->join();
  EXPECT_TRUE(read);
  EXPECT_TRUE(held->finished);
  EXPECT_FALSE(held->finished_meanwhile);
}

// Serialised, `size` bytes.
Text TextOfSize(size_t size) {
  Text text;
  text.set_value(std::string(size - 3, 'x'));
  EXPECT_EQ(text.ByteSizeLong(), size);
  return text;
}

TEST_F(CallStreamTest, AMessageThatIsTooLargeSaysWhichLimitItBreaks) {
  service_.download = [](ServerContext&, const Text&, Writer& writer) -> Task<absl::Status> {
    EXPECT_TRUE(co_await writer.Write(TextOfSize(1000)));
    EXPECT_FALSE(co_await writer.Write(TextOfSize(1001)));
    co_return absl::OkStatus();
  };
  RawClient& client = Start("limits { max_send_message_size: \"1000B\" }");
  const absl::Status status = client.Call(kDownload, Wire(""))->WaitForEnd();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("a reply of 1001 bytes"));
  EXPECT_THAT(status.message(), HasSubstr("limits.max_send_message_size"));
}

// Three calls whose client takes three messages of each and reads none. The fourth waits: 10,000
// bytes of the first call, 9,000 of the second and 6,000, give or take one, of the third; 25,000
// may.
TEST_F(CallStreamTest, MessagesThatWaitToBeSentHaveALimit) {
  service_.download = [](ServerContext&, const Text& request,
                         Writer& writer) -> Task<absl::Status> {
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(co_await writer.Write(TextOfSize(10000)));
    (void)co_await writer.Write(TextOfSize(std::stoul(request.value())));
    co_return absl::OkStatus();
  };
  Start(
      "runtime { io_threads: 1 } "
      "limits { max_send_message_size: \"10000B\" max_queued_bytes: \"25000B\" }");
  protocol::Limits limits;
  limits.call_window = 32 << 10;
  for (const size_t last : {5999, 6000, 6001}) {
    SCOPED_TRACE(last);
    RawClient client(runtime_->core().registry(), kAddress, limits);
    std::vector<std::unique_ptr<RawCall>> calls;
    for (const size_t size : {size_t{10000}, size_t{9000}, last}) {
      calls.push_back(client.Open(kDownload));
      calls.back()->HoldCredit();
      calls.back()->Send(Wire(absl::StrCat(size)));
      calls.back()->HalfClose();
      // When this has been answered, the handler has come to its last message.
      EXPECT_TRUE(client.Call(kEcho, Wire(""))->WaitForEnd().ok());
    }
    if (last <= 6000) calls[2]->GiveCredit();
    const absl::Status status = calls[2]->WaitForEnd();
    if (last <= 6000) {
      EXPECT_TRUE(status.ok()) << status;
      EXPECT_EQ(calls[2]->WaitForMessages(4).size(), 4u);
    } else {
      EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
      EXPECT_THAT(status.message(), HasSubstr("limits.max_queued_bytes"));
    }
    // The others only wait.
    for (int i = 0; i < 2; ++i) {
      calls[i]->GiveCredit();
      EXPECT_TRUE(calls[i]->WaitForEnd().ok());
      EXPECT_EQ(calls[i]->WaitForMessages(4).size(), 4u);
    }
  }
}

}  // namespace
}  // namespace anywire
