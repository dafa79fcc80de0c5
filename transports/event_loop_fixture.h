// For tests of event loops.
#ifndef ANYWIRE_TRANSPORTS_EVENT_LOOP_FIXTURE_H_
#define ANYWIRE_TRANSPORTS_EVENT_LOOP_FIXTURE_H_

#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "anywire/event_loop.h"
#include "gtest/gtest.h"

namespace anywire::test {

inline constexpr absl::Duration kLong = absl::Seconds(20);

inline bool Wait(absl::Notification& done) { return done.WaitForNotificationWithTimeout(kLong); }

struct SocketPair {
  SocketPair() { EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)); }
  ~SocketPair() {
    close(fds[0]);
    if (fds[1] >= 0) close(fds[1]);
  }
  void Write() { EXPECT_EQ(1, write(fds[1], "x", 1)); }
  void Read() {
    char byte;
    EXPECT_EQ(1, read(fds[0], &byte, 1));
  }
  void CloseFar() {
    close(fds[1]);
    fds[1] = -1;
  }
  int fds[2];
};

class FunctionWatch final : public EventLoop::Watch {
 public:
  explicit FunctionWatch(std::function<void(uint32_t)> function) : function_(std::move(function)) {}
  void OnReady(uint32_t events) override { function_(events); }

 private:
  std::function<void(uint32_t)> function_;
};

class FunctionAlarm final : public EventLoop::Alarm {
 public:
  FunctionAlarm(EventLoop& loop, std::function<void(Instant)> function)
      : Alarm(loop), function_(std::move(function)) {}
  void OnAlarm(Instant now) override { function_(now); }

 private:
  std::function<void(Instant)> function_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TRANSPORTS_EVENT_LOOP_FIXTURE_H_
