// A live server under fire: strangers' datagrams, forged ones, old ones again. Calls go on, nobody
// is answered at length, and nothing is kept of whoever has not shown that it is there.
//
// ANYWIRE_UDP_DATAGRAMS says how many datagrams there are in all; see README.md.
#include <malloc.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/support/census.h"
#include "tests/support/seed.h"
#include "tests/support/watchdog.h"
#include "tests/udp/live_server.h"
#include "tests/udp/man_in_the_middle.h"
#include "tests/udp/receive_queue.h"
#include "transports/udp/datagram_batch.h"
#include "transports/udp/datagram_socket.h"
#include "transports/udp/reliability/packet.h"

namespace anywire::test {
namespace {

using udp::PacketKind;
using udp::ReceiveBatch;
using udp::SendBatch;
using Random = std::mt19937_64;

constexpr uint64_t kOrdinary = 10'000'000;

uint64_t Datagrams() {
  uint64_t count = kOrdinary / static_cast<uint64_t>(BuildSlowness());
  if (const char* const text = std::getenv("ANYWIRE_UDP_DATAGRAMS")) {
    EXPECT_TRUE(absl::SimpleAtoi(text, &count)) << text;
  }
  return count;
}

std::string Payload(uint64_t number, size_t size) {
  std::string payload = absl::StrCat(number, ":");
  while (payload.size() < size) payload.push_back(static_cast<char>(number + payload.size()));
  return payload;
}

// Makes calls one after the other, each of which has to end well. A thousand a second at most: the
// processors are for those that mean harm.
class HonestClient {
 public:
  explicit HonestClient(std::string address)
      : address_(std::move(address)), runtime_(UdpRuntime()), thread_([this] { Run(); }) {}
  ~HonestClient() { Stop(); }

  void Stop() {
    if (stop_.HasBeenNotified()) return;
    stop_.Notify();
    thread_.join();
  }
  uint64_t calls() const { return calls_; }

 private:
  void Run() {
    const echo::Echo::Stub stub(Channel(*runtime_, "udp://" + address_));
    while (!stop_.WaitForNotificationWithTimeout(absl::Milliseconds(1))) {
      echo::Message request;
      request.set_payload(Payload(calls_, calls_ * 37 % 3000));
      const absl::StatusOr<echo::Message> reply =
          stub.Echo(request, {.timeout = absl::Seconds(60)});
      ASSERT_TRUE(reply.ok()) << reply.status();
      ASSERT_EQ(request.payload(), reply->payload());
      ++calls_;
    }
  }

  const std::string address_;
  const std::unique_ptr<Runtime> runtime_;
  absl::Notification stop_;
  std::atomic<uint64_t> calls_{0};
  std::thread thread_;
};

// A part of what has passed, for others to change and send again.
class Recording {
 public:
  explicit Recording(uint64_t seed) : random_(seed) {}

  void Add(const Datagram& datagram) {
    const absl::MutexLock lock(&mutex_);
    if (seen_.size() < kMost) {
      seen_.push_back(datagram);
    } else {
      seen_[random_() % kMost] = datagram;
    }
  }
  Datagram Any(Random& random) const {
    const absl::MutexLock lock(&mutex_);
    return seen_.empty() ? Datagram() : seen_[random() % seen_.size()];
  }

 private:
  static constexpr size_t kMost = 200;
  mutable absl::Mutex mutex_;
  Random random_ ABSL_GUARDED_BY(mutex_);
  std::vector<Datagram> seen_ ABSL_GUARDED_BY(mutex_);
};

// Datagrams as somebody would send them who knows the format, but nobody's ids and tokens.
class Forger {
 public:
  Forger(uint64_t seed, const Recording& recording) : random_(seed), recording_(recording) {}

  Datagram Next() {
    switch (random_() % 4) {
      case 0:
        return Noise();
      case 1:
        return Open();
      case 2:
        return Data();
      default:
        return Changed();
    }
  }
  // Of those only such as are nobody's, whoever sends them: with a wrong check, or for a connection
  // that there is not.
  Datagram NextForAnyAddress() { return random_() % 2 == 0 ? Changed() : Data(); }

 private:
  Datagram Noise() {
    Datagram datagram(1 + random_() % (random_() % 16 == 0 ? 1400 : 60));
    for (uint8_t& byte : datagram) byte = static_cast<uint8_t>(random_());
    if (random_() % 2 == 0) datagram[0] = AnyKind();
    return datagram;
  }
  Datagram Open() {
    Datagram datagram(udp::kBaseDatagramSize);
    udp::OpenPacket open = {.client_id = random_()};
    if (random_() % 8 == 0) open.version = static_cast<uint8_t>(random_());
    open.parameters = udp::ParametersOf({});
    if (random_() % 2 == 0) {
      open.token.emplace();
      for (uint8_t& byte : *open.token) byte = static_cast<uint8_t>(random_());
    }
    datagram.resize(udp::WriteOpen(open, absl::MakeSpan(datagram)));
    return datagram;
  }
  Datagram Data() {
    const size_t chunks = 1 + random_() % 40;
    Datagram datagram(udp::kDataHeaderSize + chunks + udp::kCheckSize);
    for (uint8_t& byte : datagram) byte = static_cast<uint8_t>(random_());
    udp::WriteDataHeader(random_(), random_() >> (random_() % 62 + 2), datagram.data());
    udp::SealPacket(datagram.data(), udp::kDataHeaderSize + chunks);
    return datagram;
  }
  // Not sealed again: it must be seen to be damaged.
  Datagram Changed() {
    Datagram datagram = recording_.Any(random_);
    if (datagram.empty()) return Noise();
    if (datagram.size() > 300 && random_() % 16 != 0) datagram.resize(300);
    for (uint64_t k = 1 + random_() % 4; k > 0; --k) {
      datagram[random_() % datagram.size()] ^= static_cast<uint8_t>(1 + random_() % 255);
    }
    return datagram;
  }
  uint8_t AnyKind() { return static_cast<uint8_t>(0xa0 + random_() % 8); }

  Random random_;
  const Recording& recording_;
};

// A stranger's socket, and what became of it.
class Stranger {
 public:
  Stranger(absl::string_view host, absl::string_view server)
      : socket_(*udp::DatagramSocket::Bind(AddressOf(absl::StrCat(host, ":0")),
                                           udp::DatagramSocket::Reuse::kNone)) {
    const SocketAddress peer = AddressOf(server);
    std::memcpy(&path_.peer, &peer.storage, peer.size);
    path_.peer_size = peer.size;
  }

  void Send(const std::vector<Datagram>& datagrams) {
    for (const Datagram& datagram : datagrams) {
      std::copy(datagram.begin(), datagram.end(), batch_.room().begin());
      batch_.Add(datagram.size());
      sent_bytes_ += datagram.size();
      if (batch_.full()) Send();
    }
    Send();
  }
  // Takes the answers that are there.
  void Receive(ReceiveBatch& batch) {
    while (socket_.Receive(batch) == 0 && batch.count() > 0) {
      for (size_t i = 0; i < batch.count(); ++i) {
        batch.Each(i, [this](absl::Span<const uint8_t> answer) { Take(answer); });
      }
    }
  }
  // Sends the OPEN of this id until there is an answer to it, in bounded time: as any client does,
  // for a server under fire answers only so many in a second.
  void Ask(uint64_t client_id, const Datagram& open, ReceiveBatch& batch) {
    for (int i = 0; i < 300 && retried_id_ != client_id && answers(PacketKind::kAccept) == 0; ++i) {
      Send({open});
      pollfd readable = {socket_.fd(), POLLIN, 0};
      poll(&readable, 1, /*timeout=*/100);
      Receive(batch);
    }
    EXPECT_EQ(client_id, retried_id_);
    EXPECT_EQ(0u, answers(PacketKind::kAccept));
  }

  uint64_t sent_bytes() const { return sent_bytes_; }
  uint64_t received_bytes() const { return received_bytes_; }
  uint64_t refused() const { return refused_; }
  uint64_t nonsense() const { return nonsense_; }
  uint64_t answers(PacketKind kind) { return answers_[kind]; }
  const std::optional<udp::Token>& token() const { return token_; }

 private:
  static SocketAddress AddressOf(absl::string_view text) {
    return LookUp(*ParseHostPort(text), /*numeric_only=*/true)->front();
  }

  void Send() {
    size_t sent = 0;
    int icmp = 0;
    if (!batch_.empty()) socket_.Send(batch_, path_, &sent, &icmp);
    refused_ += batch_.count() - sent;
    batch_.Clear();
  }
  void Take(absl::Span<const uint8_t> answer) {
    received_bytes_ += answer.size();
    const std::optional<PacketKind> kind = udp::IdentifyPacket(answer);
    if (!kind) {
      ++nonsense_;
      return;
    }
    ++answers_[*kind];
    if (kind != PacketKind::kRetry) return;
    token_ = udp::ReadRetry(answer)->token;
    retried_id_ = udp::ReadRetry(answer)->client_id;
  }

  udp::DatagramSocket socket_;
  udp::DatagramPath path_;  // to the server
  SendBatch batch_;
  uint64_t sent_bytes_ = 0, received_bytes_ = 0, refused_ = 0, nonsense_ = 0;
  std::map<PacketKind, uint64_t> answers_;
  std::optional<udp::Token> token_;     // the last
  std::optional<uint64_t> retried_id_;  // and for which OPEN
};

size_t HeapBytes() { return mallinfo2().uordblks; }

TEST(HostileTest, StrangersAndForgersDisturbNobody) {
  const uint64_t datagrams = Datagrams();
  const Watchdog watchdog("hostile datagrams", absl::Seconds(120 + 60 * (datagrams / 2'000'000)));
  const uint64_t seed = TestSeed(31);
  const Census census;
  {
    const LiveServer server;
    Recording recording(seed);
    ManInTheMiddle middle(server.address(), [&recording](bool to_server, const Datagram& datagram) {
      if (to_server) recording.Add(datagram);
    });
    HonestClient attacked(middle.address()), other(server.address());
    // Sixteen hosts, so that the limits of one are not what holds.
    std::deque<Stranger> strangers;
    for (int i = 0; i < 16; ++i) {
      strangers.emplace_back(absl::StrCat("127.0.5.", 1 + i), server.address());
    }
    Forger forger(seed, recording);
    ReceiveBatch answers;
    ReceiveQueue queue(server.address());
    const auto fire = [&](uint64_t count) {
      std::vector<Datagram> batch;
      for (uint64_t sent = 0; sent < count;) {
        Stranger& stranger = strangers[sent / SendBatch::kMaxDatagrams % strangers.size()];
        batch.clear();
        for (size_t i = 0; i < SendBatch::kMaxDatagrams; ++i) batch.push_back(forger.Next());
        stranger.Send(batch);
        for (size_t i = 0; i < SendBatch::kMaxDatagrams / 8; ++i) {
          middle.ToServer(forger.NextForAnyAddress());
        }
        sent += SendBatch::kMaxDatagrams + SendBatch::kMaxDatagrams / 8;
        stranger.Receive(answers);
        // The test is of what the server takes, not of what its system drops.
        queue.AwaitRoom();
      }
    };
    fire(datagrams / 10);
    const size_t heap = HeapBytes();
    const uint64_t attacked_calls = attacked.calls(), other_calls = other.calls();
    fire(datagrams - datagrams / 10);
    EXPECT_GT(attacked.calls(), attacked_calls);
    EXPECT_GT(other.calls(), other_calls);
    attacked.Stop();
    other.Stop();
    EXPECT_LT(HeapBytes(), heap + (1 << 20));
    uint64_t refused = 0;
    for (Stranger& stranger : strangers) {
      stranger.Receive(answers);
      EXPECT_LE(stranger.received_bytes(), stranger.sent_bytes());
      EXPECT_EQ(0u, stranger.answers(PacketKind::kAccept));
      EXPECT_EQ(0u, stranger.answers(PacketKind::kData));
      EXPECT_EQ(0u, stranger.nonsense());
      EXPECT_GT(stranger.answers(PacketKind::kRetry), 0u);
      refused += stranger.refused();
    }
    // Nearly all have been looked at by the server.
    EXPECT_LT(queue.drops() + refused, datagrams / 100);
    std::printf("%llu datagrams, of which the system has dropped %llu; %llu calls\n",
                static_cast<unsigned long long>(datagrams),
                static_cast<unsigned long long>(queue.drops() + refused),
                static_cast<unsigned long long>(attacked.calls() + other.calls()));
  }
  EXPECT_TRUE(census.BackToBaseline().ok()) << census.BackToBaseline();
}

// Who has not been seen at its address has no memory of the server's, however many there are.
TEST(HostileTest, SpoofedOpensAreForgotten) {
  const Watchdog watchdog("spoofed opens", absl::Seconds(120));
  Random random(TestSeed(32));
  const LiveServer server;
  HonestClient client(server.address());
  std::deque<Stranger> strangers;
  for (int i = 0; i < 200; ++i) {
    strangers.emplace_back(absl::StrCat("127.0.6.", 1 + i), server.address());
  }
  ReceiveBatch answers;
  ReceiveQueue queue(server.address());
  const auto open = [](uint64_t client_id, std::optional<udp::Token> token = std::nullopt) {
    Datagram datagram(udp::kBaseDatagramSize);
    udp::WriteOpen({.client_id = client_id, .parameters = udp::ParametersOf({}), .token = token},
                   absl::MakeSpan(datagram));
    return datagram;
  };
  const auto all_open = [&] {
    for (Stranger& stranger : strangers) {
      std::vector<Datagram> batch;
      for (size_t i = 0; i < SendBatch::kMaxDatagrams; ++i) batch.push_back(open(random()));
      stranger.Send(batch);
      stranger.Receive(answers);
      queue.AwaitRoom();
    }
  };
  all_open();
  const size_t heap = HeapBytes();
  for (int round = 0; round < 10; ++round) all_open();
  EXPECT_LT(HeapBytes(), heap + (256 << 10)) << "the client's and the test's own";
  for (Stranger& stranger : strangers) {
    EXPECT_LE(stranger.received_bytes(), stranger.sent_bytes() / 20);
    EXPECT_EQ(0u, stranger.answers(PacketKind::kAccept));
  }
  // A token is worth nothing in another's hands, nor for another connection.
  const uint64_t first = random();
  strangers[0].Ask(first, open(first), answers);
  const std::optional<udp::Token> token = strangers[0].token();
  ASSERT_TRUE(token.has_value());
  strangers[1].Ask(first, open(first, token), answers);
  const uint64_t second = random();
  strangers[0].Ask(second, open(second, token), answers);
  client.Stop();
  EXPECT_GT(client.calls(), 0u);
}

// All that a client and a server have said, said again in any order, to both, while they go on and
// when they have ended: no call runs twice.
TEST(HostileTest, ReplaysRunNothingAgain) {
  const Watchdog watchdog("replays", absl::Seconds(120));
  Random random(TestSeed(33));
  absl::Mutex mutex;
  std::map<std::string, int> runs;  // by payload
  std::vector<std::pair<bool, Datagram>> said;
  const LiveServer server([&](absl::string_view payload) {
    const absl::MutexLock lock(&mutex);
    ++runs[std::string(payload)];
  });
  ManInTheMiddle middle(server.address(), [&](bool to_server, const Datagram& datagram) {
    const absl::MutexLock lock(&mutex);
    if (said.size() < 20'000) said.emplace_back(to_server, datagram);
  });
  const auto replay = [&] {
    std::vector<std::pair<bool, Datagram>> again;
    {
      const absl::MutexLock lock(&mutex);
      again = said;
    }
    std::shuffle(again.begin(), again.end(), random);
    again.resize(std::min<size_t>(again.size(), 500));
    for (const auto& [to_server, datagram] : again) {
      to_server ? middle.ToServer(datagram) : middle.ToClient(datagram);
    }
  };
  uint64_t calls = 0;
  for (int connection = 0; connection < 3; ++connection) {
    const std::unique_ptr<Runtime> runtime = UdpRuntime();
    const echo::Echo::Stub stub(Channel(*runtime, "udp://" + middle.address()));
    for (int i = 0; i < 200; ++i) {
      echo::Message request;
      request.set_payload(Payload(calls++, i * 91 % 9000));
      const absl::StatusOr<echo::Message> reply =
          stub.Echo(request, {.timeout = absl::Seconds(60)});
      ASSERT_TRUE(reply.ok()) << reply.status();
      ASSERT_EQ(request.payload(), reply->payload());
      if (i % 4 == 0) replay();
    }
  }
  for (int i = 0; i < 20; ++i) replay();
  // Who comes after all that has been read has something to say still.
  const std::unique_ptr<Runtime> runtime = UdpRuntime();
  const echo::Echo::Stub stub(Channel(*runtime, "udp://" + middle.address()));
  echo::Message request;
  request.set_payload("after it all");
  EXPECT_TRUE(stub.Echo(request, {.timeout = absl::Seconds(60)}).ok());
  const absl::MutexLock lock(&mutex);
  EXPECT_EQ(calls + 1, runs.size());
  for (const auto& [payload, count] : runs) EXPECT_EQ(1, count) << payload.substr(0, 20);
}

}  // namespace
}  // namespace anywire::test
