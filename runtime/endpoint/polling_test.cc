// A thread that waits polls before it sleeps.
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "runtime/endpoint/client_role_fixture.h"
#include "tests/support/status_matchers.h"

namespace anywire::test {
namespace {

// Polls until the answer is there.
class PollingTest : public EndpointTest {
 protected:
  PollingTest() : EndpointTest(std::chrono::hours(1)) {}
};

TEST_F(PollingTest, AThreadThatWaitsPolls) {
  TestCall call(endpoint_);
  std::thread caller([&call] { EXPECT_OK(call.Call("request")); });
  script_->WaitForPolls(3);
  EXPECT_FALSE(script_->receiving());
  EXPECT_FALSE(spin_.TryBegin()) << "it has the one core";
  peer_.Reply(peer_.WaitForCall(0), "reply");
  peer_.Flush();
  caller.join();
  EXPECT_EQ(call.reply, "reply");
  EXPECT_TRUE(spin_.TryBegin()) << "it has given the core back";
}

TEST_F(PollingTest, TheEndOfTheConnectionEndsIt) {
  TestCall call(endpoint_);
  std::thread caller(
      [&call] { EXPECT_THAT(call.Call("request"), StatusIs(absl::StatusCode::kUnavailable)); });
  script_->WaitForPolls(3);
  script_->EndReceive(absl::UnavailableError("closed by peer"));
  caller.join();
  EXPECT_TRUE(spin_.TryBegin());
}

TEST_F(PollingTest, WhileTheCoresAreTakenItSleeps) {
  ASSERT_TRUE(spin_.TryBegin());
  const int before = script_->polls();
  TestCall call(endpoint_);
  std::thread caller([&call] { EXPECT_OK(call.Call("request")); });
  script_->WaitForReceiver(caller.get_id());
  EXPECT_EQ(script_->polls(), before);
  peer_.Reply(peer_.WaitForCall(0), "reply");
  peer_.Flush();
  caller.join();
}

class ShortPollingTest : public EndpointTest {
 protected:
  ShortPollingTest() : EndpointTest(std::chrono::microseconds(1)) {}
};

TEST_F(ShortPollingTest, ThenItSleeps) {
  const int before = script_->polls();
  TestCall call(endpoint_);
  std::thread caller([&call] { EXPECT_OK(call.Call("request")); });
  script_->WaitForReceiver(caller.get_id());
  EXPECT_GT(script_->polls(), before);
  EXPECT_TRUE(spin_.TryBegin());
  peer_.Reply(peer_.WaitForCall(0), "reply");
  peer_.Flush();
  caller.join();
}

}  // namespace
}  // namespace anywire::test
