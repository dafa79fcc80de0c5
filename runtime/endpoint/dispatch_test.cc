// On which threads, and when, calls hear of what happened.
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

class DispatchTest : public EndpointTest {};

class NotedOperation final : public Operation {
 public:
  void Done(bool) override {
    thread = std::this_thread::get_id();
    done.Notify();
  }
  std::thread::id thread;
  absl::Notification done;
};

TEST_F(DispatchTest, UserCodeDoesNotRunOnAThreadThatIsInABlockingCall) {
  TestCall blocking(endpoint_), async(endpoint_);
  NotedOperation operation;
  async.hook = [this, &operation](Event& event) {
    if (event.bits & Event::kFinished) {
      endpoint_->EndAsync();
      endpoint_->Complete(operation, true);
    }
  };
  std::thread caller([&blocking] { EXPECT_OK(blocking.Call("1")); });
  script_->WaitForReceiver(caller.get_id());
  endpoint_->BeginAsync();
  ASSERT_OK(async.Open("2"));
  // The reader is asleep and gets this frame, but its user's code is for the loop.
  peer_.Reply(peer_.WaitForCall(1), "reply");
  peer_.Flush();
  operation.done.WaitForNotification();
  EXPECT_EQ(async.thread, caller.get_id());
  std::thread::id loop_thread;
  loop_.RunAndWait([&loop_thread] { loop_thread = std::this_thread::get_id(); });
  EXPECT_EQ(operation.thread, loop_thread);
  async.over.WaitForNotification();

  peer_.Reply(peer_.WaitForCall(0), "reply");
  peer_.Flush();
  caller.join();
}

TEST_F(DispatchTest, WhileAnOperationIsAsynchronousTheLoopReads) {
  TestCall blocking(endpoint_), async(endpoint_);
  endpoint_->BeginAsync();
  ASSERT_OK(async.Open("1"));
  script_->WaitUntilWatched();
  std::thread caller([&blocking] { EXPECT_OK(blocking.Call("2")); });
  EndpointPeek::WaitForParked(*endpoint_, 1);
  peer_.Reply(peer_.WaitForCall(1), "reply");
  peer_.Flush();
  caller.join();
  EXPECT_NE(blocking.thread, std::this_thread::get_id());
  peer_.Reply(peer_.WaitForCall(0), "reply");
  peer_.Flush();
  async.over.WaitForNotification();
  endpoint_->EndAsync();
}

TEST_F(DispatchTest, CompletionsStayInOrderWhenSomeArePosted) {
  Gate in_loop, posted;
  NotedOperation first, second;
  loop_.Post([this, &in_loop, &posted, &first, &second] {
    in_loop.Open();
    posted.Wait();
    endpoint_->Complete(second, true);
    EXPECT_FALSE(first.done.HasBeenNotified());
    EXPECT_FALSE(second.done.HasBeenNotified());
  });
  in_loop.Wait();
  {
    const Endpoint::ScopedBorrow borrow;
    endpoint_->Complete(first, true);
  }
  posted.Open();
  second.done.WaitForNotification();
  EXPECT_TRUE(first.done.HasBeenNotified());
}

TEST_F(DispatchTest, ABlockingOperationCompletesOnAnyThread) {
  BlockingOperation operation;
  {
    const Endpoint::ScopedBorrow borrow;
    endpoint_->Complete(operation, true);
  }
  endpoint_->Await(operation, false);
  EXPECT_TRUE(operation.ok());
}

TEST_F(DispatchTest, CommandsOfABatchLeaveTogether) {
  TestCall first(endpoint_), second(endpoint_);
  std::vector<std::unique_ptr<TestCall>> more;
  for (TestCall* call : {&first, &second}) {
    call->hook = [this, &more](Event&) {
      more.push_back(std::make_unique<TestCall>(endpoint_));
      ASSERT_OK(more.back()->Open("next"));
      EXPECT_EQ(Endpoint::Dispatching(), endpoint_.get());
    };
  }
  endpoint_->BeginAsync();
  ASSERT_OK(first.Open("1"));
  ASSERT_OK(second.Open("2"));
  peer_.WaitForCall(1);
  SettleLoop();
  const uint64_t transmits = script_->transmits();
  peer_.Reply(peer_.WaitForCall(0), "");
  peer_.Reply(peer_.WaitForCall(1), "");
  peer_.Flush();
  peer_.WaitForCall(3);
  SettleLoop();
  EXPECT_EQ(script_->transmits(), transmits + 1);
  for (auto& call : more) call->Cancel();
  for (auto& call : more) call->over.WaitForNotification();
  endpoint_->EndAsync();
}

TEST_F(DispatchTest, ADrainingPeerRetiresTheConnectionAtOnceEvenInsideACallback) {
  TestCall call(endpoint_);
  bool retired = false;
  call.hook = [this, &retired](Event&) { retired = endpoint_->retired(); };
  endpoint_->BeginAsync();
  ASSERT_OK(call.Open("1"));
  peer_.WaitForCall(0);
  peer_.Drain();
  peer_.Reply(peer_.WaitForCall(0), "the last");
  peer_.Flush();
  call.over.WaitForNotification();
  EXPECT_TRUE(retired);
  EXPECT_OK(call.status);
  endpoint_->EndAsync();
}

TEST_F(DispatchTest, OnRuntimeThread) {
  EXPECT_FALSE(Endpoint::OnRuntimeThread());
  loop_.RunAndWait([] { EXPECT_TRUE(Endpoint::OnRuntimeThread()); });
  TestCall call(endpoint_);
  call.hook = [](Event&) { EXPECT_TRUE(Endpoint::OnRuntimeThread()); };
  std::thread caller([&call] { EXPECT_OK(call.Call("1")); });
  peer_.Reply(peer_.WaitForCall(0), "");
  peer_.Flush();
  caller.join();
  EXPECT_FALSE(Endpoint::OnRuntimeThread());
}

}  // namespace
}  // namespace anywire::test
