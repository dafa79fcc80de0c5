// A system without room, and threads that do at a bad moment what they may do at any.
#include <errno.h>
#include <time.h>

#include <chrono>
#include <climits>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transports/udp/udp_transport_fixture.h"

namespace anywire::udp {
namespace {

using anywire::test::Content;
using anywire::test::Frame;
using anywire::test::Patience;
using anywire::test::Peer;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Connected;
using test::DatagramFaults;
using ::testing::HasSubstr;

class UdpPressureTest : public test::UdpTransportTest {};

// ---- a system without room

TEST_F(UdpPressureTest, FullSocketIsWaitedFor) {
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  for (const int error : {EAGAIN, ENOBUFS}) {
    Join(Target());
    DatagramFaults faults;
    for (uint64_t i = 0; i < 50; ++i) {
      faults.FailSends(static_cast<int>(i % 3), 2, error);
      ASSERT_TRUE(client().Send(1, Content(1, i, 16'000 - 11'000 * (i % 2))).ok());
      ASSERT_TRUE(server().Send(2, Content(2, i, 100)).ok());
      EXPECT_EQ(Content(1, i, 16'000 - 11'000 * (i % 2)),
                server().ReceiveOne().value_or(Frame{}).bytes);
      EXPECT_EQ(Content(2, i, 100), client().ReceiveOne().value_or(Frame{}).bytes);
      if (HasFailure()) return;
    }
  }
}

TEST_F(UdpPressureTest, SystemWithoutSegmentation) {
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  DatagramFaults faults;
  faults.RefuseSegmentation(EIO);
  Join(Target());
  std::thread sender([this] {
    for (uint64_t i = 0; i < 200; ++i) ASSERT_TRUE(client().Send(1, Content(1, i, 16'000)).ok());
  });
  std::vector<Frame> frames;
  EXPECT_TRUE(server().Receive(200, frames).ok());
  sender.join();
  for (uint64_t i = 0; i < frames.size(); ++i) ASSERT_EQ(Content(1, i, 16'000), frames[i].bytes);
}

std::chrono::nanoseconds CpuTimeOfThisThread() {
  timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

// Nothing leaves any more, and so nothing comes. That is found out, and waited for asleep.
TEST_F(UdpPressureTest, TimePassesThoughNothingCanBeSent) {
  UdpOptions options = Quiet();
  options.endpoint.connection.idle_timeout = seconds(1);
  Use(options);
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  for (const int error : {EAGAIN, ENOBUFS}) {
    Join(Target());
    ExpectEcho();
    DatagramFaults faults;
    faults.FailSends(0, INT_MAX, error);
    ASSERT_TRUE(client().Send(1, "stays here").ok());
    ASSERT_TRUE(server().Send(1, "and here").ok());
    const std::chrono::nanoseconds before = CpuTimeOfThisThread();
    const absl::Status end = client().ReceiveEnd();
    EXPECT_LT(CpuTimeOfThisThread() - before, milliseconds(300)) << "it did not sleep";
    EXPECT_THAT(std::string(end.message()), HasSubstr("nothing has come from the peer"));
    EXPECT_THAT(std::string(server().ReceiveEnd().message()),
                HasSubstr("nothing has come from the peer"));
    clients_.clear();
    servers_.clear();
  }
}

// Nor does it keep what is over.
TEST_F(UdpPressureTest, LingeringEndsThoughNothingCanBeSent) {
  UdpOptions options = Quiet();
  options.endpoint.connection.linger_timeout = milliseconds(50);
  Use(options);
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  Join(Target());
  ExpectEcho();
  const std::string address = Target();
  DatagramFaults faults;
  faults.FailSends(0, INT_MAX, ENOBUFS);
  ASSERT_TRUE(server().Send(1, "stays here").ok());
  servers_.clear();
  clients_.clear();
  Close();
  // Free for everybody, even for other loops.
  EventLoop other("other");
  const Instant patience = Patience();
  absl::Status status = absl::AlreadyExistsError("");
  while (!status.ok() && std::chrono::steady_clock::now() < patience) {
    status = Listen(address, {.loops = {&other}});
    server_loop_.RunAndWait([] {});
  }
  EXPECT_TRUE(status.ok()) << status;
  Close();
}

// What a thread has for its datagrams may be gone when something else of it ends.
TEST_F(UdpPressureTest, SendsWhileItsThreadEnds) {
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  Join(Target());
  struct AtEnd {
    ~AtEnd() { function(); }
    std::function<void()> function;
  };
  std::thread([this] {
    thread_local AtEnd at_end;  // it is destroyed after what is made later
    at_end.function = [this] {
      EXPECT_TRUE(client().Send(1, "last words").ok());
      EXPECT_EQ((Frame{2, "heard"}), client().ReceiveOne().value_or(Frame{}));
    };
    EXPECT_TRUE(client().Send(1, "first words").ok());
    EXPECT_EQ("first words", server().ReceiveOne().value_or(Frame{}).bytes);
    EXPECT_TRUE(server().Send(2, "heard").ok());
  }).join();
  EXPECT_EQ("last words", server().ReceiveOne().value_or(Frame{}).bytes);
}

}  // namespace
}  // namespace anywire::udp
