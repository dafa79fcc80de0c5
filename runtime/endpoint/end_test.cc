// How a connection ends, and the endpoint with it.
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/endpoint/client_role_fixture.h"
#include "tests/support/gate.h"
#include "tests/support/status_matchers.h"

namespace anywire::test {
namespace {

using protocol::Event;
using protocol::Protocol;
using ::testing::HasSubstr;

class EndTest : public EndpointTest {};

TEST_F(EndTest, ALostConnectionEndsTheCallsOfThreadsThatWait) {
  TestCall first(endpoint_), second(endpoint_);
  std::thread reader(
      [&first] { EXPECT_THAT(first.Call("1"), StatusIs(absl::StatusCode::kUnavailable)); });
  script_->WaitForReceiver(reader.get_id());
  std::thread parked(
      [&second] { EXPECT_THAT(second.Call("2"), StatusIs(absl::StatusCode::kUnavailable)); });
  EndpointPeek::WaitForParked(*endpoint_, 1);
  script_->EndReceive(absl::UnavailableError("closed by peer"));
  reader.join();
  parked.join();
  lost_.WaitForNotification();
  EXPECT_TRUE(endpoint_->retired());
  EXPECT_THAT(TestCall(endpoint_).Open("3"), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(EndTest, CloseWakesTheReader) {
  TestCall call(endpoint_);
  std::thread reader(
      [&call] { EXPECT_THAT(call.Call("1"), StatusIs(absl::StatusCode::kUnavailable)); });
  script_->WaitForReceiver(reader.get_id());
  endpoint_->Close(absl::CancelledError("enough"));
  reader.join();
  lost_.WaitForNotification();
  EXPECT_THAT(lost_why_, StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(EndTest, CloseInsideACallback) {
  TestCall first(endpoint_), second(endpoint_);
  first.hook = [this](Event&) { endpoint_->Close(absl::CancelledError("from inside")); };
  endpoint_->BeginAsync();
  ASSERT_OK(second.Open("2"));
  ASSERT_OK(first.Open("1"));
  peer_.Reply(peer_.WaitForCall(1), "reply");
  peer_.Flush();
  first.over.WaitForNotification();
  EXPECT_OK(first.status);
  second.over.WaitForNotification();
  EXPECT_FALSE(second.status.ok());
  lost_.WaitForNotification();
}

TEST_F(EndTest, TheOwnerHearsOfTheEndWhenEveryCallHas) {
  TestCall call(endpoint_);
  Gate inside, go_on;
  call.hook = [&inside, &go_on](Event&) {
    inside.Open();
    go_on.Wait();
  };
  std::thread reader([&call] { EXPECT_FALSE(call.Call("1").ok()); });
  script_->WaitForReceiver(reader.get_id());
  script_->EndReceive(absl::UnavailableError("closed by peer"));
  inside.Wait();
  SettleLoop();
  SettleLoop();
  EXPECT_FALSE(lost_.HasBeenNotified());
  go_on.Open();
  reader.join();
  lost_.WaitForNotification();
}

// While the connection is being lost the lock is not held throughout: nobody else may hand on
// messages that lie in frames of the reader.
TEST_F(EndTest, MessagesInFramesStayWithTheReaderWhenTheConnectionEnds) {
  TestCall call(endpoint_);
  ASSERT_OK(call.Open("request"));
  peer_.Reply(peer_.WaitForCall(0), "reply");
  std::vector<TestFrame> frames = peer_.TakeFrames();
  frames.push_back({0, "\x7f no such frame"});
  std::atomic<bool> goodbye{false};
  script_->SetTransmitHook([this, &goodbye] {
    if (goodbye.exchange(true)) return;
    endpoint_->Run([](Protocol&, Protocol::Events&) {});
    SettleLoop();
  });
  std::thread reader([this, &call] { endpoint_->Await(call.ended, false); });
  script_->WaitForReceiver(reader.get_id());
  script_->Deliver(std::move(frames));
  const std::thread::id id = reader.get_id();
  reader.join();
  EXPECT_TRUE(goodbye);
  EXPECT_OK(call.status);
  EXPECT_EQ(call.reply, "reply");
  EXPECT_EQ(call.thread, id);
  script_->WaitUntilAborted();
}

// Holds the last reference and lets go of it when its call ends.
class LastUser final : public CallSink {
 public:
  LastUser(std::shared_ptr<Endpoint> endpoint, ConnectionScript& script)
      : endpoint_(std::move(endpoint)), script_(script) {}
  void Open(std::shared_ptr<Endpoint>* other) {
    endpoint_->BeginAsync();
    Endpoint& endpoint = *endpoint_;
    const auto keep = *other;
    endpoint.Run([this](Protocol& protocol, Protocol::Events&) {
      bool queued = false;
      const std::string request = "request";
      const protocol::Payload payload = PayloadOf(request);
      id_ = *protocol.Open({.tag = static_cast<CallSink*>(this),
                            .method = {.full_name = kMethod, .index = 1},
                            .message = &payload,
                            .half_close = true},
                           std::chrono::steady_clock::now(), &queued);
    });
    *other = nullptr;
  }
  absl::Notification released;

 private:
  void OnEvent(Event&) override {
    endpoint_->Run(
        [this](Protocol& protocol, Protocol::Events& events) { protocol.Release(id_, events); });
    EXPECT_EQ(endpoint_.use_count(), 2);  // and the loop's, inside OnReadable
    endpoint_ = nullptr;
    EXPECT_FALSE(script_.destroyed());
    released.Notify();
  }
  std::shared_ptr<Endpoint> endpoint_;
  ConnectionScript& script_;
  protocol::CallId id_;
};

TEST_F(EndTest, ReleasedInsideItsOwnEvents) {
  LastUser user(endpoint_, *script_);
  user.Open(&endpoint_);
  peer_.Reply(peer_.WaitForCall(0), "reply");
  peer_.Flush();
  user.released.WaitForNotification();
  script_->WaitUntilDestroyed();
  EXPECT_FALSE(lost_.HasBeenNotified());
}

TEST_F(EndTest, ThePeerHearsWhatItDidWrongFromTheThreadThatIsTransmitting) {
  HeldTransmit held(*script_);
  TestCall call(endpoint_);
  std::thread transmitter([&call] { ASSERT_OK(call.Open("request")); });
  held.WaitUntilInside();
  script_->Deliver({{77, "no such call"}});
  lost_.WaitForNotification();  // the loop has read it
  EXPECT_THAT(lost_why_, StatusIs(absl::StatusCode::kDataLoss));
  held.GoOn();
  transmitter.join();
  script_->WaitUntilAborted();
  const std::vector<TestFrame> sent = script_->TakeSent();
  EXPECT_EQ(sent.back().stream, 0u);
  EXPECT_THAT(sent.back().bytes, HasSubstr("a frame on a stream without a call"));
  call.over.WaitForNotification();
}

}  // namespace
}  // namespace anywire::test
