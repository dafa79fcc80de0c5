// Whose frames are parsed where they lie: what each value of the setting does, at either end, and
// that only the large frames of peers that are trusted are not copied.
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "transports/shm/hostile_fixture.h"
#include "transports/shm/shm_connection.h"
#include "transports/shm/shm_input.h"

namespace anywire {
namespace {

// What the transport was made with, what the one connection was asked to do, and what comes of it.
struct Case {
  InPlace transport;
  std::optional<InPlace> connection;
  bool in_place;  // for a peer of the same user
};
const std::vector<Case>& Cases() {
  static const auto& cases = *new std::vector<Case>({
      {ShmOptions().in_place, std::nullopt, true},
      {ShmOptions().in_place, InPlace::kNever, false},
      {ShmOptions().in_place, InPlace::kSameUser, true},
      {ShmOptions().in_place, InPlace::kAlways, true},
      {InPlace::kNever, std::nullopt, false},
      {InPlace::kNever, InPlace::kSameUser, true},
      {InPlace::kAlways, InPlace::kNever, false},
  });
  return cases;
}

ShmOptions With(InPlace in_place) {
  ShmOptions options = Options();
  options.in_place = in_place;
  return options;
}

class InPlaceTest : public ShmHostileTest {
 protected:
  // Whether `receiving` sees what its peer, who writes by hand in this direction, changes in a
  // frame that has been received.
  static bool SeesChanges(Connection& receiving, const ShmRegion& region,
                          ShmRegion::Direction direction, size_t size) {
    uint8_t* const ring = region.ring(direction);
    std::memset(ring + kShmFrameHeaderSize, 'a', size);
    WriteShmFrameHeader({static_cast<uint32_t>(size), ShmFrameHeader::kFrame, 1}, ring);
    region.words(direction).tail.StoreSeqCst(ShmFrameSize(size));
    const absl::Span<const ReceivedFrame> frames = receiving.Receive(Patience()).value();
    EXPECT_EQ(1u, frames.size());
    EXPECT_EQ(size, frames[0].bytes.size());
    std::memset(ring + kShmFrameHeaderSize, 'b', size);
    const std::string now(frames[0].bytes.begin(), frames[0].bytes.end());
    EXPECT_TRUE(now == std::string(size, 'a') || now == std::string(size, 'b'));
    return now[0] == 'b';
  }

  // Connects to a listening side by hand. Returns what comes of a frame from there.
  bool ConnectorSeesChanges(const Case& setting, size_t size) {
    const std::string path = dir_.path() + "/by_hand.sock";
    UniqueFd listening(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const UnixSocketAddress address = MakeUnixAddress(UnixNamespace::kPath, path);
    EXPECT_EQ(0, bind(listening.get(), address.get(), address.size));
    EXPECT_EQ(0, listen(listening.get(), 1));
    ShmTransport transport(With(setting.transport));
    std::unique_ptr<Connection> connection;
    absl::Notification connected;
    kj::Promise<void> connecting = nullptr;
    loop_->RunAndWait([&] {
      connecting = transport.Connect(*loop_, path, {.in_place = setting.connection})
                       .then([&](absl::StatusOr<std::unique_ptr<Connection>> result) {
                         connection = std::move(result).value();
                         connected.Notify();
                       })
                       .eagerlyEvaluate(nullptr);
    });
    const UniqueFd peer(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const ShmRegion::New made = ShmRegion::Create(kRing).value();
    EXPECT_TRUE(SendShmOffer(peer.get(), made.fd.get(), kRing).ok());
    EXPECT_TRUE(connected.WaitForNotificationWithTimeout(absl::FromChrono(kPatience)));
    bool sees;
    {
      Peer client(*loop_, std::move(connection));
      sees = SeesChanges(client.connection(), *made.region, ShmRegion::kToConnector, size);
    }
    loop_->RunAndWait([&connecting] { connecting = nullptr; });
    EXPECT_EQ(0, unlink(path.c_str()));
    return sees;
  }
};

TEST_F(InPlaceTest, ListenerDoesAsItIsTold) {
  for (const Case& setting : Cases()) {
    Transport::ListenOptions listen;
    listen.in_place = setting.connection;
    Listen(With(setting.transport), listen);
    for (const size_t size : {kCopiedFrameSize - 1, kCopiedFrameSize, kCopiedFrameSize + 1}) {
      const Hostile client = Handshake(ConnectTo(path_));
      EXPECT_EQ(setting.in_place && size > kCopiedFrameSize,
                SeesChanges(Next().connection(), *client.region, ShmRegion::kToListener, size))
          << size << " bytes, case " << &setting - Cases().data();
    }
    StopListening();
  }
}

TEST_F(InPlaceTest, ConnectorDoesAsItIsTold) {
  for (const Case& setting : Cases()) {
    for (const size_t size : {kCopiedFrameSize - 1, kCopiedFrameSize, kCopiedFrameSize + 1}) {
      EXPECT_EQ(setting.in_place && size > kCopiedFrameSize, ConnectorSeesChanges(setting, size))
          << size << " bytes, case " << &setting - Cases().data();
    }
  }
}

// A thread can be of another user by itself, which is how one process is two here.
TEST_F(InPlaceTest, OtherUsersAreCopiedUnlessAllAreTrusted) {
  constexpr uid_t kOther = 54321;
  if (geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  ASSERT_EQ(0, chmod(dir_.path().c_str(), 0711));
  for (const InPlace in_place : {InPlace::kNever, InPlace::kSameUser, InPlace::kAlways}) {
    ShmOptions options = With(in_place);
    options.mode = 0666;
    Listen(options);
    UniqueFd socket;
    std::thread([this, &socket] {
      // The system call: the library's function changes all threads.
      ASSERT_EQ(0, syscall(SYS_setresuid, kOther, kOther, kOther));
      socket = ConnectTo(path_);
    }).join();
    const Hostile client = Handshake(std::move(socket));
    Peer& server = Next();
    ASSERT_EQ(kOther, server.connection().info().peer.credentials->uid);
    EXPECT_EQ(in_place == InPlace::kAlways,
              SeesChanges(server.connection(), *client.region, ShmRegion::kToListener, kRing / 4));
    StopListening();
  }
}

TEST(ParsedInPlaceTest, OnlyPeersThatAreTrusted) {
  const auto peer = [](uid_t uid) {
    PeerIdentity peer;
    peer.credentials = PeerIdentity::Credentials{uid, 0, 1};
    return peer;
  };
  constexpr uid_t kOwn = 1000;
  EXPECT_TRUE(ParsedInPlace(InPlace::kSameUser, peer(kOwn), kOwn));
  EXPECT_FALSE(ParsedInPlace(InPlace::kSameUser, peer(kOwn + 1), kOwn));
  EXPECT_FALSE(ParsedInPlace(InPlace::kSameUser, peer(0), kOwn));
  EXPECT_FALSE(ParsedInPlace(InPlace::kSameUser, PeerIdentity(), kOwn));
  EXPECT_FALSE(ParsedInPlace(InPlace::kSameUser, PeerIdentity(), 0)) << "unknown is not root";
  // Everybody whom our user namespace does not know has this one.
  EXPECT_FALSE(ParsedInPlace(InPlace::kSameUser, peer(OverflowUid()), OverflowUid()));
  EXPECT_FALSE(ParsedInPlace(InPlace::kNever, peer(kOwn), kOwn));
  EXPECT_TRUE(ParsedInPlace(InPlace::kAlways, PeerIdentity(), kOwn));
}

}  // namespace
}  // namespace anywire
