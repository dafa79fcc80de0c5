// A client, a server and a relay between them, for tests of the relay.
#ifndef ANYWIRE_TESTS_SUPPORT_UDP_RELAY_FIXTURE_H_
#define ANYWIRE_TESTS_SUPPORT_UDP_RELAY_FIXTURE_H_

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/census.h"
#include "tests/support/ipv6.h"
#include "tests/support/seed.h"
#include "tests/support/udp_relay.h"
#include "tests/support/watchdog.h"
#include "transports/stream/unique_fd.h"
#include "transports/tcp/socket_address.h"

namespace anywire::test {

inline SocketAddress Address(const std::string& text) {
  return LookUp(*ParseHostPort(text), true)->front();
}

struct Datagram {
  std::string bytes;
  SocketAddress from;
};

// A socket on the loopback.
class Socket {
 public:
  explicit Socket(const std::string& address = "127.0.0.1:0")
      : fd_(socket(Address(address).family(), SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const SocketAddress wanted = Address(address);
    EXPECT_EQ(0, bind(fd_.get(), wanted.get(), wanted.size));
    address_.size = sizeof(address_.storage);
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address_.storage), &address_.size);
  }

  std::string address() const { return address_.ToString(); }

  void Send(const std::string& to, const std::string& bytes) {
    const SocketAddress address = Address(to);
    EXPECT_EQ(static_cast<ssize_t>(bytes.size()),
              sendto(fd_.get(), bytes.data(), bytes.size(), 0, address.get(), address.size));
  }
  // Waits for one.
  Datagram Receive() {
    Datagram datagram;
    datagram.bytes.resize(70'000);
    datagram.from.size = sizeof(datagram.from.storage);
    const ssize_t size =
        recvfrom(fd_.get(), datagram.bytes.data(), datagram.bytes.size(), 0,
                 reinterpret_cast<sockaddr*>(&datagram.from.storage), &datagram.from.size);
    EXPECT_GE(size, 0);
    datagram.bytes.resize(static_cast<size_t>(size));
    return datagram;
  }
  bool has_datagram() const {
    pollfd readable = {fd_.get(), POLLIN, 0};
    return poll(&readable, 1, 0) == 1;
  }

 private:
  UniqueFd fd_;
  SocketAddress address_;
};

class UdpRelayTest : public ::testing::Test {
 protected:
  UdpRelayTest() : watchdog_("UdpRelayTest", absl::Seconds(30)) {}
  ~UdpRelayTest() override {
    relay_.reset();
    EXPECT_EQ(absl::OkStatus(), census_.BackToBaseline());
  }

  UdpRelay& relay() {
    if (relay_ == nullptr) {
      absl::StatusOr<std::unique_ptr<UdpRelay>> started =
          UdpRelay::Start(server_.address(), options_);
      EXPECT_EQ(absl::OkStatus(), started.status());
      relay_ = *std::move(started);
    }
    return *relay_;
  }

  static uint64_t Copies(const PathCounts& counts) { return counts.arrived() + counts.duplicated; }

  // The client sends so many, numbered; what arrives at the server.
  std::vector<std::string> SendNumbers(int datagrams, const std::string& rest = "") {
    std::vector<std::string> received;
    for (int i = 0; i < datagrams; ++i) {
      client_.Send(relay().address(), absl::StrCat(i, rest));
      ++sent_;
      // Not more at once than a socket's buffer takes.
      if (i % 32 != 31 && i + 1 < datagrams) continue;
      relay().path().WaitForSent(Towards::kServer, sent_);
      const uint64_t arrived = Copies(relay().path().counts(Towards::kServer));
      for (; received_ < arrived; ++received_) received.push_back(server_.Receive().bytes);
    }
    return received;
  }

  // What is sent behind a late one arrives together with it.
  void ArriveAtOnce(const std::vector<std::string>& datagrams) {
    options_.live.path.delay = std::chrono::milliseconds(200);
    client_.Send(relay().address(), "late");
    relay().path().WaitForSent(Towards::kServer, 1);
    relay().path().SetOptions({.delay = std::chrono::nanoseconds(0)});
    for (const std::string& datagram : datagrams) client_.Send(relay().address(), datagram);
    EXPECT_EQ("late", server_.Receive().bytes);
    for (const std::string& datagram : datagrams) EXPECT_EQ(datagram, server_.Receive().bytes);
  }

  const Watchdog watchdog_;
  Socket server_;
  Socket client_;
  const Census census_;  // after what lives as long as the test
  UdpRelay::Options options_ = {.live = {.seed = TestSeed(33)}};
  std::unique_ptr<UdpRelay> relay_;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_UDP_RELAY_FIXTURE_H_
