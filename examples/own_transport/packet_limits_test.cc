// Where packet: runs out of something: room, descriptors.
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "anywire/event_loop.h"
#include "anywire/registry.h"
#include "anywire/transport.h"
#include "examples/own_transport/packet_connection.h"
#include "examples/own_transport/packet_transport.h"
#include "gtest/gtest.h"

namespace {

// When the program called accept4, and whether there are descriptors for sockets.
struct AcceptCalls {
  absl::Mutex mutex;
  bool no_descriptors ABSL_GUARDED_BY(mutex) = false;
  std::vector<std::chrono::steady_clock::time_point> times ABSL_GUARDED_BY(mutex);
};
AcceptCalls& Calls() {
  static auto& calls = *new AcceptCalls;
  return calls;
}

}  // namespace

// Instead of the C library's, so that tries can be counted and made to fail. (Taking all
// descriptors from the process would take them from a sanitizer, too.)
extern "C" int socket(int domain, int type, int protocol) noexcept {
  {
    absl::MutexLock lock(&Calls().mutex);
    if (Calls().no_descriptors) {
      errno = EMFILE;
      return -1;
    }
  }
  return static_cast<int>(syscall(SYS_socket, domain, type, protocol));
}

extern "C" int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  {
    absl::MutexLock lock(&Calls().mutex);
    Calls().times.push_back(std::chrono::steady_clock::now());
    if (Calls().no_descriptors) {
      errno = EMFILE;
      return -1;
    }
  }
  return static_cast<int>(syscall(SYS_accept4, fd, address, size, flags));
}

namespace own_transport {
namespace {

using anywire::Connection;
using anywire::EventLoop;
using anywire::Listener;
using anywire::Transport;

constexpr absl::Duration kPatience = absl::Seconds(30);

void SetNoDescriptors(bool none) {
  absl::MutexLock lock(&Calls().mutex);
  Calls().no_descriptors = none;
}

class PacketLimitsTest : public ::testing::Test {
 protected:
  PacketLimitsTest() : loop_("packet") {
    EXPECT_TRUE(RegisterPacketTransport(registry_).ok());
    transport_ = registry_.transports().front();
    address_ = transport_->FreshAddress("");
  }

  absl::Status Listen() {
    absl::Status status;
    loop_.RunAndWait(
        [this, &status] { status = transport_->Listen(loop_, address_, {}).status(); });
    return status;
  }
  absl::Status Connect() {
    absl::Notification done;
    absl::Status status;
    loop_.RunAndWait([this, &done, &status] {
      loop_.Detach(
          transport_->Connect(loop_, address_, {})
              .then([&done, &status](absl::StatusOr<std::unique_ptr<Connection>> connected) {
                status = connected.status();
                done.Notify();
              }),
          "connect");
    });
    EXPECT_TRUE(done.WaitForNotificationWithTimeout(kPatience));
    return status;
  }

  anywire::TransportRegistry registry_;
  Transport* transport_ = nullptr;
  std::string address_;
  EventLoop loop_;
};

struct NoEvents final : Connection::Events {
  void OnReadable() override {}
  void OnWritable() override {}
};

// How many frames of `size` bytes wait before there is no room.
size_t FramesThatWait(EventLoop& loop, size_t size) {
  int fds[2];
  EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  NoEvents events;
  auto connection =
      std::make_unique<PacketConnection>(loop, fds[0], /*connecting=*/true, "packet:x");
  connection->Start(events);
  size_t frames = 0;
  while (connection->NewFrame(1, size).data() != nullptr) ++frames;
  loop.RunAndWait([&connection] { connection.reset(); });
  close(fds[1]);
  return frames;
}

TEST_F(PacketLimitsTest, WhatWaitsIsLimitedWithAllItTakes) {
  constexpr size_t kOverhead = PacketConnection::kFrameOverhead;
  constexpr size_t kMax = PacketConnection::kMaxUnsent;
  for (size_t size : {size_t{1}, size_t{100}, PacketConnection::kMaxFrameSize}) {
    EXPECT_EQ(FramesThatWait(loop_, size), kMax / (size + kOverhead)) << size;
  }
  // As many as fit exactly: one byte less in each makes no room for another, one more does.
  constexpr size_t kExact = 1024 - kOverhead;
  EXPECT_EQ(FramesThatWait(loop_, kExact - 1), kMax / 1024);
  EXPECT_EQ(FramesThatWait(loop_, kExact), kMax / 1024);
  EXPECT_EQ(FramesThatWait(loop_, kExact + 1), kMax / 1024 - 1);
}

TEST_F(PacketLimitsTest, WithoutDescriptorsResourcesAreExhausted) {
  SetNoDescriptors(true);
  EXPECT_EQ(Listen().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Connect().code(), absl::StatusCode::kResourceExhausted);
  SetNoDescriptors(false);
  EXPECT_TRUE(Listen().ok());
  EXPECT_EQ(Connect().code(), absl::StatusCode::kUnavailable) << "nobody listens";
}

TEST_F(PacketLimitsTest, AcceptingPausesWhileThereAreNoDescriptors) {
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Connection> accepted;
  absl::Notification done;
  loop_.RunAndWait([this, &listener, &accepted, &done] {
    listener = transport_->Listen(loop_, address_, {}).value();
    loop_.Detach(listener->Accept().then(
                     [&accepted, &done](absl::StatusOr<std::unique_ptr<Connection>> connection) {
                       accepted = std::move(connection).value();
                       done.Notify();
                     }),
                 "accept");
  });
  std::unique_ptr<Connection> client;
  absl::Notification connected;
  loop_.RunAndWait([this, &client, &connected] {
    loop_.Detach(transport_->Connect(loop_, address_, {})
                     .then([&client, &connected](absl::StatusOr<std::unique_ptr<Connection>> end) {
                       client = std::move(end).value();
                       connected.Notify();
                     }),
                 "connect");
    SetNoDescriptors(true);  // before the loop comes to look at the listener
  });
  ASSERT_TRUE(connected.WaitForNotificationWithTimeout(kPatience));
  {
    absl::MutexLock lock(&Calls().mutex);
    const auto three = []() ABSL_NO_THREAD_SAFETY_ANALYSIS { return Calls().times.size() >= 3; };
    ASSERT_TRUE(Calls().mutex.AwaitWithTimeout(absl::Condition(&three), kPatience));
    for (size_t i = 1; i < 3; ++i) {
      EXPECT_GE(Calls().times[i] - Calls().times[i - 1], std::chrono::milliseconds(10)) << i;
    }
  }
  SetNoDescriptors(false);
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kPatience)) << "goes on when there are some";
  loop_.RunAndWait([&listener, &accepted, &client] {
    client.reset();
    accepted.reset();
    listener.reset();
  });
}

}  // namespace
}  // namespace own_transport
