// A listener and its connections, each side on a loop of its own.
#ifndef ANYWIRE_TRANSPORTS_UDP_UDP_TRANSPORT_FIXTURE_H_
#define ANYWIRE_TRANSPORTS_UDP_UDP_TRANSPORT_FIXTURE_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "anywire/event_loop.h"
#include "anywire/transport.h"
#include "gtest/gtest.h"
#include "tests/conformance/transport/peer.h"
#include "transports/udp/datagram_faults.h"
#include "transports/udp/datagram_socket.h"
#include "transports/udp/udp_transport.h"

namespace anywire::udp::test {

using anywire::test::Frame;
using anywire::test::Patience;
using anywire::test::Peer;
using std::chrono::milliseconds;

using Connected = absl::StatusOr<std::unique_ptr<Connection>>;

class UdpTransportTest : public ::testing::Test {
 protected:
  ~UdpTransportTest() override {
    clients_.clear();
    servers_.clear();
    Close();
  }

  void Use(UdpOptions options) { transport_ = std::make_unique<UdpTransport>(options); }
  static UdpOptions Quiet() {
    UdpOptions options;
    options.warn_beyond_loopback = false;
    return options;
  }

  // The address becomes free for everybody, even for other loops.
  void ExpectComesFree(const std::string& address) {
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

  absl::Status Listen(const std::string& address, const Transport::ListenOptions& options = {}) {
    absl::StatusOr<std::unique_ptr<Listener>> listener = absl::UnknownError("");
    server_loop_.RunAndWait([&] { listener = transport_->Listen(server_loop_, address, options); });
    if (!listener.ok()) return listener.status();
    listener_ = *std::move(listener);
    return absl::OkStatus();
  }
  void Close() {
    server_loop_.RunAndWait([this] { listener_ = nullptr; });
  }
  // At the listener, or another host.
  std::string Target(const std::string& host = "127.0.0.1") const {
    const std::string& uri = listener_->address();
    return absl::StrCat(host, uri.substr(uri.rfind(':')));
  }

  // The result of what `begin` begins on `loop`, or DEADLINE_EXCEEDED.
  static Connected Await(EventLoop& loop, const std::function<kj::Promise<Connected>()>& begin,
                         milliseconds limit = milliseconds(30'000)) {
    Connected result = absl::DeadlineExceededError("no end");
    absl::Notification done;
    kj::Promise<void> promise = nullptr;
    loop.RunAndWait([&] {
      promise = begin()
                    .then([&](Connected connected) {
                      result = std::move(connected);
                      done.Notify();
                    })
                    .eagerlyEvaluate(nullptr);
    });
    done.WaitForNotificationWithTimeout(absl::FromChrono(limit));
    loop.RunAndWait([&] { promise = nullptr; });
    return result;
  }
  Connected Connect(const std::string& address) {
    return Await(client_loop_, [&] { return transport_->Connect(client_loop_, address, {}); });
  }
  Connected Accept(milliseconds limit = milliseconds(30'000)) {
    return Await(
        server_loop_, [&] { return listener_->Accept(); }, limit);
  }
  // Another connection, the last of clients_ and of servers_.
  void Join(const std::string& address) {
    Connected client = Connect(address);
    ASSERT_TRUE(client.ok()) << client.status();
    Connected server = Accept();
    ASSERT_TRUE(server.ok()) << server.status();
    EventLoop& loop = (*server)->loop();
    clients_.push_back(std::make_unique<Peer>(client_loop_, *std::move(client)));
    servers_.push_back(std::make_unique<Peer>(loop, *std::move(server)));
  }
  Peer& client() { return *clients_.back(); }
  Peer& server() { return *servers_.back(); }
  void ExpectEcho() {
    ASSERT_TRUE(client().Send(3, "there").ok());
    EXPECT_EQ((Frame{3, "there"}), server().ReceiveOne().value_or(Frame{}));
    ASSERT_TRUE(server().Send(4, "and back").ok());
    EXPECT_EQ((Frame{4, "and back"}), client().ReceiveOne().value_or(Frame{}));
  }

  // All of it goes without a word, if the linger_timeout is 0.
  void VanishServer() {
    DatagramFaults faults;
    faults.LoseUnless([](absl::Span<const uint8_t>) { return false; });
    const std::string port = Target().substr(Target().rfind(':') + 1);
    const SocketAddress address =
        LookUp({"127.0.0.1", static_cast<uint16_t>(std::stoi(port))}, true).value().at(0);
    servers_.clear();
    Close();
    const Instant patience = Patience();
    while (!DatagramSocket::Bind(address, DatagramSocket::Reuse::kNone).ok()) {
      ASSERT_LT(std::chrono::steady_clock::now(), patience) << "its socket is not closed";
      server_loop_.RunAndWait([] {});
    }
  }

  std::unique_ptr<UdpTransport> transport_ = std::make_unique<UdpTransport>(Quiet());
  EventLoop client_loop_{"client"};
  EventLoop server_loop_{"server"};
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Peer>> clients_, servers_;
};

}  // namespace anywire::udp::test

#endif  // ANYWIRE_TRANSPORTS_UDP_UDP_TRANSPORT_FIXTURE_H_
