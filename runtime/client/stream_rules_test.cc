// What the headers promise of streams beyond their four steps: what is written where and when, on
// which thread code of the user runs, and what a server that breaks the rules comes to.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "anywire/async_streams.h"
#include "anywire/cancellation.h"
#include "anywire/delivery.h"
#include "anywire/interceptor.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.pb.h"
#include "gtest/gtest.h"
#include "runtime/client/stream_fixture.h"
#include "tests/support/status_matchers.h"

namespace anywire::test {
namespace {

using absl::StatusCode;
using google::protobuf::StringValue;
using ::testing::HasSubstr;
// A message with required fields.
using Demanding = google::protobuf::UninterpretedOption::NamePart;

using AsyncStream = AsyncClientReaderWriter<StringValue, StringValue>;
using AsyncWriter = AsyncClientWriter<StringValue, StringValue>;

class StreamRulesTest : public StreamFixture {
 protected:
  AsyncStream AsyncBothWays() {
    return AsyncStream(*channel_, channel_->StartStream(kBothWays, nullptr, {}));
  }
  // Waits until the loop has done what it was asked before.
  void SettleLoop() {
    OnLoop([] {});
  }

  std::optional<ScriptedPeer> peer_;
};

// ---- what the caller lends

// Metadata that shows whether it was written to.
ReceivedMetadata Untouched() {
  return {.initial = {{"mark", "initial"}}, .trailing = {{"mark", "trailing"}}, .peer = "mark"};
}
void ExpectUntouched(const ReceivedMetadata& received) {
  EXPECT_EQ(received.initial.Get("mark"), "initial");
  EXPECT_EQ(received.trailing.Get("mark"), "trailing");
  EXPECT_EQ(received.peer, "mark");
}

TEST_F(StreamRulesTest, ADestroyedStreamWritesNoMetadata) {
  ReceivedMetadata received;
  {
    Stream stream = BothWays({.received = &received});
    ScriptedPeer peer(dials_.Accept(0));
    EXPECT_TRUE(stream.Write(Text("1")));
    EXPECT_NE(received.peer, "");
    received = Untouched();
  }
  SettleLoop();
  ExpectUntouched(received);
}

TEST_F(StreamRulesTest, AStreamDestroyedWhileConnectingWritesNoMetadata) {
  ReceivedMetadata received = Untouched();
  {
    const Stream stream = BothWays({.received = &received});
    dials_.WaitForDial(0);
  }
  SettleLoop();
  ExpectUntouched(received);
}

TEST_F(StreamRulesTest, AStreamWhoseEndIsNotWaitedForWritesNoMetadata) {
  ReceivedMetadata received;
  Stream stream = BothWays({.received = &received});
  ScriptedPeer peer(dials_.Accept(0));
  EXPECT_TRUE(stream.Write(Text("1")));
  OnLoop([&stream, &received] {
    EXPECT_THAT(stream.Finish(), StatusIs(StatusCode::kFailedPrecondition));
    received = Untouched();
  });
  SettleLoop();
  ExpectUntouched(received);
}

TEST_F(StreamRulesTest, MetadataDoesNotChangeUnderWhoLooksEarly) {
  Stream stream = BothWays();
  ScriptedPeer peer(dials_.Accept(0));
  EXPECT_TRUE(stream.Write(Text("1")));
  stream.WritesDone();
  const Metadata& early = stream.initial_metadata();
  auto& call = peer.WaitForCall(0);
  EXPECT_OK(peer.machine().SendInitialMetadata(call.id, {{"key", "value"}}));
  peer.Send(call, Bytes("reply"));
  peer.Flush();
  StringValue reply;
  EXPECT_TRUE(stream.Read(&reply));
  EXPECT_TRUE(early.empty());
  EXPECT_EQ(stream.initial_metadata().Get("key"), "value");
  const Metadata& early_trailing = stream.trailing_metadata();
  const Metadata trailing = {{"last", "words"}};
  peer.machine().Finish(call.id, absl::OkStatus(), &trailing, nullptr);
  peer.Flush();
  EXPECT_OK(stream.Finish());
  EXPECT_EQ(stream.initial_metadata().Get("key"), "value");
  EXPECT_TRUE(early_trailing.empty());
  EXPECT_EQ(stream.trailing_metadata().Get("last"), "words");
}

TEST_F(StreamRulesTest, EveryFinishTellsTheStatus) {
  Stream stream = BothWays();
  dials_.Refuse(0, absl::UnavailableError("refused"));
  EXPECT_THAT(stream.Finish(), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(stream.Finish(), StatusIs(StatusCode::kUnavailable));
}

// ---- where code of the user runs

TEST_F(StreamRulesTest, WhoCancelsWhileConnectingCompletesNoStep) {
  CancellationSource source;
  const std::function<void(ClientStream&)> cancels[] = {
      [](ClientStream& stream) { stream.Cancel(); },
      [&source](ClientStream&) { source.Cancel(); },
  };
  for (const auto& cancel : cancels) {
    std::unique_ptr<ClientStream> stream =
        channel_->StartStream(kBothWays, nullptr, {.cancellation = &source.token()});
    NotedOperation read, written, finished;
    StringValue reply;
    stream->Read(&reply, read);
    stream->Write(Text("1"), written);
    stream->Finish(finished);
    cancel(*stream);
    for (NotedOperation* operation : {&read, &written, &finished}) {
      EXPECT_NE(operation->thread(), std::this_thread::get_id());
    }
    EXPECT_FALSE(read.ok());
    EXPECT_FALSE(written.ok());
    EXPECT_THAT(stream->status(), StatusIs(StatusCode::kCancelled));
    EXPECT_THAT(stream->status(), Delivered(Delivery::kNotSent));
  }
}

TEST_F(StreamRulesTest, ACallbackThatHasItsReplyAtOnceStillComesLater) {
  AsyncWriter writer(*channel_,
                     Channel(*runtime_, "no-such-name").StartStream(kClientStreaming, nullptr, {}));
  absl::Notification done;
  std::thread::id thread;
  writer.Finish([&done, &thread](const absl::StatusOr<StringValue>& reply) {
    EXPECT_THAT(reply, StatusIs(StatusCode::kNotFound));
    thread = std::this_thread::get_id();
    done.Notify();
  });
  done.WaitForNotification();
  EXPECT_NE(thread, std::this_thread::get_id());
}

TEST_F(StreamRulesTest, AHandleMayMoveWhileItsStepsAreOutstanding) {
  AsyncStream stream = AsyncBothWays();
  AsyncWriter writer(*channel_, channel_->StartStream(kClientStreaming, nullptr, {}));
  absl::Notification read, finished, replied;
  StringValue message;
  stream.Read(&message, [&read](bool ok) {
    EXPECT_TRUE(ok);
    read.Notify();
  });
  writer.Finish([&replied](const absl::StatusOr<StringValue>& reply) {
    EXPECT_OK(reply);
    replied.Notify();
  });
  AsyncStream stream_now = std::move(stream);
  const AsyncWriter writer_now = std::move(writer);
  stream_now.WritesDone();
  ScriptedPeer peer(dials_.Accept(0));
  peer.Send(peer.WaitForCall(0), Bytes("reply"));
  peer.Reply(peer.WaitForCall(1), Bytes("reply"));
  peer.Flush();
  read.WaitForNotification();
  replied.WaitForNotification();
  stream_now.Finish([&finished](const absl::Status& status) {
    EXPECT_THAT(status, StatusIs(StatusCode::kAborted));
    finished.Notify();
  });
  const AsyncStream stream_later = std::move(stream_now);
  peer.Finish(peer.WaitForCall(0), absl::AbortedError("no"));
  peer.Flush();
  finished.WaitForNotification();
}

// Cancels its own call from inside.
class CancellingInterceptor final : public ClientInterceptor {
 public:
  explicit CancellingInterceptor(CancellationSource& source) : source_(source) {}
  std::unique_ptr<ClientCallWatcher> Intercept(const Method&, absl::string_view) override {
    class Watcher final : public ClientCallWatcher {
     public:
      explicit Watcher(CancellationSource& source) : source_(source) {}
      void OnSendMessage(const google::protobuf::MessageLite&) override { source_.Cancel(); }

     private:
      CancellationSource& source_;
    };
    return std::make_unique<Watcher>(source_);
  }

 private:
  CancellationSource& source_;
};

TEST_F(StreamRulesTest, AWatcherMayCancelItsCallWhileConnecting) {
  CancellationSource source;
  channel_.emplace(channel_->Intercepted(std::make_shared<CancellingInterceptor>(source)));
  std::unique_ptr<ClientStream> stream =
      channel_->StartStream(kBothWays, nullptr, {.cancellation = &source.token()});
  dials_.WaitForDial(0);
  NotedOperation written, finished;
  stream->Write(Text("1"), written);
  EXPECT_FALSE(written.ok());
  stream->Finish(finished);
  EXPECT_TRUE(finished.ok());
  EXPECT_THAT(stream->status(), StatusIs(StatusCode::kCancelled));
}

// ---- what may be sent

// Of the fixture's configuration.
constexpr size_t kMaxSend = 100 << 10;
constexpr size_t kMaxQueued = 300 << 10;
// Serialised, `size` bytes.
StringValue TextOfSize(size_t size) { return Text(std::string(size - 4, 'x')); }

TEST_F(StreamRulesTest, ARequestThatIsTooLargeIsNotEvenSerialised) {
  for (const size_t size : {kMaxSend + 1, size_t{3} << 30}) {
    const OversizedMessage huge(size);
    Reader reader(channel_->StartStream(kServerStreaming, &huge, {}));
    const absl::Status status = reader.Finish();
    EXPECT_THAT(status, StatusIs(StatusCode::kResourceExhausted, HasSubstr(std::to_string(size))));
    EXPECT_THAT(status, Delivered(Delivery::kNotSent));
  }
  EXPECT_EQ(dials_.dials(), 0u);
}

TEST_F(StreamRulesTest, AMessageThatIsTooLargeEndsTheCallWhileItConnects) {
  for (const size_t size : {kMaxSend + 1, size_t{3} << 30}) {
    std::unique_ptr<ClientStream> stream = channel_->StartStream(kBothWays, nullptr, {});
    NotedOperation written, finished;
    stream->Write(OversizedMessage(size), written);
    EXPECT_FALSE(written.ok());
    stream->Finish(finished);
    EXPECT_TRUE(finished.ok());
    EXPECT_THAT(stream->status(), StatusIs(StatusCode::kResourceExhausted));
    EXPECT_THAT(stream->status(), Delivered(Delivery::kNotSent));
  }
}

TEST_F(StreamRulesTest, TheLargestMessagesAreSent) {
  const StringValue largest = TextOfSize(kMaxSend);
  Reader reader(channel_->StartStream(kServerStreaming, &largest, {}));
  Stream stream = BothWays();
  peer_.emplace(dials_.Accept(0));
  std::thread writing([&stream, &largest] {
    EXPECT_TRUE(stream.Write(TextOfSize(kMaxSend - 1)));
    EXPECT_TRUE(stream.Write(largest));
    stream.WritesDone();
  });
  EXPECT_EQ(peer_->WaitForCall(0).messages[0].size(), kMaxSend);
  auto& call = peer_->WaitForCall(1);
  writing.join();
  EXPECT_EQ(call.messages[0].size(), kMaxSend - 1);
  EXPECT_EQ(call.messages[1].size(), kMaxSend);
  Stream other = BothWays();
  EXPECT_FALSE(other.Write(TextOfSize(kMaxSend + 1)));
  EXPECT_THAT(other.Finish(), StatusIs(StatusCode::kResourceExhausted));
}

TEST_F(StreamRulesTest, MessagesThatWaitToBeSentHaveALimit) {
  const StringValue largest = TextOfSize(kMaxSend);
  Stream alone = BothWays();
  const auto script = dials_.Accept(0);
  ScriptedPeer peer(script);
  EXPECT_TRUE(alone.Write(Text("1")));
  peer.ReadMore();
  script->BlockAfter(0);
  script->SetRoom(1);
  // Each fills the queue by a message, of which kMaxQueued / kMaxSend fit.
  std::vector<std::unique_ptr<ClientStream>> streams;
  std::vector<std::unique_ptr<NotedOperation>> written;
  for (size_t i = 0; i <= kMaxQueued / kMaxSend; ++i) {
    streams.push_back(channel_->StartStream(kBothWays, nullptr, {}));
    written.push_back(std::make_unique<NotedOperation>());
    streams.back()->Write(largest, *written.back());
  }
  EXPECT_FALSE(written.back()->ok());
  NotedOperation finished;
  streams.back()->Finish(finished);
  EXPECT_TRUE(finished.ok());
  EXPECT_THAT(streams.back()->status(),
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("limits.max_queued_bytes")));
  // The others only wait.
  for (size_t i = 0; i < kMaxQueued / kMaxSend; ++i) {
    EXPECT_FALSE(written[i]->done());
    streams[i]->Cancel();
    EXPECT_FALSE(written[i]->ok());
  }
}

// The server must not take a stream for whole whose message was refused.
TEST_F(StreamRulesTest, ARefusedMessageIsNotFollowedByTheEndOfItsStream) {
  const StringValue largest = TextOfSize(kMaxSend);
  constexpr size_t kFits = kMaxQueued / kMaxSend;
  std::vector<std::unique_ptr<ClientStream>> streams;
  std::vector<std::unique_ptr<NotedOperation>> written;
  for (size_t i = 0; i <= kFits; ++i) {
    streams.push_back(channel_->StartStream(kBothWays, nullptr, {}));
    written.push_back(std::make_unique<NotedOperation>());
    streams.back()->Write(largest, *written.back());
    streams.back()->WritesDone();
  }
  const auto script = dials_.Accept(0);
  EXPECT_FALSE(written.back()->ok());  // all wait for the server's hello, and there are too many
  ScriptedPeer peer(script);
  peer.WaitForCancel(kFits);
  EXPECT_FALSE(peer.CallAt(kFits).half_closed);
  for (const auto& stream : streams) stream->Cancel();
  for (size_t i = 0; i < kFits; ++i) written[i]->ok();
}

TEST_F(StreamRulesTest, AMessageWithoutItsRequiredFieldsIsNotSent) {
  const Demanding empty;
  Reader reader(channel_->StartStream(kServerStreaming, &empty, {}));
  EXPECT_THAT(reader.Finish(), StatusIs(StatusCode::kInvalidArgument, HasSubstr("name_part")));
  EXPECT_EQ(dials_.dials(), 0u);
  ClientWriter<Demanding, StringValue> writer(channel_->StartStream(kClientStreaming, nullptr, {}));
  ScriptedPeer peer(dials_.Accept(0));
  EXPECT_FALSE(writer.Write(empty));
  EXPECT_THAT(writer.Finish(), StatusIs(StatusCode::kInvalidArgument, HasSubstr("name_part")));
}

// ---- servers that break the rules

TEST_F(StreamRulesTest, TwoRepliesToAStreamAreOneTooMany) {
  // The second with the end, and before it.
  for (size_t i = 0; i < 2; ++i) {
    Writer writer = Up();
    std::thread caller([&writer] {
      EXPECT_THAT(writer.Finish(),
                  StatusIs(StatusCode::kInternal, HasSubstr("more than one reply")));
    });
    if (i == 0) peer_.emplace(dials_.Accept(0));
    auto& call = peer_->WaitForCall(i);
    peer_->Send(call, Bytes("one"));
    if (i == 0) {
      peer_->Reply(call, Bytes("two"));
    } else {
      peer_->Send(call, Bytes("two"));
    }
    peer_->Flush();
    caller.join();
  }
  peer_->WaitForCancel(1);
}

TEST_F(StreamRulesTest, ALastMessageThatIsNoMessageIsNoGoodEnd) {
  // While somebody reads, and when it was received before that.
  for (const bool reads_first : {true, false}) {
    std::unique_ptr<ClientStream> stream = channel_->StartStream(kBothWays, nullptr, {});
    stream->WritesDone();
    NotedOperation read, finished;
    StringValue reply;
    if (reads_first) stream->Read(&reply, read);
    if (!peer_.has_value()) peer_.emplace(dials_.Accept(0));
    auto& call = peer_->WaitForCall(reads_first ? 0 : 1);
    peer_->Reply(call, "\xff\xff");
    if (!reads_first) {
      // Received behind it, so that it has been taken in.
      NotedOperation other_read;
      std::unique_ptr<ClientStream> other = channel_->StartStream(kBothWays, nullptr, {});
      other->WritesDone();
      other->Read(&reply, other_read);
      peer_->Finish(peer_->WaitForCall(2), absl::OkStatus());
      peer_->Flush();
      EXPECT_FALSE(other_read.ok());
      stream->Read(&reply, read);
    }
    peer_->Flush();
    EXPECT_FALSE(read.ok());
    stream->Finish(finished);
    EXPECT_TRUE(finished.ok());
    EXPECT_THAT(stream->status(), StatusIs(StatusCode::kInternal, HasSubstr("no valid")));
  }
}

TEST_F(StreamRulesTest, NothingIsReadPastWhatIsNoMessage) {
  std::unique_ptr<ClientStream> stream = channel_->StartStream(kBothWays, nullptr, {});
  stream->WritesDone();
  peer_.emplace(dials_.Accept(0));
  auto& call = peer_->WaitForCall(0);
  NotedOperation first, bad, good;
  StringValue reply;
  stream->Read(&reply, first);
  peer_->Send(call, Bytes("1"));
  peer_->Send(call, "\xff\xff");
  peer_->Send(call, Bytes("3"));
  peer_->Flush();
  EXPECT_TRUE(first.ok());
  stream->Read(&reply, bad);
  EXPECT_FALSE(bad.ok());
  stream->Read(&reply, good);
  EXPECT_FALSE(good.ok());
}

}  // namespace
}  // namespace anywire::test
