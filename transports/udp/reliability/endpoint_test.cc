// The server's side of a socket: strangers, limits, addresses.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transports/udp/reliability/endpoint_machine.h"

namespace anywire::udp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using State = ConnectionMachine::State;
using Bytes = std::vector<uint8_t>;

PeerAddress Address(uint64_t number) {
  PeerAddress address;
  std::memcpy(address.bytes.data(), &number, sizeof(number));
  return address;
}

class EndpointTest : public ::testing::Test {
 protected:
  void Start(const EndpointOptions& options) {
    endpoint_ = std::make_unique<EndpointMachine>(options, pool_, SipKey{3, 4});
  }
  EndpointMachine::Outcome Handle(const PeerAddress& from, const Bytes& datagram) {
    reply_.assign(kLargestReplySize, 0);
    EndpointMachine::Outcome outcome =
        endpoint_->HandleDatagram(now_, from, datagram, absl::MakeSpan(reply_));
    reply_.resize(outcome.reply_size);
    // Whatever happens: an answer is smaller than its question.
    EXPECT_LT(reply_.size(), std::max<size_t>(datagram.size(), 1));
    return outcome;
  }
  static Bytes Open(uint64_t client_id, std::optional<Token> token = std::nullopt) {
    Bytes bytes(kBaseDatagramSize);
    WriteOpen({.client_id = client_id, .parameters = ParametersOf(Options()), .token = token},
              absl::MakeSpan(bytes));
    return bytes;
  }
  static Bytes Data(uint64_t id) {
    Bytes bytes(kSmallestDataSize);
    WriteDataHeader(id, 0, bytes.data());
    bytes[kDataHeaderSize] = 0x01;
    SealPacket(bytes.data(), kDataHeaderSize + 1);
    return bytes;
  }
  std::optional<PacketKind> ReplyKind() const { return IdentifyPacket(reply_); }
  Token TokenFor(const PeerAddress& from, uint64_t client_id) {
    Handle(from, Open(client_id));
    EXPECT_EQ(PacketKind::kRetry, ReplyKind());
    const std::optional<RetryPacket> retry = ReadRetry(reply_);
    return retry ? retry->token : Token();
  }
  // The connection made for a client that has its token.
  ConnectionMachine* Connect(const PeerAddress& from, uint64_t client_id) {
    EndpointMachine::Outcome outcome = Handle(from, Open(client_id, TokenFor(from, client_id)));
    if (outcome.opened == nullptr) return nullptr;
    return machines_.emplace_back(std::move(outcome.opened)).get();
  }

  Instant now_{std::chrono::hours(1)};
  BufferPool pool_;
  std::unique_ptr<EndpointMachine> endpoint_ =
      std::make_unique<EndpointMachine>(EndpointOptions(), pool_, SipKey{1, 2});
  std::vector<std::unique_ptr<ConnectionMachine>> machines_;
  Bytes reply_;
};

TEST_F(EndpointTest, AStrangerGetsATokenAndCostsNothing) {
  for (uint64_t i = 0; i < 1000; ++i) {
    const EndpointMachine::Outcome outcome = Handle(Address(i), Open(i));
    EXPECT_EQ(nullptr, outcome.connection);
    EXPECT_EQ(PacketKind::kRetry, ReplyKind());
    EXPECT_EQ(i, ReadRetry(reply_)->client_id);
  }
  EXPECT_EQ(0u, endpoint_->connections());
  EXPECT_EQ(0u, endpoint_->half_open());
}

TEST_F(EndpointTest, ATokenOpensAConnection) {
  ConnectionMachine* const machine = Connect(Address(1), 7);
  ASSERT_NE(nullptr, machine);
  EXPECT_EQ(0u, reply_.size()) << "the machine answers";
  EXPECT_EQ(7u, machine->remote_id());
  EXPECT_EQ(State::kHalfOpen, machine->state());
  EXPECT_EQ(1u, endpoint_->connections());
  EXPECT_EQ(1u, endpoint_->half_open());
  Bytes room(kLargestDatagramSize);
  room.resize(machine->PollDatagram(now_, absl::MakeSpan(room)));
  EXPECT_EQ(PacketKind::kAccept, IdentifyPacket(room));
  EXPECT_EQ(machine, Handle(Address(1), Data(machine->local_id())).connection);
  EXPECT_EQ(State::kOpen, machine->state());
  EXPECT_EQ(0u, endpoint_->half_open());
}

TEST_F(EndpointTest, ATokenIsForItsAddressIdAndTime) {
  const Token token = TokenFor(Address(1), 7);
  const auto refused = [this](const PeerAddress& from, uint64_t id, const Token& given) {
    return Handle(from, Open(id, given)).opened == nullptr && ReplyKind() == PacketKind::kRetry;
  };
  EXPECT_TRUE(refused(Address(2), 7, token));
  EXPECT_TRUE(refused(Address(1), 8, token));
  now_ += kTokenLifetime + milliseconds(1);
  EXPECT_TRUE(refused(Address(1), 7, token));
  EXPECT_EQ(0u, endpoint_->connections());
}

TEST_F(EndpointTest, ARepeatedOpenFindsItsConnection) {
  const Token token = TokenFor(Address(1), 7);
  EndpointMachine::Outcome first = Handle(Address(1), Open(7, token));
  ASSERT_NE(nullptr, first.opened);
  Bytes room(kLargestDatagramSize);
  EXPECT_EQ(kAcceptSize, first.opened->PollDatagram(now_, absl::MakeSpan(room)));
  EXPECT_EQ(0u, first.opened->PollDatagram(now_, absl::MakeSpan(room)));
  EndpointMachine::Outcome second = Handle(Address(1), Open(7, token));
  EXPECT_EQ(nullptr, second.opened);
  EXPECT_EQ(first.connection, second.connection);
  EXPECT_EQ(kAcceptSize, first.opened->PollDatagram(now_, absl::MakeSpan(room)));
  // Once it is open, nothing is repeated.
  Handle(Address(1), Data(first.opened->local_id()));
  Handle(Address(1), Open(7, token));
  room.assign(kLargestDatagramSize, 0);
  for (size_t size; (size = first.opened->PollDatagram(now_, absl::MakeSpan(room))) != 0;) {
    EXPECT_EQ(PacketKind::kData, IdentifyPacket(absl::MakeConstSpan(room).first(size)));
  }
  EXPECT_EQ(1u, endpoint_->connections());
}

// Or a client would be let in, and its first packet meet with a RESET.
TEST_F(EndpointTest, ARepeatedAcceptIsGoodForAsLongAsTheFirst) {
  const Token token = TokenFor(Address(1), 7);
  EndpointMachine::Outcome first = Handle(Address(1), Open(7, token));
  ASSERT_NE(nullptr, first.opened);
  const Duration timeout = Options().half_open_timeout;
  EXPECT_EQ(now_ + timeout, first.opened->NextWakeup());
  now_ += timeout - milliseconds(1);
  EXPECT_EQ(first.connection, Handle(Address(1), Open(7, token)).connection);
  EXPECT_EQ(now_ + timeout, first.opened->NextWakeup());
  now_ += timeout;
  first.opened->HandleWakeup(now_);
  EXPECT_EQ(State::kEnded, first.opened->state());
}

TEST_F(EndpointTest, AClientMayHaveManyConnections) {
  for (uint64_t id = 1; id <= 10; ++id) EXPECT_NE(nullptr, Connect(Address(1), id));
  EXPECT_EQ(10u, endpoint_->connections());
}

TEST_F(EndpointTest, ConnectionsAreLimited) {
  Start({.connection = {}, .max_connections = 3});
  for (uint64_t id = 1; id <= 3; ++id) EXPECT_NE(nullptr, Connect(Address(1), id)) << id;
  EXPECT_EQ(nullptr, Connect(Address(1), 4));
  EXPECT_EQ(PacketKind::kRefuse, ReplyKind());
  EXPECT_EQ(RefuseReason::kNoRoom, ReadRefuse(reply_)->reason);
  endpoint_->Remove(*machines_.back());
  EXPECT_NE(nullptr, Connect(Address(1), 4));
}

// Whoever comes gets in, and whoever has kept us waiting longest goes.
TEST_F(EndpointTest, HalfOpenConnectionsAreLimited) {
  Start({.connection = {}, .max_half_open = 3});
  for (uint64_t id = 0; id < 3; ++id) ASSERT_NE(nullptr, Connect(Address(id), id)) << id;
  EXPECT_EQ(3u, endpoint_->half_open());
  Handle(Address(0), Data(machines_[0]->local_id()));
  ASSERT_NE(nullptr, Connect(Address(3), 3));
  EXPECT_EQ(3u, endpoint_->half_open());
  for (const auto& machine : machines_) EXPECT_NE(State::kEnded, machine->state());
  EndpointMachine::Outcome outcome = Handle(Address(4), Open(4, TokenFor(Address(4), 4)));
  EXPECT_NE(nullptr, outcome.opened);
  EXPECT_EQ(machines_[1].get(), outcome.evicted) << "the one before is open";
  EXPECT_EQ(State::kEnded, machines_[1]->state());
  EXPECT_EQ(absl::StatusCode::kUnavailable, machines_[1]->status().code());
  EXPECT_EQ(3u, endpoint_->half_open());
  EXPECT_EQ(4u, endpoint_->connections());
  Handle(Address(1), Data(machines_[1]->local_id()));
  EXPECT_EQ(PacketKind::kReset, ReplyKind()) << "its client need not wait";
  endpoint_->Remove(*machines_[1]);
  EXPECT_EQ(4u, endpoint_->connections());
}

TEST_F(EndpointTest, ConnectionsOfAHostAreLimited) {
  Start({.connection = {}, .max_connections_of_host = 2});
  EXPECT_NE(nullptr, Connect(Address(1), 1));
  Handle(Address(1), Data(machines_[0]->local_id()));
  EXPECT_NE(nullptr, Connect(Address(1), 2));
  EXPECT_EQ(nullptr, Connect(Address(1), 3));
  EXPECT_EQ(RefuseReason::kNoRoom, ReadRefuse(reply_)->reason);
  EXPECT_NE(nullptr, Connect(Address(2), 1)) << "another host";
  endpoint_->Remove(*machines_[0]);
  EXPECT_NE(nullptr, Connect(Address(1), 3));
  EXPECT_EQ(nullptr, Connect(Address(1), 4));
}

// Or one host could keep all others out.
TEST_F(EndpointTest, HalfOpenConnectionsOfAHostAreLimited) {
  Start({.connection = {}, .max_half_open_of_host = 2});
  PeerAddress other_port = Address(1);
  other_port.bytes[PeerAddress::kHostSize] = 1;
  EXPECT_NE(nullptr, Connect(Address(1), 1));
  EXPECT_NE(nullptr, Connect(other_port, 1));
  EXPECT_EQ(nullptr, Connect(Address(1), 2));
  EXPECT_EQ(0u, reply_.size()) << "it asks again";
  EXPECT_NE(nullptr, Connect(Address(2), 1)) << "another host";
  endpoint_->Remove(*machines_[0]);
  EXPECT_NE(nullptr, Connect(Address(1), 2));
  EXPECT_EQ(nullptr, Connect(Address(1), 3));
  Handle(other_port, Data(machines_[1]->local_id()));
  EXPECT_NE(nullptr, Connect(Address(1), 3)) << "open ones do not count";
}

TEST_F(EndpointTest, ForgottenHalfOpenConnectionsDoNotCount) {
  ConnectionMachine* const machine = Connect(Address(1), 1);
  endpoint_->Remove(*machine);
  EXPECT_EQ(0u, endpoint_->half_open());
  EXPECT_EQ(0u, endpoint_->connections());
  endpoint_->Remove(*machine);
  EXPECT_EQ(0u, endpoint_->half_open());
}

TEST_F(EndpointTest, AfterStopListeningOnlyOldConnectionsGoOn) {
  ConnectionMachine* const machine = Connect(Address(1), 1);
  const Token token = TokenFor(Address(1), 2);
  endpoint_->StopListening();
  for (const std::optional<Token>& given : {std::optional<Token>(), std::optional(token)}) {
    EXPECT_EQ(nullptr, Handle(Address(1), Open(2, given)).opened);
    EXPECT_EQ(RefuseReason::kNotListening, ReadRefuse(reply_)->reason);
  }
  EXPECT_EQ(machine, Handle(Address(1), Data(machine->local_id())).connection);
}

TEST_F(EndpointTest, OtherVersionsAreToldOurs) {
  Bytes open = Open(7);
  open[4] = 9;
  SealPacket(open.data(), open.size() - kCheckSize);
  Handle(Address(1), open);
  ASSERT_EQ(PacketKind::kRefuse, ReplyKind());
  EXPECT_EQ(RefuseReason::kVersion, ReadRefuse(reply_)->reason);
  EXPECT_EQ(7u, ReadRefuse(reply_)->client_id);
  EXPECT_EQ(kVersion, ReadRefuse(reply_)->highest_version);
}

TEST_F(EndpointTest, DataOfNobodyIsReset) {
  Handle(Address(1), Data(99));
  ASSERT_EQ(PacketKind::kReset, ReplyKind());
  EXPECT_EQ(99u, ReadReset(reply_)->id);
}

// Or two servers could be set upon each other.
TEST_F(EndpointTest, AnswersAreNotAnswered) {
  std::vector<Bytes> answers;
  Handle(Address(1), Open(7));
  answers.push_back(reply_);
  Handle(Address(1), Data(99));
  answers.push_back(reply_);
  Bytes accept(kAcceptSize), refuse(kRefuseSize);
  WriteAccept({1, 2, ParametersOf(Options())}, absl::MakeSpan(accept));
  WriteRefuse({}, absl::MakeSpan(refuse));
  answers.push_back(accept);
  answers.push_back(refuse);
  for (const Bytes& answer : answers) {
    ASSERT_TRUE(IdentifyPacket(answer));
    Handle(Address(2), answer);
    EXPECT_EQ(0u, reply_.size());
  }
}

TEST_F(EndpointTest, AnswersToStrangersAreLimitedInNumber) {
  EndpointOptions options;
  options.retries_per_second = 50;
  options.refusals_per_second = 20;
  options.resets_per_second = 10;
  Start(options);
  Bytes other_version = Open(7);
  other_version[4] = 9;
  SealPacket(other_version.data(), other_version.size() - kCheckSize);
  std::map<PacketKind, int> count;
  for (int i = 0; i < 1000; ++i) {
    for (const Bytes& datagram : {Open(static_cast<uint64_t>(i)), Data(99), other_version}) {
      Handle(Address(1), datagram);
      if (!reply_.empty()) ++count[*ReplyKind()];
    }
  }
  EXPECT_EQ(50, count[PacketKind::kRetry]);
  EXPECT_EQ(20, count[PacketKind::kRefuse]);
  EXPECT_EQ(10, count[PacketKind::kReset]);
  now_ += seconds(1);
  Handle(Address(1), Data(99));
  EXPECT_EQ(PacketKind::kReset, ReplyKind());
}

// Or whoever forges some could keep clients from hearing that their server has started anew.
TEST_F(EndpointTest, ResetsAreNotUsedUpEasily) {
  const int budget = EndpointOptions().retries_per_second;
  for (int i = 0; i < budget; ++i) {
    Handle(Address(1), Data(99));
    ASSERT_EQ(kResetSize, reply_.size()) << i;
  }
  Handle(Address(1), Data(99));
  EXPECT_EQ(0u, reply_.size());
}

TEST_F(EndpointTest, AnotherAddressIsNotTheConnections) {
  ConnectionMachine* const machine = Connect(Address(1), 7);
  EXPECT_EQ(nullptr, Handle(Address(2), Data(machine->local_id())).connection);
  EXPECT_EQ(0u, reply_.size());
  EXPECT_EQ(State::kHalfOpen, machine->state());
}

// A late copy of an OPEN makes a new connection, whose id the old one's packets do not carry.
TEST_F(EndpointTest, ALateOpenExecutesNothing) {
  const Token token = TokenFor(Address(1), 7);
  EndpointMachine::Outcome first = Handle(Address(1), Open(7, token));
  const uint64_t id = first.opened->local_id();
  Handle(Address(1), Data(id));
  endpoint_->Remove(*first.opened);
  EndpointMachine::Outcome second = Handle(Address(1), Open(7, token));
  ASSERT_NE(nullptr, second.opened);
  EXPECT_NE(id, second.opened->local_id());
  Handle(Address(1), Data(id));
  EXPECT_EQ(PacketKind::kReset, ReplyKind());
  EXPECT_EQ(State::kHalfOpen, second.opened->state());
}

}  // namespace
}  // namespace anywire::udp
