// A system without room, and threads that do at a bad moment what they may do at any.
#include <errno.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <climits>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
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
  ExpectComesFree(address);
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

// Each loop has a socket of the server's, and on one of them a connection lingers.
TEST_F(UdpPressureTest, LoopsThatStopTogetherWaitForNobody) {
  UdpOptions options = Quiet();
  options.endpoint.connection.linger_timeout = std::chrono::minutes(1);
  Use(options);
  auto first = std::make_unique<EventLoop>("first"), second = std::make_unique<EventLoop>("second");
  ASSERT_TRUE(Listen("127.0.0.1:0", {.loops = {&*first, &*second}}).ok());
  do {
    Join(Target());
  } while (!HasFailure() && &server().loop() != &*second);
  DatagramFaults faults;
  faults.LoseUnless([](absl::Span<const uint8_t>) { return false; });
  EXPECT_TRUE(server().Send(1, "lost").ok());
  servers_.clear();
  Close();
  const Instant begin = std::chrono::steady_clock::now();
  first->Stop();
  second->Stop();
  first = nullptr;
  second = nullptr;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(30));
}

// ---- Accept of a listener that closes

class Accepting {
 public:
  Accepting(EventLoop& loop, Listener& listener) : loop_(loop) {
    loop_.RunAndWait([&] {
      promise_ = listener.Accept()
                     .then([this](Connected connected) {
                       result_ = std::move(connected);
                       done_.Notify();
                     })
                     .eagerlyEvaluate(nullptr);
    });
  }
  ~Accepting() {
    loop_.RunAndWait([this] { promise_ = nullptr; });
  }

  // DEADLINE_EXCEEDED: there is none.
  Connected Take() {
    done_.WaitForNotificationWithTimeout(absl::FromChrono(anywire::test::kPatience));
    return done_.HasBeenNotified() ? std::move(result_) : absl::DeadlineExceededError("no end");
  }

 private:
  EventLoop& loop_;
  kj::Promise<void> promise_ = nullptr;
  Connected result_ = absl::UnknownError("");
  absl::Notification done_;
};

// Half a connection is then the new one's to give, and the old has nothing to wait for.
TEST_F(UdpPressureTest, AcceptEndsWhenTheAddressIsTakenOver) {
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  const std::string address = Target();
  DatagramFaults faults;
  faults.LoseUnless([](absl::Span<const uint8_t> datagram) { return datagram[0] != 0xa5; });
  Connected client = Connect(address);
  ASSERT_TRUE(client.ok()) << client.status();
  server_loop_.RunAndWait([this] { listener_->Close(); });
  Accepting old(server_loop_, *listener_);
  std::unique_ptr<Listener> closed = std::move(listener_);
  ASSERT_TRUE(Listen(address).ok());
  EXPECT_EQ(absl::StatusCode::kUnavailable, old.Take().status().code());
  faults.LoseUnless(nullptr);
  clients_.push_back(std::make_unique<Peer>(client_loop_, *std::move(client)));
  Connected server = Accept();
  ASSERT_TRUE(server.ok()) << server.status();
  servers_.push_back(std::make_unique<Peer>(server_loop_, *std::move(server)));
  ExpectEcho();
  server_loop_.RunAndWait([&closed] { closed = nullptr; });
}

// It is half open no longer, and Accept has not been given it yet.
TEST_F(UdpPressureTest, CloseAmidOpeningLosesNobody) {
  EventLoop socket_loop("socket");
  ASSERT_TRUE(Listen("127.0.0.1:0", {.loops = {&socket_loop}}).ok());
  Accepting accepting(server_loop_, *listener_);
  std::atomic<bool> closed{false};
  DatagramFaults faults;
  faults.LoseUnless([&](absl::Span<const uint8_t> datagram) {
    const bool opens = datagram[0] == 0xa5 && socket_loop.IsCurrent();
    if (opens && !closed.exchange(true)) {
      server_loop_.RunAndWait([this] { listener_->Close(); });
    }
    return true;
  });
  Connected client = Connect(Target());
  ASSERT_TRUE(client.ok()) << client.status();
  Connected server = accepting.Take();
  EXPECT_TRUE(closed);
  EXPECT_TRUE(server.ok()) << server.status();
  client_loop_.RunAndWait([&client] { client->reset(); });
  socket_loop.RunAndWait([&server] { server = absl::UnknownError("gone"); });
  Close();
}

}  // namespace
}  // namespace anywire::udp
