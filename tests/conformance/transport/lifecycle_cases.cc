// Connecting, listening, and the ends of both.
#include <unistd.h>

#include "gmock/gmock.h"
#include "tests/conformance/transport/transport_suite.h"

namespace anywire::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_P(TransportSuite, SchemeAndAddressesResolve) {
  const std::string uri = GetParam().scheme + ":" + FreshAddress();
  TransportRegistry registry = GetParam().make_registry();
  EXPECT_TRUE(registry.Resolve(uri).ok()) << registry.Resolve(uri).status();
  EXPECT_EQ(absl::StatusCode::kInvalidArgument, transport().CheckAddress("").code());
  EXPECT_EQ(absl::StatusCode::kInvalidArgument, Listen("").status().code());
}

TEST_P(TransportSuite, ConnectionDescribesItself) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(FreshAddress());
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_THAT((*listener)->address(), StartsWith(GetParam().scheme + ":"));
  auto accepting = Accept(**listener);
  Accepted client = Connect((*listener)->address());
  Accepted server = accepting->Get();
  ASSERT_TRUE(client.ok() && server.ok()) << client.status() << server.status();
  const ConnectionInfo& at_client = (*client)->info();
  const ConnectionInfo& at_server = (*server)->info();
  EXPECT_EQ((*listener)->address(), at_server.local_address);
  if (GetParam().behind_relay) {
    // Each end sees the relay as the other.
    EXPECT_EQ(GetParam().scheme + "://" + RelayBefore((*listener)->address()).address(),
              at_client.remote_address);
    EXPECT_THAT(at_server.remote_address, StartsWith(GetParam().scheme + ":"));
    EXPECT_NE(at_client.local_address, at_server.remote_address);
  } else {
    EXPECT_EQ((*listener)->address(), at_client.remote_address);
    EXPECT_EQ(at_client.local_address, at_server.remote_address);
  }
  for (const ConnectionInfo* info : {&at_client, &at_server}) {
    EXPECT_GE(info->max_frame_size, 1024u);
    if (info->peer.credentials.has_value()) {
      EXPECT_EQ(geteuid(), info->peer.credentials->uid);
      EXPECT_EQ(getegid(), info->peer.credentials->gid);
      EXPECT_EQ(getpid(), info->peer.credentials->pid);
      EXPECT_TRUE(info->host_private);
    }
  }
  client_loop().RunAndWait([&client] { client->reset(); });
  server_loop().RunAndWait([&server] { server->reset(); });
  Destroy(std::move(*listener));
}

TEST_P(TransportSuite, NobodyListens) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(FreshAddress());
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string address = (*listener)->address();
  Destroy(std::move(*listener));
  if (GetParam().behind_relay) {
    // The relay is there, and does not know it either: the client goes on asking.
    std::unique_ptr<Pending> connecting =
        BeginConnect(GetParam().make_registry().Resolve(address)->address);
    RelayBefore(address).path().WaitForSent(Towards::kServer, 2);
    EXPECT_FALSE(connecting->has_ended());
    connecting->Drop();
    return;
  }
  EXPECT_EQ(absl::StatusCode::kUnavailable, Connect(address).status().code());
}

TEST_P(TransportSuite, AddressIsTakenUntilItsListenerIsGone) {
  absl::StatusOr<std::unique_ptr<Listener>> first = Listen(FreshAddress());
  ASSERT_TRUE(first.ok()) << first.status();
  const std::string uri = (*first)->address();
  const std::string address = GetParam().make_registry().Resolve(uri)->address;
  EXPECT_EQ(absl::StatusCode::kAlreadyExists, Listen(address).status().code());
  // Having tried has not harmed the first.
  auto accepting = Accept(**first);
  Accepted client = Connect(uri);
  Accepted server = accepting->Get();
  EXPECT_TRUE(client.ok() && server.ok()) << client.status() << server.status();
  client_loop().RunAndWait([&client] { client->reset(); });
  server_loop().RunAndWait([&server] { server->reset(); });

  Destroy(std::move(*first));
  absl::StatusOr<std::unique_ptr<Listener>> second = Listen(address);
  EXPECT_TRUE(second.ok()) << second.status();
  Destroy(std::move(*second));
}

TEST_P(TransportSuite, FreshAddressesDoNotMeet) {
  absl::StatusOr<std::unique_ptr<Listener>> first = Listen(FreshAddress());
  absl::StatusOr<std::unique_ptr<Listener>> second = Listen(FreshAddress());
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_NE((*first)->address(), (*second)->address());
  Destroy(std::move(*first));
  Destroy(std::move(*second));
}

TEST_P(TransportSuite, ConnectionsOutliveTheListener) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(FreshAddress());
  ASSERT_TRUE(listener.ok()) << listener.status();
  auto accepting = Accept(**listener);
  Accepted connected = Connect((*listener)->address());
  Accepted accepted = accepting->Get();
  ASSERT_TRUE(connected.ok() && accepted.ok());
  Destroy(std::move(*listener));
  Peer client(client_loop(), std::move(*connected)), server(server_loop(), std::move(*accepted));
  ASSERT_TRUE(client.Send(1, "still here").ok());
  EXPECT_EQ((Frame{1, "still here"}), server.ReceiveOne().value_or(Frame{}));
}

TEST_P(TransportSuite, DroppedAcceptLosesNoConnection) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(FreshAddress());
  ASSERT_TRUE(listener.ok()) << listener.status();
  for (int i = 0; i < 3; ++i) Accept(**listener)->Drop();
  Accepted client = Connect((*listener)->address());
  Accepted server = Accept(**listener)->Get();
  EXPECT_TRUE(client.ok() && server.ok()) << client.status() << server.status();
  client_loop().RunAndWait([&client] { client->reset(); });
  server_loop().RunAndWait([&server] { server->reset(); });
  Destroy(std::move(*listener));
}

TEST_P(TransportSuite, AcceptEndsWithItsListener) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(FreshAddress());
  ASSERT_TRUE(listener.ok()) << listener.status();
  auto accepting = Accept(**listener);
  Destroy(std::move(*listener));
  EXPECT_EQ(absl::StatusCode::kUnavailable, accepting->Get().status().code());
}

TEST_P(TransportSuite, AcceptEndsWhenTheListenerIsClosed) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(FreshAddress());
  ASSERT_TRUE(listener.ok()) << listener.status();
  auto accepting = Accept(**listener);
  Close(**listener);
  EXPECT_EQ(absl::StatusCode::kUnavailable, accepting->Get().status().code());
  Close(**listener);
  EXPECT_EQ(absl::StatusCode::kUnavailable, Accept(**listener)->Get().status().code());
  Destroy(std::move(*listener));
}

TEST_P(TransportSuite, ClosedListenerGivesWhoeverHasConnected) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(FreshAddress());
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string address = (*listener)->address();
  std::vector<std::unique_ptr<Peer>> clients;
  for (uint64_t i = 1; i <= 3; ++i) {
    Accepted client = Connect(address);
    ASSERT_TRUE(client.ok()) << client.status();
    clients.push_back(std::make_unique<Peer>(client_loop(), std::move(*client)));
    ASSERT_TRUE(clients.back()->Send(i, "before it closed").ok());
  }
  Close(**listener);
  EXPECT_EQ(absl::StatusCode::kUnavailable, Connect(address).status().code());
  std::vector<uint64_t> met;
  for (int i = 0; i < 3; ++i) {
    Accepted accepted = Accept(**listener)->Get();
    ASSERT_TRUE(accepted.ok()) << accepted.status();
    Peer server(server_loop(), std::move(*accepted));
    met.push_back(server.ReceiveOne().value_or(Frame{}).stream);
  }
  EXPECT_THAT(met, ::testing::UnorderedElementsAre(1, 2, 3));
  EXPECT_EQ(absl::StatusCode::kUnavailable, Accept(**listener)->Get().status().code());
  // Its address is free, whoever still has the listener.
  const std::string local = GetParam().make_registry().Resolve(address)->address;
  absl::StatusOr<std::unique_ptr<Listener>> next = Listen(local);
  EXPECT_TRUE(next.ok()) << next.status();
  if (next.ok()) Destroy(std::move(*next));
  Destroy(std::move(*listener));
}

// It was waited for when it came, and the listener had not looked yet.
TEST_P(TransportSuite, ClosedListenerGivesWhoeverConnectsAsItCloses) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(FreshAddress());
  ASSERT_TRUE(listener.ok()) << listener.status();
  auto accepting = Accept(**listener);
  const std::string address = GetParam().make_registry().Resolve((*listener)->address())->address;
  Accepted client = absl::UnknownError("");
  std::unique_ptr<Pending> connecting;
  server_loop().RunAndWait([this, &listener, &client, &address, &connecting] {
    connecting = BeginConnect(address);
    if (GetParam().handshake == Handshake::kNone) client = connecting->Get();
    (*listener)->Close();
  });
  if (GetParam().handshake != Handshake::kNone) client = connecting->Get();
  Accepted server = accepting->Get();
  if (GetParam().handshake == Handshake::kStateless && !client.ok()) {
    // It did not come to a connection, and then for neither.
    EXPECT_EQ(absl::StatusCode::kUnavailable, client.status().code());
    EXPECT_EQ(absl::StatusCode::kUnavailable, server.status().code());
    Destroy(std::move(*listener));
    return;
  }
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(absl::StatusCode::kUnavailable, Accept(**listener)->Get().status().code());
  client_loop().RunAndWait([&client] { client->reset(); });
  if (server.ok()) server_loop().RunAndWait([&server] { server->reset(); });
  Destroy(std::move(*listener));
}

TEST_P(TransportSuite, DroppedConnectIsHarmless) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(FreshAddress());
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string address = GetParam().make_registry().Resolve((*listener)->address())->address;
  for (int i = 0; i < 10; ++i) {
    client_loop().RunAndWait([this, &address] {
      kj::Promise<void> dropped =
          transport().Connect(client_loop(), address, {}).then([](Accepted) {});
    });
  }
  // They may have arrived, or not; the next one does.
  Accepted client = Connect((*listener)->address());
  ASSERT_TRUE(client.ok()) << client.status();
  Peer peer(client_loop(), std::move(*client));
  ASSERT_TRUE(peer.Send(1, "me").ok());
  for (bool met = false; !met;) {
    Accepted server = Accept(**listener)->Get();
    ASSERT_TRUE(server.ok()) << server.status();
    Peer candidate(server_loop(), std::move(*server));
    absl::StatusOr<Frame> frame = candidate.ReceiveOne();
    met = frame.ok();
    EXPECT_EQ(met ? "me" : "", frame.value_or(Frame{}).bytes);
    EXPECT_TRUE(met || frame.status().code() == absl::StatusCode::kUnavailable) << frame.status();
  }
  Destroy(std::move(*listener));
}

// Accepted connections live on the loops that were named, and a fair share of them on each.
TEST_P(TransportSuite, ManyConnectionsOnSeveralLoops) {
  EventLoop other("other");
  absl::StatusOr<std::unique_ptr<Listener>> listener =
      Listen(FreshAddress(), {.loops = {&server_loop(), &other}});
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::vector<std::unique_ptr<Peer>> clients, servers;
  constexpr int kConnections = 64;
  int on_other = 0;
  for (int i = 0; i < kConnections; ++i) {
    auto accepting = Accept(**listener);
    Accepted client = Connect((*listener)->address());
    Accepted server = accepting->Get();
    ASSERT_TRUE(client.ok() && server.ok()) << client.status() << server.status();
    clients.push_back(std::make_unique<Peer>(client_loop(), std::move(*client)));
    EventLoop& loop = (*server)->loop();
    ASSERT_TRUE(&loop == &server_loop() || &loop == &other);
    if (&loop == &other) ++on_other;
    servers.push_back(std::make_unique<Peer>(loop, std::move(*server)));
  }
  // Where the system shares them out by chance, less comes once in ten million runs.
  EXPECT_GE(on_other, kConnections / 8);
  EXPECT_LE(on_other, kConnections - kConnections / 8);
  for (int i = 0; i < kConnections; ++i) {
    ASSERT_TRUE(clients[i]->Send(i, Content(i, 0, 10)).ok());
  }
  for (uint64_t i = 0; i < kConnections; ++i) {
    EXPECT_EQ((Frame{i, Content(i, 0, 10)}), servers[i]->ReceiveOne().value_or(Frame{}));
  }
  clients.clear();
  servers.clear();
  Destroy(std::move(*listener));
}

TEST_P(TransportSuite, ConnectionNeverStartedEndsWithoutHarm) {
  Ends ends = ConnectEnds();
  server_loop().RunAndWait([&ends] { ends.server.reset(); });
  Peer client(client_loop(), std::move(ends.client));
  absl::Status end = client.ReceiveEnd();
  EXPECT_EQ(absl::StatusCode::kUnavailable, end.code());
  EXPECT_THAT(std::string(end.message()), HasSubstr("closed by peer"));
  ends = ConnectEnds();
  client_loop().RunAndWait([&ends] { ends.client.reset(); });
  server_loop().RunAndWait([&ends] { ends.server.reset(); });
}

}  // namespace
}  // namespace anywire::test
