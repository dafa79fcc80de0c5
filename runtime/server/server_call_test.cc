// Calls of all shapes against a running server, with a client that may break the rules.
#include "runtime/server/server_call.h"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "anywire/awaitable.h"
#include "anywire/cancellation.h"
#include "anywire/delivery.h"
#include "anywire/interceptor.h"
#include "anywire/operation.h"
#include "anywire/server.h"
#include "anywire/task.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/server/server_call_test_base.h"
#include "runtime/server/test_service.h"

namespace anywire {
namespace {

using testing::ElementsAre;

TEST_F(ServerCallTest, UnaryEchoes) {
  RawClient& client = Start();
  for (const Method* method : {&kEcho, &kBlockingEcho}) {
    for (const size_t size : {0, 1, 64, 100'000}) {
      const auto call = client.Call(*method, Wire(std::string(size, 'x')));
      EXPECT_TRUE(call->WaitForEnd().ok());
      EXPECT_THAT(call->WaitForMessages(1), ElementsAre(Wire(std::string(size, 'x'))));
    }
  }
}

TEST_F(ServerCallTest, TheRequestMayComeBeforeTheEndOfItsDirection) {
  RawClient& client = Start();
  const auto call = client.Open(kEcho);
  call->Send(Wire("early"));
  call->HalfClose();
  EXPECT_TRUE(call->WaitForEnd().ok());
  EXPECT_THAT(call->WaitForMessages(1), ElementsAre(Wire("early")));
}

TEST_F(ServerCallTest, NoRequestOrTwoAreNotImplemented) {
  std::atomic<int> handlers = 0;
  service_.echo = [&handlers](ServerContext&, const Text&, Text*) -> Task<absl::Status> {
    ++handlers;
    co_return absl::OkStatus();
  };
  RawClient& client = Start();
  const auto none = client.Open(kEcho);
  none->HalfClose();
  absl::Status status = none->WaitForEnd();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(status.message(), "test.Service/Echo takes one request and got none");
  EXPECT_EQ(DeliveryOf(status), Delivery::kNotProcessed);
  const auto two = client.Open(kDownload);
  two->Send(Wire("one"));
  two->Send(Wire("two"));
  status = two->WaitForEnd();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(status.message(), "test.Service/Download takes one request and got another");
  EXPECT_EQ(handlers, 0);
}

TEST_F(ServerCallTest, ARequestThatCannotBeParsedIsInternalAndNotProcessed) {
  std::atomic<int> handlers = 0;
  service_.echo = [&handlers](ServerContext&, const Text&, Text*) -> Task<absl::Status> {
    ++handlers;
    co_return absl::OkStatus();
  };
  RawClient& client = Start();
  for (const Method* method : {&kEcho, &kBlockingEcho, &kDownload}) {
    const auto call = client.Call(*method, "\x0a\x7f short");
    const absl::Status status = call->WaitForEnd();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_EQ(status.message(), "could not parse a request of type google.protobuf.StringValue");
    EXPECT_EQ(DeliveryOf(status), Delivery::kNotProcessed);
  }
  EXPECT_EQ(handlers, 0);
  EXPECT_TRUE(client.Call(kEcho, Wire("next"))->WaitForEnd().ok());
}

TEST_F(ServerCallTest, UnboundMethodsAreUnimplemented) {
  static constinit const Method kUnbound("test.Service/Unbound", CallShape::kUnary);
  RawClient& client = Start();
  const absl::Status status = client.Call(kUnbound, Wire("hello"))->WaitForEnd();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(DeliveryOf(status), Delivery::kNotProcessed);
}

TEST_F(ServerCallTest, AHandlerThatThrowsIsInternalAndNothingElseBreaks) {
  Door door;
  service_.echo = [&door](ServerContext&, const Text& request, Text*) -> Task<absl::Status> {
    if (request.value() == "later") co_await door.Pass();
    throw std::runtime_error(absl::StrCat("no ", request.value()));
  };
  service_.download = [](ServerContext&, const Text&, Writer&) -> Task<absl::Status> {
    throw 42;  // not even a coroutine
  };
  service_.blocking_echo = [](ServerContext&, const Text&, Text*) -> absl::Status {
    throw std::logic_error("not here");
  };
  RawClient& client = Start();
  // What it threw is nothing for the client.
  EXPECT_EQ(client.Call(kEcho, Wire("now"))->WaitForEnd(),
            absl::InternalError("test.Service/Echo: the handler threw an exception"));
  const auto later = client.Call(kEcho, Wire("later"));
  door.WaitUntilSomebodyWaits();
  door.Open();
  EXPECT_EQ(later->WaitForEnd(),
            absl::InternalError("test.Service/Echo: the handler threw an exception"));
  EXPECT_EQ(client.Call(kDownload, Wire(""))->WaitForEnd(),
            absl::InternalError("test.Service/Download: the handler threw an exception"));
  EXPECT_EQ(client.Call(kBlockingEcho, Wire(""))->WaitForEnd(),
            absl::InternalError("test.Service/BlockingEcho: the handler threw an exception"));
  EXPECT_FALSE(client.WaitForLoss(absl::ZeroDuration()));
}

TEST_F(ServerCallTest, AHandlersStatusSaysNothingOfDelivery) {
  service_.echo = [](ServerContext&, const Text&, Text*) -> Task<absl::Status> {
    co_return WithDelivery(absl::UnavailableError("further on"), Delivery::kNotProcessed);
  };
  const absl::Status status = Start().Call(kEcho, Wire(""))->WaitForEnd();
  EXPECT_EQ(status.message(), "further on");
  EXPECT_EQ(DeliveryOf(status), Delivery::kUnknown);
}

TEST_F(ServerCallTest, MessagesFlowBothWays) {
  service_.chat = [](ServerContext&, ReaderWriter& stream) -> Task<absl::Status> {
    Text message;
    while (co_await stream.Read(&message)) {
      if (!co_await stream.Write(message)) co_return absl::AbortedError("write");
    }
    co_return absl::OkStatus();
  };
  service_.blocking_chat = [](ServerContext&, BlockingServerReaderWriter<Text, Text>& stream) {
    Text message;
    while (stream.Read(&message)) {
      if (!stream.Write(message)) return absl::AbortedError("write");
    }
    return absl::OkStatus();
  };
  RawClient& client = Start();
  for (const Method* method : {&kChat, &kBlockingChat}) {
    const auto call = client.Open(*method);
    std::vector<std::string> sent;
    for (int i = 0; i < 200; ++i) {
      sent.push_back(Wire(std::string(static_cast<size_t>(i) * 10, 'm')));
      ASSERT_TRUE(call->Send(sent.back()));
    }
    EXPECT_EQ(call->WaitForMessages(sent.size()), sent);
    call->HalfClose();
    EXPECT_TRUE(call->WaitForEnd().ok());
  }
}

TEST_F(ServerCallTest, CancellationReachesTheHandlerWhereverItIs) {
  std::atomic<bool> read_ok = true, token_fired = false;
  absl::Notification ended;
  service_.upload = [&token_fired, &read_ok, &ended](ServerContext& context, Reader& reader,
                                                     Text*) -> Task<absl::Status> {
    const CancellationCallback callback(context.cancellation(),
                                        [&token_fired] { token_fired = true; });
    Text request;
    while (co_await reader.Read(&request)) {
    }
    read_ok = false;
    EXPECT_TRUE(context.cancelled());
    EXPECT_FALSE(co_await reader.Read(&request));
    ended.Notify();
    co_return absl::OkStatus();
  };
  RawClient& client = Start();
  const auto call = client.Open(kUpload);
  call->Send(Wire("one"));
  call->Cancel();
  ASSERT_TRUE(ended.WaitForNotificationWithTimeout(kPatience));
  EXPECT_FALSE(read_ok);
  EXPECT_TRUE(token_fired);
  EXPECT_EQ(call->WaitForEnd().code(), absl::StatusCode::kCancelled);
}

TEST_F(ServerCallTest, TheDeadlineEndsTheCallAndIsInTheScope) {
  // A busy machine, too, comes to the handler before.
  static constexpr absl::Duration kTimeout = absl::Milliseconds(500);
  Door door;
  absl::Notification ended;
  std::atomic<bool> same = false;
  service_.echo = [&same, &door, &ended](ServerContext& context, const Text&,
                                         Text*) -> Task<absl::Status> {
    same = CurrentCallScope() != nullptr && CurrentCallScope()->deadline == context.deadline() &&
           context.time_left() <= kTimeout;
    const CancellationCallback callback(context.cancellation(), [&door] { door.Open(); });
    co_await door.Pass();
    EXPECT_TRUE(context.cancelled());
    // The client, whose time began earlier, may be first to say so.
    EXPECT_LT(context.time_left(), kTimeout);
    ended.Notify();
    co_return absl::OkStatus();
  };
  RawClient& client = Start();
  const auto call = client.Call(kEcho, Wire(""), kTimeout);
  EXPECT_EQ(call->WaitForEnd().code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(ended.WaitForNotificationWithTimeout(kPatience));
  EXPECT_TRUE(same);
}

TEST_F(ServerCallTest, AHandlerMayOutliveItsConnection) {
  Door door;
  absl::Notification cancelled, ended;
  service_.echo = [&cancelled, &door, &ended](ServerContext& context, const Text&,
                                              Text* reply) -> Task<absl::Status> {
    const CancellationCallback callback(context.cancellation(),
                                        [&cancelled] { cancelled.Notify(); });
    co_await door.Pass();
    reply->set_value("for nobody");
    EXPECT_TRUE(context.cancelled());
    EXPECT_EQ(context.peer().local_address, kAddress);
    ended.Notify();
    co_return absl::OkStatus();
  };
  RawClient& client = Start();
  const auto call = client.Call(kEcho, Wire(""));
  door.WaitUntilSomebodyWaits();
  client.Close();
  EXPECT_TRUE(client.WaitForLoss());
  server_->Shutdown(absl::ZeroDuration());
  std::thread opener([&cancelled, &door] {
    EXPECT_TRUE(cancelled.WaitForNotificationWithTimeout(kPatience));
    door.Open();
  });
  server_->Wait();  // for the handler
  EXPECT_TRUE(ended.HasBeenNotified());
  opener.join();
}

TEST_F(ServerCallTest, AWriterWaitsForItsReaderAndHearsOfTheEnd) {
  std::atomic<int> written = 0;
  absl::Notification ended;
  service_.download = [&written, &ended](ServerContext&, const Text&,
                                         Writer& writer) -> Task<absl::Status> {
    Text message;
    message.set_value(std::string(100'000, 'w'));
    while (co_await writer.Write(message)) ++written;
    ended.Notify();
    co_return absl::OkStatus();
  };
  Start();
  // This client takes nothing: its window is all that can be written.
  const std::unique_ptr<RawClient> slow = NewClient();
  const auto call = slow->Call(kDownload, Wire(""));
  call->WaitForMessages(2);
  call->Cancel();
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(kPatience));
}

TEST_F(ServerCallTest, MetadataGoesBothWays) {
  service_.echo = [](ServerContext& context, const Text&, Text* reply) -> Task<absl::Status> {
    reply->set_value(std::string(context.client_metadata().Get("who").value_or("nobody")));
    context.AddInitialMetadata("first", "1");
    if (reply->value() == "asks early") {
      EXPECT_TRUE(context.SendInitialMetadata().ok());
      EXPECT_EQ(context.SendInitialMetadata().code(), absl::StatusCode::kFailedPrecondition);
    }
    context.AddTrailingMetadata("last-bin", std::string("\0\xff", 2));
    co_return absl::OkStatus();
  };
  RawClient& client = Start();
  for (const char* who : {"somebody", "asks early"}) {
    const Metadata metadata = {{"who", who}};
    const std::string request = Wire("");
    RawCall call(client.endpoint(), kEcho, &request, true, absl::InfiniteDuration(), &metadata);
    EXPECT_TRUE(call.WaitForEnd().ok());
    EXPECT_EQ(Value(call.WaitForMessages(1).at(0)), who);
    EXPECT_EQ(call.initial().Get("first"), "1");
    EXPECT_EQ(call.trailing().Get("last-bin"), std::string("\0\xff", 2));
  }
  const auto without = client.Call(kEcho, Wire(""));
  EXPECT_TRUE(without->WaitForEnd().ok());
  EXPECT_EQ(Value(without->WaitForMessages(1).at(0)), "nobody");
}

TEST_F(ServerCallTest, MetadataThatBreaksARuleIsTheHandlersFault) {
  service_.echo = [](ServerContext& context, const Text& request, Text*) -> Task<absl::Status> {
    if (request.value() == "initial") {
      context.AddInitialMetadata("Upper", "case");
    } else {
      context.AddTrailingMetadata("Upper", "case");
    }
    co_return absl::OkStatus();
  };
  service_.download = [](ServerContext& context, const Text&,
                         Writer& writer) -> Task<absl::Status> {
    context.AddInitialMetadata("Upper", "case");
    EXPECT_FALSE(co_await writer.Write(Text()));
    co_return absl::OkStatus();
  };
  RawClient& client = Start();
  for (const char* which : {"initial", "trailing"}) {
    EXPECT_EQ(client.Call(kEcho, Wire(which))->WaitForEnd().code(), absl::StatusCode::kInternal);
  }
  EXPECT_EQ(client.Call(kDownload, Wire(""))->WaitForEnd().code(), absl::StatusCode::kInternal);
}

TEST_F(ServerCallTest, ARequestBeyondTheLimitAndAReplyToo) {
  service_.echo = [](ServerContext&, const Text& request, Text* reply) -> Task<absl::Status> {
    reply->set_value(std::string(request.value().size() * 2, 'r'));
    co_return absl::OkStatus();
  };
  service_.download = [](ServerContext&, const Text&, Writer& writer) -> Task<absl::Status> {
    Text message;
    message.set_value(std::string(3000, 'r'));
    EXPECT_FALSE(co_await writer.Write(message));
    co_return absl::OkStatus();
  };
  RawClient& client =
      Start("limits { max_receive_message_size: \"2000B\" max_send_message_size: \"2000B\" }");
  EXPECT_TRUE(client.Call(kEcho, Wire(std::string(900, 'x')))->WaitForEnd().ok());
  for (const auto& [method, size] :
       {std::pair(&kEcho, 1100), std::pair(&kEcho, 2100), std::pair(&kDownload, 1)}) {
    EXPECT_EQ(client.Call(*method, Wire(std::string(static_cast<size_t>(size), 'x')))
                  ->WaitForEnd()
                  .code(),
              absl::StatusCode::kResourceExhausted);
  }
}

// BlockingEcho holds its worker until it is released.
class HeldWorkerTest : public ServerCallTest {
 protected:
  HeldWorkerTest() {
    service_.blocking_echo = [this](ServerContext&, const Text&, Text*) {
      ++running_;
      release_.WaitForNotificationWithTimeout(kPatience);
      return absl::OkStatus();
    };
  }

  absl::Notification release_;
  std::atomic<int> running_ = 0;
};

TEST_F(HeldWorkerTest, AFullQueueOfBlockingHandlersRefusesCalls) {
  RawClient& client = Start("runtime { worker_threads: 1 worker_queue: 1 }");
  const auto works = client.Call(kBlockingEcho, Wire("1"));
  while (running_ == 0) std::this_thread::yield();
  const auto waits = client.Call(kBlockingEcho, Wire("2"));
  const absl::Status refused = client.Call(kBlockingEcho, Wire("3"))->WaitForEnd();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(DeliveryOf(refused), Delivery::kNotProcessed);
  const auto cancelled = client.Call(kEcho, Wire("others go on"));
  EXPECT_TRUE(cancelled->WaitForEnd().ok());
  release_.Notify();
  EXPECT_TRUE(works->WaitForEnd().ok());
  EXPECT_TRUE(waits->WaitForEnd().ok());
}

TEST_F(HeldWorkerTest, ACallThatIsCancelledInTheQueueDoesNotRun) {
  RawClient& client = Start("runtime { worker_threads: 1 worker_queue: 8 }");
  const auto works = client.Call(kBlockingEcho, Wire("1"));
  while (running_ == 0) std::this_thread::yield();
  const auto waits = client.Call(kBlockingEcho, Wire("2"));
  waits->Cancel();
  // When this has been answered, the server has heard of the cancellation.
  EXPECT_TRUE(client.Call(kEcho, Wire(""))->WaitForEnd().ok());
  release_.Notify();
  EXPECT_TRUE(works->WaitForEnd().ok());
  EXPECT_TRUE(client.Call(kBlockingEcho, Wire("3"))->WaitForEnd().ok());
  EXPECT_EQ(running_, 2);
}

TEST_F(ServerCallTest, UnreadMessagesOfTheProcessHaveALimit) {
  Door door;
  absl::Notification ended;
  service_.upload = [&door, &ended](ServerContext& context, Reader& reader,
                                    Text*) -> Task<absl::Status> {
    co_await door.Pass();
    Text request;
    int read = 0;
    while (co_await reader.Read(&request)) ++read;
    EXPECT_EQ(read, 0);
    EXPECT_TRUE(context.cancelled());
    ended.Notify();
    co_return absl::OkStatus();
  };
  RawClient& client = Start(
      "runtime { process_buffer: \"1MiB\" } limits { call_window: \"4MiB\" "
      "max_receive_message_size: \"2MiB\" }");
  const auto call = client.Open(kUpload);
  door.WaitUntilSomebodyWaits();
  call->Send(Wire(std::string(600'000, 'a')));
  call->Send(Wire(std::string(600'000, 'b')));
  const absl::Status status = call->WaitForEnd();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  door.Open();
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(kPatience));
}

// Handlers that end on other threads at the very moment at which their calls are cancelled or their
// deadline passes.
TEST_F(ServerCallTest, EndsOfAllKindsMayCoincide) {
  service_.echo = [](ServerContext& context, const Text&, Text* reply) -> Task<absl::Status> {
    co_await internal::AwaitStep(
        [](Operation& done) { std::thread([&done] { done.Done(true); }).detach(); }, [](bool) {});
    if (context.cancelled()) co_return absl::CancelledError();
    reply->set_value("done");
    co_return absl::OkStatus();
  };
  service_.chat = [](ServerContext&, ReaderWriter& stream) -> Task<absl::Status> {
    Text message;
    while (co_await stream.Read(&message)) {
      co_await internal::AwaitStep(
          [](Operation& done) { std::thread([&done] { done.Done(true); }).detach(); }, [](bool) {});
      if (message.value() == "end" || !co_await stream.Write(message)) break;
    }
    co_return absl::OkStatus();
  };
  RawClient& client = Start();
  for (int round = 0; round < 150; ++round) {
    std::vector<std::unique_ptr<RawCall>> calls;
    for (int i = 0; i < 4; ++i) {
      calls.push_back(client.Call(kEcho, Wire(""), absl::Microseconds(50 * i + 20)));
      calls.push_back(client.Open(kChat));
      calls.back()->Send(Wire("message"));
      calls.back()->Send(Wire(i % 2 == 0 ? "end" : "more"));
      calls.back()->Send(Wire("after the end"));
    }
    for (size_t i = 0; i < calls.size(); i += 2) calls[i]->Cancel();
    calls.clear();  // cancels the others
  }
  EXPECT_TRUE(client.Call(kBlockingEcho, Wire(""))->WaitForEnd().ok());
}

// Writes down what it sees.
class Notes final : public ServerInterceptor {
 public:
  Notes(std::string name, std::vector<std::string>* notes)
      : name_(std::move(name)), notes_(notes) {}
  absl::Status start;
  bool replace = false;

  std::unique_ptr<ServerCallWatcher> Intercept(const Method& method) override {
    if (method.full_name() == kBlockingEcho.full_name()) return nullptr;
    class Watcher final : public ServerCallWatcher {
     public:
      explicit Watcher(Notes* notes) : notes_(*notes) {}
      absl::Status OnStart(ServerContext& context) override {
        notes_.Add(absl::StrCat("start ", context.method().full_name()));
        return notes_.start;
      }
      void OnReceiveMessage(const google::protobuf::MessageLite& message) override {
        notes_.Add("receives " + static_cast<const Text&>(message).value());
      }
      void OnSendMessage(const google::protobuf::MessageLite& message) override {
        notes_.Add("sends " + static_cast<const Text&>(message).value());
      }
      void OnFinish(absl::Status& status, const Metadata&, absl::Duration elapsed) override {
        EXPECT_GE(elapsed, absl::ZeroDuration());
        notes_.Add(absl::StrCat("ends ", absl::StatusCodeToString(status.code())));
        if (notes_.replace) status = absl::DataLossError("replaced");
      }

     private:
      Notes& notes_;
    };
    return std::make_unique<Watcher>(this);
  }

 private:
  void Add(const std::string& note) { notes_->push_back(absl::StrCat(name_, " ", note)); }
  const std::string name_;
  std::vector<std::string>* const notes_;
};

TEST_F(ServerCallTest, InterceptorsSeeEverythingInTheirOrder) {
  std::vector<std::string> notes;
  const auto a = std::make_shared<Notes>("a", &notes);
  interceptors_ = {a, std::make_shared<Notes>("b", &notes)};
  RawClient& client = Start();
  EXPECT_TRUE(client.Call(kEcho, Wire("x"))->WaitForEnd().ok());
  EXPECT_THAT(notes,
              ElementsAre("b start test.Service/Echo", "a start test.Service/Echo", "b receives x",
                          "a receives x", "a sends x", "b sends x", "a ends OK", "b ends OK"));
  notes.clear();
  EXPECT_TRUE(client.Call(kBlockingEcho, Wire("unwatched"))->WaitForEnd().ok());
  EXPECT_TRUE(notes.empty());
  a->replace = true;
  EXPECT_EQ(client.Call(kEcho, Wire("x"))->WaitForEnd(), absl::DataLossError("replaced"));
}

TEST_F(ServerCallTest, AnInterceptorMayRefuseACall) {
  std::vector<std::string> notes;
  const auto guard = std::make_shared<Notes>("guard", &notes);
  guard->start = absl::PermissionDeniedError("not you");
  interceptors_ = {guard};
  RawClient& client = Start();
  const auto call = client.Open(kChat);
  const absl::Status status = call->WaitForEnd();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(status.message(), "not you");
  EXPECT_EQ(DeliveryOf(status), Delivery::kNotProcessed);
  EXPECT_THAT(notes, ElementsAre("guard start test.Service/Chat", "guard ends PERMISSION_DENIED"));
}

TEST_F(ServerCallTest, WatchersHearOfTheEndIfTheyHeardOfTheStart) {
  std::vector<std::string> notes;
  const auto guard = std::make_shared<Notes>("guard", &notes);
  guard->start = absl::PermissionDeniedError("not you");
  interceptors_ = {std::make_shared<Notes>("inner", &notes), guard,
                   std::make_shared<Notes>("outer", &notes)};
  RawClient& client = Start();
  EXPECT_EQ(client.Call(kEcho, Wire("x"))->WaitForEnd().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(notes, ElementsAre("outer start test.Service/Echo", "guard start test.Service/Echo",
                                 "guard ends PERMISSION_DENIED", "outer ends PERMISSION_DENIED"));
}

}  // namespace
}  // namespace anywire
