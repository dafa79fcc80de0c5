// What is charged to the listening side for peers that do not read their offer is limited, and who
// waits for that gets in as soon as there is room.
#include "transports/shm/shm_offers.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transports/shm/hostile_fixture.h"

namespace anywire {
namespace {

using ::testing::HasSubstr;

struct Pair {
  Pair() {
    int ends[2];
    EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    ours = UniqueFd(ends[0]);
    peers = UniqueFd(ends[1]);
    EXPECT_EQ(1, send(ours.get(), "", 1, 0));
  }
  void Read() const {
    char byte;
    EXPECT_EQ(1, recv(peers.get(), &byte, 1, 0));
  }
  UniqueFd ours, peers;
};

TEST(UnreadOffersTest, RoomIsForSoManyAndNoMore) {
  for (const size_t limit : {1, 2, 7}) {
    UnreadOffers offers(limit);
    std::vector<Pair> pairs(limit);
    for (const Pair& pair : pairs) {
      EXPECT_TRUE(offers.HasRoom());
      offers.Sent(pair.ours.get());
    }
    EXPECT_FALSE(offers.HasRoom());
    pairs.back().Read();
    EXPECT_TRUE(offers.HasRoom());
  }
}

TEST(UnreadOffersTest, ThoseOfConnectionsThatAreOverCountUntilThePeerReadsOrCloses) {
  for (const bool reads : {true, false}) {
    UnreadOffers offers(1);
    Pair pair;
    const int fd = pair.ours.get();
    offers.Sent(fd);
    offers.Ended(std::move(pair.ours));
    EXPECT_FALSE(offers.HasRoom());
    EXPECT_GE(fcntl(fd, F_GETFD), 0);
    reads ? pair.Read() : pair.peers.Reset();
    EXPECT_TRUE(offers.HasRoom());
    EXPECT_LT(fcntl(fd, F_GETFD), 0);
  }
}

TEST(UnreadOffersTest, ThoseThatAreReadCostNoDescriptor) {
  UnreadOffers offers(1);
  Pair pair;
  const int fd = pair.ours.get();
  offers.Sent(fd);
  pair.Read();
  offers.Ended(std::move(pair.ours));
  EXPECT_LT(fcntl(fd, F_GETFD), 0);
  EXPECT_TRUE(offers.HasRoom());
}

class ShmOffersTest : public ShmHostileTest {
 protected:
  void ListenWithRoomFor(size_t offers) {
    ShmOptions options = Options();
    options.max_unread_offers = offers;
    Listen(options);
  }
  // Somebody who asks for an offer and does not read it.
  UniqueFd Asks() {
    UniqueFd socket = ConnectTo(path_);
    EXPECT_TRUE(SendShmPreface(socket.get()).ok());
    return socket;
  }
  // Waits for that.
  static bool HasOffer(const UniqueFd& socket) {
    pollfd readable = {socket.get(), POLLIN, 0};
    return poll(&readable, 1, static_cast<int>(kPatience.count()) * 1000) == 1 &&
           (readable.revents & POLLIN) != 0;
  }
  static bool HasNoOffer(const UniqueFd& socket) {
    pollfd readable = {socket.get(), POLLIN, 0};
    return poll(&readable, 1, 0) == 0;
  }
  absl::Status ConnectPromptly() {
    ShmOptions options = Options();
    options.handshake_timeout = std::chrono::milliseconds(100);
    return ConnectStatus(options);
  }
  void ExpectNoRoom() {
    const absl::Status status = ConnectPromptly();
    EXPECT_EQ(absl::StatusCode::kUnavailable, status.code()) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("does not answer in the handshake"));
  }
};

TEST_F(ShmOffersTest, AboveTheLimitPeersWait) {
  constexpr size_t kLimit = 4;
  ListenWithRoomFor(kLimit);
  std::vector<UniqueFd> unread;
  while (unread.size() < kLimit) {
    EXPECT_TRUE(ConnectStatus(Options()).ok()) << unread.size() << " are below the limit";
    unread.push_back(Asks());
    ASSERT_TRUE(HasOffer(unread.back())) << unread.size() << " are at most the limit";
  }
  const UniqueFd waits = Asks();
  ExpectNoRoom();
  EXPECT_TRUE(HasNoOffer(waits));
  // Whoever reads makes room for one.
  const Hostile reads = Handshake(std::move(unread[1]));
  EXPECT_TRUE(HasOffer(waits));
  ExpectNoRoom();
  // So does whoever leaves.
  unread[2].Reset();
  EXPECT_TRUE(ConnectStatus(Options()).ok());
}

TEST_F(ShmOffersTest, OffersOfConnectionsThatWereGivenUpCount) {
  ListenWithRoomFor(2);
  UniqueFd first = Asks(), second = Asks();
  ASSERT_TRUE(HasOffer(first));
  ASSERT_TRUE(HasOffer(second));
  for (int i = 0; i < 2; ++i) Next();
  peers_.clear();
  pollfd ended = {first.get(), POLLRDHUP, 0};
  EXPECT_EQ(1, poll(&ended, 1, 0));
  ExpectNoRoom();
  second.Reset();
  EXPECT_TRUE(ConnectStatus(Options()).ok());
}

TEST_F(ShmOffersTest, ThoseWhoWaitAreTurnedAwayInTime) {
  ShmOptions options = Options();
  options.max_unread_offers = 1;
  options.handshake_timeout = std::chrono::milliseconds(200);
  Listen(options);
  const UniqueFd unread = Asks();
  ASSERT_TRUE(HasOffer(unread));
  const UniqueFd waits = Asks();
  EXPECT_TRUE(IsClosed(waits.get()));
}

// All at once, many times the limit.
TEST_F(ShmOffersTest, EverybodyGetsIn) {
  ListenWithRoomFor(2);
  std::vector<UniqueFd> sockets;
  for (int i = 0; i < 40; ++i) sockets.push_back(Asks());
  for (UniqueFd& socket : sockets) Handshake(std::move(socket));
}

}  // namespace
}  // namespace anywire
