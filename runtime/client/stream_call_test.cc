// Streaming calls over a transport that does what the test says.
#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "anywire/async_streams.h"
#include "anywire/cancellation.h"
#include "anywire/delivery.h"
#include "anywire/interceptor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/client/stream_fixture.h"
#include "tests/support/status_matchers.h"

namespace anywire::test {
namespace {

using absl::StatusCode;
using google::protobuf::StringValue;
using ::testing::HasSubstr;

class StreamCallTest : public StreamFixture {};

// ---- the four steps

TEST_F(StreamCallTest, RepliesAreReadInTheirOrderAndThenTheStatus) {
  Reader reader = Down("request");
  ScriptedPeer peer(dials_.Accept(0));
  auto& call = peer.WaitForCall(0);
  EXPECT_EQ(call.messages[0], Bytes("request"));
  peer.Send(call, Bytes("1"));
  peer.Send(call, Bytes("2"));
  peer.Finish(call, absl::DataLossError("that was all"));
  peer.Flush();
  StringValue reply;
  EXPECT_TRUE(reader.Read(&reply));
  EXPECT_EQ(reply.value(), "1");
  EXPECT_TRUE(reader.Read(&reply));
  EXPECT_EQ(reply.value(), "2");
  EXPECT_FALSE(reader.Read(&reply));
  EXPECT_THAT(reader.Finish(), StatusIs(StatusCode::kDataLoss, "that was all"));
}

TEST_F(StreamCallTest, WhatIsWrittenWhileConnectingIsSentThen) {
  Writer writer = Up();
  std::thread writing([&writer] {
    EXPECT_TRUE(writer.Write(Text("1")));
    EXPECT_TRUE(writer.Write(Text("2")));
    absl::StatusOr<StringValue> reply = writer.Finish();
    ASSERT_OK(reply);
    EXPECT_EQ(reply->value(), "reply");
  });
  dials_.WaitForDial(0);
  ScriptedPeer peer(dials_.Accept(0));
  auto& call = peer.WaitForCall(0);
  EXPECT_EQ(call.messages, (std::vector<std::string>{Bytes("1"), Bytes("2")}));
  peer.Reply(call, Bytes("reply"));
  peer.Flush();
  writing.join();
}

TEST_F(StreamCallTest, AnAsynchronousWriteAndItsEndWaitForTheConnection) {
  std::unique_ptr<ClientStream> stream = channel_->StartStream(kBothWays, nullptr, {});
  NotedOperation written, read, finished;
  StringValue reply;
  stream->Write(Text("early"), written);
  stream->WritesDone();
  stream->Read(&reply, read);
  stream->Finish(finished);
  EXPECT_FALSE(written.done());
  ScriptedPeer peer(dials_.Accept(0));
  EXPECT_EQ(peer.WaitForCall(0).messages[0], Bytes("early"));
  EXPECT_TRUE(written.ok());
  peer.Finish(peer.WaitForCall(0), absl::AbortedError("no"));
  peer.Flush();
  EXPECT_TRUE(finished.ok());
  EXPECT_TRUE(read.done());  // nothing is outstanding when Finish is done
  EXPECT_FALSE(read.ok());
  EXPECT_THAT(stream->status(), StatusIs(StatusCode::kAborted));
}

TEST_F(StreamCallTest, FinishDropsWhatNobodyReads) {
  Reader reader = Down("request");
  ScriptedPeer peer(dials_.Accept(0));
  auto& call = peer.WaitForCall(0);
  peer.Send(call, Bytes("1"));
  peer.Flush();
  StringValue reply;
  EXPECT_TRUE(reader.Read(&reply));
  std::thread finishing([&reader] { EXPECT_OK(reader.Finish()); });
  // More than the window: only goes on if what is dropped is given back.
  const std::string piece = Bytes(std::string(4000, 'x'));
  for (int i = 0; i < 200; ++i) {
    peer.Send(call, piece);
    peer.Flush();
  }
  peer.Finish(call, absl::OkStatus());
  peer.Flush();
  finishing.join();
}

// ---- the end comes early

TEST_F(StreamCallTest, WithoutAConnectionEveryStepSaysSo) {
  Stream stream = BothWays();
  std::thread user([&stream] {
    StringValue reply;
    EXPECT_FALSE(stream.Read(&reply));
    EXPECT_FALSE(stream.Write(Text("1")));
    stream.WritesDone();
    const absl::Status status = stream.Finish();
    EXPECT_THAT(status, StatusIs(StatusCode::kUnavailable, HasSubstr("refused")));
    EXPECT_THAT(status, Delivered(Delivery::kNotSent));
  });
  dials_.Refuse(0, absl::UnavailableError("refused"));
  user.join();
}

TEST_F(StreamCallTest, ADeadlinePassesWhileConnecting) {
  Stream stream = BothWays({.timeout = absl::Milliseconds(20)});
  StringValue reply;
  EXPECT_FALSE(stream.Read(&reply));
  EXPECT_THAT(stream.Finish(), StatusIs(StatusCode::kDeadlineExceeded));
}

TEST_F(StreamCallTest, CancelledBeforeOrWhileConnecting) {
  CancellationSource source;
  Stream waiting = BothWays({.cancellation = &source.token()});
  dials_.WaitForDial(0);
  source.Cancel();
  Stream late = BothWays({.cancellation = &source.token()});
  for (Stream* stream : {&waiting, &late}) {
    const absl::Status status = stream->Finish();
    EXPECT_THAT(status, StatusIs(StatusCode::kCancelled));
    EXPECT_THAT(status, Delivered(Delivery::kNotSent));
  }
}

TEST_F(StreamCallTest, AnotherThreadCancelsABlockedRead) {
  Stream stream = BothWays();
  const auto script = dials_.Accept(0);
  ScriptedPeer peer(script);
  std::thread reading([&stream] {
    StringValue reply;
    EXPECT_FALSE(stream.Read(&reply));
    EXPECT_THAT(stream.Finish(), StatusIs(StatusCode::kCancelled));
  });
  script->WaitForReceiver(reading.get_id());
  stream.Cancel();
  reading.join();
  peer.WaitForCancel(0);
}

TEST_F(StreamCallTest, ADestroyedStreamIsCancelled) {
  {
    Stream stream = BothWays();
    ScriptedPeer peer(dials_.Accept(0));
    EXPECT_TRUE(stream.Write(Text("1")));
    while (peer.calls() == 0) peer.ReadMore();
    stream = BothWays();  // the first one ends here
    peer.WaitForCancel(0);
  }
  { Stream abandoned = BothWays(); }
}

TEST_F(StreamCallTest, DestroyedWhileConnecting) {
  { Stream stream = BothWays(); }
  // The connection is made all the same, for the next call.
  Reader reader = Down("request");
  ScriptedPeer peer(dials_.Accept(0));
  auto& call = peer.WaitForCall(0);
  EXPECT_EQ(call.method, "test.Service/Down");
  peer.Finish(call, absl::OkStatus());
  peer.Flush();
  EXPECT_OK(reader.Finish());
}

TEST_F(StreamCallTest, AMessageThatMayNotBeSentEndsTheCall) {
  Stream stream = BothWays();
  ScriptedPeer peer(dials_.Accept(0));
  EXPECT_FALSE(stream.Write(Text(std::string(101 << 10, 'x'))));
  EXPECT_THAT(stream.Finish(),
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("max_send_message_size")));
}

TEST_F(StreamCallTest, AMessageThatIsNoMessageEndsTheCall) {
  Stream stream = BothWays();
  ScriptedPeer peer(dials_.Accept(0));
  EXPECT_TRUE(stream.Write(Text("1")));
  stream.WritesDone();
  peer.Send(peer.WaitForCall(0), "\xff\xff");
  peer.Flush();
  StringValue reply;
  EXPECT_FALSE(stream.Read(&reply));
  EXPECT_THAT(stream.Finish(), StatusIs(StatusCode::kInternal, HasSubstr("no valid")));
  peer.WaitForCancel(0);
}

TEST_F(StreamCallTest, TheConnectionIsLostUnderAWriterAndAReader) {
  Stream stream = BothWays();
  const auto script = dials_.Accept(0);
  ScriptedPeer peer(script);
  std::thread reading([&stream] {
    StringValue reply;
    EXPECT_FALSE(stream.Read(&reply));
  });
  script->WaitForReceiver(reading.get_id());
  script->BlockAfter(0);
  script->SetRoom(1);
  std::thread writing([&stream] {
    while (stream.Write(Text(std::string(3000, 'w')))) {
    }
  });
  script->EndReceive(absl::UnavailableError("closed by peer"));
  reading.join();
  writing.join();
  EXPECT_THAT(stream.Finish(), StatusIs(StatusCode::kUnavailable));
}

// ---- threads

TEST_F(StreamCallTest, AWriterWithoutRoomIsWokenByTheLoop) {
  Stream stream = BothWays();
  const auto script = dials_.Accept(0);
  ScriptedPeer peer(script);
  EXPECT_TRUE(stream.Write(Text("1")));
  peer.ReadMore();
  script->BlockAfter(0);
  script->SetRoom(2);
  std::thread writing([&stream] {
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(stream.Write(Text(std::string(3000, 'w'))));
    stream.WritesDone();
  });
  script->WaitUntilWatched();
  EXPECT_FALSE(script->receiving());
  // Room and credit come in turn until all is written.
  std::atomic<bool> written{false};
  std::thread joiner([&writing, &written] {
    writing.join();
    written = true;
  });
  while (!written) {
    script->Unblock();
    peer.ReadNow();
    std::this_thread::yield();
  }
  joiner.join();
  EXPECT_EQ(peer.WaitForCall(0).messages.size(), 21u);
  peer.Finish(peer.WaitForCall(0), absl::OkStatus());
  peer.Flush();
  EXPECT_OK(stream.Finish());
}

TEST_F(StreamCallTest, OneThreadReadsWhileAnotherWrites) {
  constexpr int kMessages = 500;
  Stream stream = BothWays();
  ScriptedPeer peer(dials_.Accept(0));
  std::thread reading([&stream] {
    StringValue reply;
    for (int i = 0; i < kMessages; ++i) {
      ASSERT_TRUE(stream.Read(&reply));
      EXPECT_EQ(reply.value(), std::to_string(i));
    }
  });
  std::thread writing([&stream] {
    for (int i = 0; i < kMessages; ++i) ASSERT_TRUE(stream.Write(Text(std::to_string(i))));
    stream.WritesDone();
  });
  size_t echoed = 0;
  while (echoed < kMessages) {
    peer.ReadMore();
    if (peer.calls() == 0) continue;
    auto& call = peer.CallAt(0);
    for (; echoed < call.messages.size(); ++echoed) peer.Send(call, call.messages[echoed]);
    peer.Flush();
  }
  reading.join();
  writing.join();
  peer.Finish(peer.WaitForCall(0), absl::OkStatus());
  peer.Flush();
  EXPECT_OK(stream.Finish());
}

TEST_F(StreamCallTest, BlockingStepsAreRefusedInsideCallbacks) {
  std::optional<Stream> stream(BothWays());
  const auto script = dials_.Accept(0);
  ScriptedPeer peer(script);
  EXPECT_TRUE(stream->Write(Text("1")));
  OnLoop([&stream] {
    StringValue reply;
    EXPECT_FALSE(stream->Read(&reply));
    EXPECT_THAT(stream->Finish(), StatusIs(StatusCode::kFailedPrecondition, HasSubstr("co_await")));
    stream.reset();
  });
  peer.WaitForCancel(0);
}

// ---- callbacks

TEST_F(StreamCallTest, CallbacksComeOnTheLoopAndNeverInsideTheirStep) {
  AsyncClientReaderWriter<StringValue, StringValue> stream(
      *channel_, channel_->StartStream(kBothWays, nullptr, {}));
  ScriptedPeer peer(dials_.Accept(0));
  StringValue reply;
  absl::Notification read, ended;
  bool inside = true;
  OnLoop([&stream, &reply, &inside, &read, &ended] {
    stream.Write(Text("1"), [&inside](bool ok) {
      EXPECT_TRUE(ok);
      EXPECT_FALSE(inside);
    });
    stream.WritesDone();
    stream.Read(&reply, [&stream, &inside, &read, &ended](bool ok) {
      EXPECT_TRUE(ok);
      EXPECT_FALSE(inside);
      read.Notify();
      stream.Finish([&ended](absl::Status status) {
        EXPECT_OK(status);
        ended.Notify();
      });
    });
    inside = false;
  });
  auto& call = peer.WaitForCall(0);
  peer.Send(call, Bytes("reply"));
  peer.Flush();
  read.WaitForNotification();
  EXPECT_EQ(reply.value(), "reply");
  peer.Finish(call, absl::OkStatus());
  peer.Flush();
  ended.WaitForNotification();
}

// ---- interceptors

// Its functions say when two of them overlap, or one comes after the end.
class StrictWatcher final : public ClientCallWatcher {
 public:
  explicit StrictWatcher(std::atomic<int>& sent) : sent_(sent) {}
  ~StrictWatcher() override { EXPECT_TRUE(finished_); }
  void OnSendMessage(const google::protobuf::MessageLite&) override {
    const Visit visit(*this);
    ++sent_;
  }
  void OnReceiveMessage(const google::protobuf::MessageLite&) override { const Visit visit(*this); }
  void OnFinish(absl::Status&, const Metadata&, absl::Duration) override {
    const Visit visit(*this);
    finished_ = true;
  }

 private:
  struct Visit {
    explicit Visit(StrictWatcher& watcher) : watcher(watcher) {
      EXPECT_FALSE(watcher.busy_.exchange(true));
      EXPECT_FALSE(watcher.finished_);
      std::this_thread::yield();
    }
    ~Visit() { watcher.busy_ = false; }
    StrictWatcher& watcher;
  };
  std::atomic<int>& sent_;
  std::atomic<bool> busy_{false};
  bool finished_ = false;
};

class StrictInterceptor final : public ClientInterceptor {
 public:
  std::unique_ptr<ClientCallWatcher> Intercept(const Method&, absl::string_view) override {
    return std::make_unique<StrictWatcher>(sent);
  }
  std::atomic<int> sent{0};
};

TEST_F(StreamCallTest, WatchersHearOneThingAtATimeAndNothingAfterTheEnd) {
  constexpr int kMessages = 300;
  auto strict = std::make_shared<StrictInterceptor>();
  channel_.emplace(channel_->Intercepted(strict));
  Stream stream = BothWays();
  ScriptedPeer peer(dials_.Accept(0));
  std::thread writing([&stream] {
    for (int i = 0; i < kMessages; ++i) ASSERT_TRUE(stream.Write(Text("up")));
  });
  std::thread reading([&stream] {
    StringValue reply;
    for (int i = 0; i < kMessages; ++i) ASSERT_TRUE(stream.Read(&reply));
  });
  while (peer.calls() == 0) peer.ReadMore();
  for (int i = 0; i < kMessages; ++i) {
    peer.Send(peer.CallAt(0), Bytes("down"));
    peer.Flush();
  }
  while (peer.CallAt(0).messages.size() < kMessages) peer.ReadMore();
  writing.join();
  reading.join();
  peer.Finish(peer.CallAt(0), absl::OkStatus());
  peer.Flush();
  EXPECT_OK(stream.Finish());
  EXPECT_EQ(strict->sent, kMessages);
  EXPECT_FALSE(stream.Write(Text("after the end")));
  EXPECT_EQ(strict->sent, kMessages);
}

}  // namespace
}  // namespace anywire::test
