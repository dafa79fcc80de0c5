#include "transports/tcp/tcp_transport.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transports/stream/unique_fd.h"
#include "transports/tcp/dialer.h"
#include "transports/tcp/resolver.h"
#include "transports/tcp/socket_address.h"

namespace anywire {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr absl::Duration kPatience = absl::Seconds(30);

std::string Parsed(absl::string_view text) {
  absl::StatusOr<HostPort> parsed = ParseHostPort(text);
  if (!parsed.ok()) return std::string(parsed.status().message());
  return parsed->host + " " + std::to_string(parsed->port);
}

TEST(HostPortTest, GoodOnes) {
  EXPECT_EQ("localhost 80", Parsed("localhost:80"));
  EXPECT_EQ("127.0.0.1 0", Parsed("127.0.0.1:0"));
  EXPECT_EQ("::1 65535", Parsed("[::1]:65535"));
  EXPECT_EQ("fe80::1%lo 1", Parsed("[fe80::1%lo]:1"));
  EXPECT_EQ("my-host_1.example. 1", Parsed("my-host_1.example.:1"));
}

TEST(HostPortTest, BadOnesSayWhy) {
  for (const char* text : {"", "localhost", "[::1]", "::1"}) {
    EXPECT_THAT(Parsed(text), HasSubstr("host:port")) << text;
  }
  EXPECT_THAT(Parsed("localhost"), HasSubstr("the port is missing"));
  for (const char* text : {"h:", "h:65536", "h:-1", "h:+1", "h: 1", "h:http", "h:000080", "h:1x"}) {
    EXPECT_THAT(Parsed(text), HasSubstr("0 to 65535")) << text;
  }
  EXPECT_THAT(Parsed(":80"), HasSubstr("the host is missing"));
  EXPECT_THAT(Parsed("::1:80"), HasSubstr("brackets"));
  EXPECT_THAT(Parsed("[127.0.0.1]:80"), HasSubstr("no IPv6 address"));
  EXPECT_THAT(Parsed("[]:80"), HasSubstr("no IPv6 address"));
  EXPECT_THAT(Parsed("a b:80"), HasSubstr("not a name or an address"));
  EXPECT_THAT(Parsed("a/b:80"), HasSubstr("not a name or an address"));
  EXPECT_THAT(Parsed(std::string(254, 'x') + ":80"), HasSubstr("not a name or an address"));
}

SocketAddress Address(const std::string& host, uint16_t port) {
  return LookUp({host, port}, /*numeric_only=*/true)->front();
}

TEST(SocketAddressTest, LoopbackIsKnownInAllItsForms) {
  for (const char* host : {"127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(Address(host, 1).IsLoopback()) << host;
  }
  for (const char* host : {"0.0.0.0", "128.0.0.1", "::", "::2", "::ffff:10.0.0.1"}) {
    EXPECT_FALSE(Address(host, 1).IsLoopback()) << host;
  }
  EXPECT_EQ("127.0.0.1:1", Address("127.0.0.1", 1).ToString());
  EXPECT_EQ("[::1]:443", Address("::1", 443).ToString());
}

TEST(SocketAddressTest, NamesAreNotLookedUpUnasked) {
  EXPECT_FALSE(LookUp({"localhost", 1}, /*numeric_only=*/true).ok());
}

TEST(DialerTest, FamiliesTakeTurns) {
  std::vector<std::string> order;
  for (const SocketAddress& address : InterleaveFamilies(
           {Address("::1", 1), Address("::2", 2), Address("::3", 3), Address("127.0.0.1", 4)})) {
    order.push_back(address.ToString());
  }
  EXPECT_THAT(order, ElementsAre("[::1]:1", "127.0.0.1:4", "[::2]:2", "[::3]:3"));
  EXPECT_THAT(InterleaveFamilies({}), IsEmpty());
}

class LoopTest : public ::testing::Test {
 protected:
  template <typename T, typename Make>
  absl::StatusOr<T> Await(Make make) {
    absl::StatusOr<T> result = absl::UnknownError("");
    absl::Notification done;
    kj::Promise<void> promise = nullptr;
    loop_.RunAndWait([&make, &promise, &result, &done] {
      promise = make()
                    .then([&result, &done](absl::StatusOr<T> got) {
                      result = std::move(got);
                      done.Notify();
                    })
                    .eagerlyEvaluate(nullptr);
    });
    const bool in_time = done.WaitForNotificationWithTimeout(kPatience);
    loop_.RunAndWait([&promise] { promise = nullptr; });
    return in_time ? std::move(result) : absl::DeadlineExceededError("no end");
  }
  absl::StatusOr<UniqueFd> Dial(
      const std::vector<SocketAddress>& addresses,
      const std::function<void(int, const SocketAddress&)>& prepare = [](int,
                                                                         const SocketAddress&) {}) {
    return Await<UniqueFd>([this, &addresses, &prepare] {
      return anywire::Dial(loop_, addresses, "tcp://test", prepare);
    });
  }
  absl::StatusOr<std::unique_ptr<Connection>> Connect(TcpTransport& transport,
                                                      const std::string& address) {
    return Await<std::unique_ptr<Connection>>(
        [this, &transport, &address] { return transport.Connect(loop_, address, {}); });
  }
  absl::StatusOr<std::unique_ptr<Listener>> Listen(TcpTransport& transport,
                                                   const std::string& address) {
    absl::StatusOr<std::unique_ptr<Listener>> result = absl::UnknownError("");
    loop_.RunAndWait(
        [this, &transport, &address, &result] { result = transport.Listen(loop_, address, {}); });
    return result;
  }
  template <typename T>
  void Destroy(absl::StatusOr<std::unique_ptr<T>>& object) {
    if (object.ok()) loop_.RunAndWait([&object] { object->reset(); });
  }

  EventLoop loop_{"tcp"};
};

// A listening socket at a port of its own. Without a backlog to speak of it soon answers nobody.
struct RawListener {
  explicit RawListener(int backlog) : fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address = Address("127.0.0.1", 0);
    EXPECT_EQ(0, bind(fd.get(), address.get(), address.size));
    EXPECT_EQ(0,
              getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address.storage), &address.size));
    EXPECT_TRUE(backlog < 0 || listen(fd.get(), backlog) == 0);
  }
  void FillUp() {
    for (int i = 0; i < 4; ++i) {
      fillers.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)connect(fillers.back().get(), address.get(), address.size);
    }
  }
  UniqueFd fd;
  SocketAddress address;
  std::vector<UniqueFd> fillers;
};

class DialTest : public LoopTest {};

TEST_F(DialTest, AddressThatRefusesIsPassedOver) {
  RawListener closed(-1), open(5);
  absl::StatusOr<UniqueFd> fd = Dial({closed.address, open.address});
  EXPECT_TRUE(fd.ok()) << fd.status();
}

TEST_F(DialTest, AddressThatDoesNotAnswerDoesNotHoldUpTheNext) {
  RawListener stuck(0), open(5);
  stuck.FillUp();
  absl::StatusOr<UniqueFd> fd = Dial({stuck.address, open.address});
  ASSERT_TRUE(fd.ok()) << fd.status();
  SocketAddress peer;
  peer.size = sizeof(peer.storage);
  ASSERT_EQ(0, getpeername(fd->get(), reinterpret_cast<sockaddr*>(&peer.storage), &peer.size));
  EXPECT_TRUE(peer == open.address);
}

TEST_F(DialTest, FailureOfAllNamesThemAll) {
  RawListener a(-1), b(-1);
  absl::StatusOr<UniqueFd> fd = Dial({a.address, b.address});
  EXPECT_EQ(absl::StatusCode::kUnavailable, fd.status().code());
  EXPECT_THAT(
      std::string(fd.status().message()),
      AllOf(HasSubstr("tcp://test"), HasSubstr(a.address.ToString() + ": Connection refused"),
            HasSubstr(b.address.ToString())));
}

TEST_F(DialTest, UsedUpDescriptorsAreResourceExhausted) {
  RawListener open(5);
  // With descriptors it works. (And the sanitizer for undefined behaviour, which needs some when it
  // looks at an object for the first time, has looked.)
  EXPECT_TRUE(Dial({open.address, open.address}).ok());
  rlimit before;
  ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &before));
  const rlimit none = {0, before.rlim_max};
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
  absl::StatusOr<UniqueFd> fd = Dial({open.address, open.address});
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &before));
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, fd.status().code());
  EXPECT_THAT(std::string(fd.status().message()), HasSubstr("Too many open files"));
}

// As by a firewall: a datagram socket in the socket's place may not connect to everybody.
TEST_F(DialTest, WhatMayNotBeDoneIsPermissionDeniedIfItIsAllThatFailed) {
  const auto forbid = [](int fd, const SocketAddress&) {
    const UniqueFd datagrams(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(fd, dup3(datagrams.get(), fd, O_CLOEXEC));
  };
  const SocketAddress everybody = Address("127.255.255.255", 1);
  EXPECT_EQ(absl::StatusCode::kPermissionDenied,
            Dial({everybody, everybody}, forbid).status().code());
  RawListener closed(-1);
  const auto forbid_everybody = [&forbid, &everybody](int fd, const SocketAddress& peer) {
    if (peer == everybody) forbid(fd, peer);
  };
  EXPECT_EQ(absl::StatusCode::kUnavailable,
            Dial({everybody, closed.address}, forbid_everybody).status().code());
  EXPECT_EQ(absl::StatusCode::kUnavailable,
            Dial({closed.address, everybody}, forbid_everybody).status().code());
}

TEST_F(DialTest, DroppedDialLeavesNothingBehind) {
  RawListener stuck(0);
  stuck.FillUp();
  for (int i = 0; i < 20; ++i) {
    loop_.RunAndWait([this, &stuck] {
      kj::Promise<void> dropped =
          anywire::Dial(loop_, {stuck.address, stuck.address}, "x", [](int, const SocketAddress&) {
          }).then([](absl::StatusOr<UniqueFd>) {});
    });
  }
}

class ResolverTest : public LoopTest {};

TEST_F(ResolverTest, LocalhostHasLoopbackAddresses) {
  Resolver resolver;
  auto addresses = Await<std::vector<SocketAddress>>([this, &resolver] {
    return resolver.Resolve(loop_, {"localhost", 80});
  });
  ASSERT_TRUE(addresses.ok()) << addresses.status();
  for (const SocketAddress& address : *addresses) EXPECT_TRUE(address.IsLoopback());
}

TEST_F(ResolverTest, UnknownNameIsUnavailableAndNamed) {
  // Where a name server is named and does not answer, the resolver would ask for longer than we
  // wait (resolv.conf(5)).
  setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
  Resolver resolver;
  auto addresses = Await<std::vector<SocketAddress>>([this, &resolver] {
    return resolver.Resolve(loop_, {"no-such-host.invalid", 80});
  });
  EXPECT_EQ(absl::StatusCode::kUnavailable, addresses.status().code());
  EXPECT_THAT(std::string(addresses.status().message()), HasSubstr("no-such-host.invalid"));
}

// Lookups that last until they are released. Its threads are the resolver's, which outlive
// resolvers: whoever held them must wait for them to leave.
class HeldLookups {
 public:
  HeldLookups() {
    absl::MutexLock lock(&mutex_);
    held_ = true;
    begun_ = 0;
  }
  ~HeldLookups() { EXPECT_TRUE(ReleaseAll()); }

  static Resolver::Addresses LookUp(const HostPort&) {
    absl::MutexLock lock(&mutex_);
    ++begun_;
    ++inside_;
    mutex_.Await(absl::Condition(
        +[](bool* held) { return !*held; }, &held_));
    --inside_;
    return std::vector<SocketAddress>();
  }

  // False: some are still inside after kPatience.
  bool ReleaseAll() {
    absl::MutexLock lock(&mutex_);
    held_ = false;
    return mutex_.AwaitWithTimeout(absl::Condition(
                                       +[](int* n) { return *n == 0; }, &inside_),
                                   kPatience);
  }
  int begun() const {
    absl::MutexLock lock(&mutex_);
    return begun_;
  }

 private:
  static absl::Mutex mutex_;
  static bool held_;
  static int begun_, inside_;
};

ABSL_CONST_INIT absl::Mutex HeldLookups::mutex_(absl::kConstInit);
bool HeldLookups::held_ = false;
int HeldLookups::begun_ = 0;
int HeldLookups::inside_ = 0;

TEST_F(ResolverTest, DroppedAndOutlivedLookupsAreHarmless) {
  HeldLookups held;
  {
    Resolver resolver(&HeldLookups::LookUp);
    loop_.RunAndWait([this, &resolver] {
      for (int i = 0; i < 50; ++i) {
        kj::Promise<void> dropped =
            resolver.Resolve(loop_, {"name", 80}).then([](Resolver::Addresses) {});
      }
    });
  }
  EXPECT_TRUE(held.ReleaseAll());
  EXPECT_LE(held.begun(), Resolver::kMaxThreads);
  loop_.RunAndWait([] {});
}

TEST_F(ResolverTest, TooManyLookupsAreRefused) {
  HeldLookups held;
  Resolver resolver(&HeldLookups::LookUp);
  int refused = 0, answered = 0;
  static constexpr int kLookups =
      static_cast<int>(Resolver::kMaxWaiting) + Resolver::kMaxThreads + 1;
  absl::Notification all;
  loop_.RunAndWait([this, &resolver, &refused, &answered, &all] {
    for (int i = 0; i < kLookups; ++i) {
      loop_.Detach(resolver.Resolve(loop_, {"name", 80})
                       .then([&refused, &answered, &all](Resolver::Addresses addresses) {
                         if (!addresses.ok()) {
                           EXPECT_EQ(absl::StatusCode::kResourceExhausted,
                                     addresses.status().code());
                           ++refused;
                         }
                         if (++answered == kLookups) all.Notify();
                       }),
                   "lookup");
    }
  });
  EXPECT_TRUE(held.ReleaseAll());
  ASSERT_TRUE(all.WaitForNotificationWithTimeout(kPatience));
  EXPECT_GE(refused, 1);
  EXPECT_LE(refused, Resolver::kMaxThreads + 1);
}

class TcpTransportTest : public LoopTest {
 protected:
  TcpTransport transport_;
};

TEST_F(TcpTransportTest, NamesAndIPv6) {
  for (const char* address : {"localhost:0", "127.0.0.1:0", "[::1]:0"}) {
    absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(transport_, address);
    if (!listener.ok() && absl::string_view(address) == "[::1]:0") {
      std::printf("no IPv6 on this host: %s\n", listener.status().ToString().c_str());
      continue;
    }
    ASSERT_TRUE(listener.ok()) << listener.status();
    const std::string uri = (*listener)->address();
    ASSERT_THAT(uri, StartsWith("tcp://"));
    EXPECT_EQ(std::string::npos, uri.find(":0", uri.size() - 2)) << "the port that was chosen";
    absl::StatusOr<std::unique_ptr<Connection>> connection = Connect(transport_, uri.substr(6));
    ASSERT_TRUE(connection.ok()) << connection.status();
    EXPECT_EQ(uri, (*connection)->info().remote_address);
    EXPECT_TRUE((*connection)->info().host_private);
    if (absl::string_view(address) == "localhost:0") {
      // A name is resolved off the loop, and its addresses tried.
      absl::StatusOr<std::unique_ptr<Connection>> by_name =
          Connect(transport_, "localhost" + uri.substr(uri.rfind(':')));
      EXPECT_TRUE(by_name.ok()) << by_name.status();
      Destroy(by_name);
    }
    Destroy(connection);
    Destroy(listener);
  }
}

TEST_F(TcpTransportTest, PortZeroIsForListening) {
  EXPECT_EQ(absl::StatusCode::kInvalidArgument, Connect(transport_, "127.0.0.1:0").status().code());
}

TEST_F(TcpTransportTest, ListeningBeyondTheLoopbackIsWarnedOfInOneLine) {
  for (const char* address : {"0.0.0.0:0", "127.0.0.1:0"}) {
    ::testing::internal::CaptureStderr();
    absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(transport_, address);
    const std::string log = ::testing::internal::GetCapturedStderr();
    ASSERT_TRUE(listener.ok()) << listener.status();
    if (absl::string_view(address) == "127.0.0.1:0") {
      EXPECT_EQ("", log);
    } else {
      EXPECT_THAT(log, AllOf(StartsWith("anywire: warning: tcp://0.0.0.0:"),
                             HasSubstr("without encryption")));
      EXPECT_EQ(log.size() - 1, log.find('\n'));
    }
    Destroy(listener);
  }
}

// What this transport promises of each socket, seen by dialling with its own set-up.
TEST_F(TcpTransportTest, SocketOptions) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(transport_, "127.0.0.1:0");
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::set<int> before;
  for (int fd = 0; fd < 200; ++fd) {
    int type;
    socklen_t size = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0) before.insert(fd);
  }
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connect(transport_, (*listener)->address().substr(6));
  ASSERT_TRUE(connection.ok()) << connection.status();
  int found = 0;
  for (int fd = 0; fd < 200; ++fd) {
    int no_delay = 0, user_timeout = 0;
    socklen_t size = sizeof(int);
    if (before.count(fd) != 0 || getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size) != 0) {
      continue;
    }
    ++found;
    EXPECT_NE(0, no_delay);
    EXPECT_EQ(0, getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, &size));
    EXPECT_EQ(30'000, user_timeout);
    char congestion[16] = {};
    size = sizeof(congestion);
    EXPECT_EQ(0, getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, &size));
    EXPECT_THAT(std::string(congestion), ::testing::AnyOf("cubic", "reno"));
  }
  EXPECT_GE(found, 1);
  Destroy(connection);
  Destroy(listener);
}

}  // namespace
}  // namespace anywire
