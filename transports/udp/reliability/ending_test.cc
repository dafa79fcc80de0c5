// How connections end, and what each side is told.
#include <string>
#include <utility>

#include "transports/udp/reliability/connection_machine.h"
#include "transports/udp/reliability/ends_fixture.h"

namespace anywire::udp::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class EndingTest : public EndsTest {
 protected:
  bool RunUntilServerGone(Duration limit) {
    return network_->RunUntil([this] { return client_->peer == nullptr; }, limit);
  }
};

TEST_F(EndingTest, WhatWasSentBeforeCloseArrives) {
  Open();
  for (int i = 0; i < 30; ++i) Send(client(), i % 4, std::string(2000, 'x'));
  client().Close(network_->now());
  size_t received = 0;
  absl::Status status;
  network_->on_step = [&] {
    if (client_->peer == nullptr) return;
    received += Receive(server()).size();
    status = server().status();
  };
  EXPECT_TRUE(RunUntilServerGone(seconds(5)));
  EXPECT_EQ(30u, received);
  EXPECT_EQ(absl::UnavailableError("closed by peer"), status);
  EXPECT_EQ(State::kEnded, client().state());
  EXPECT_EQ(absl::UnavailableError("closed"), client().status());
}

// Prepared by one thread while another ends the connection, or the peer does.
TEST_F(EndingTest, WhatIsBeingFilledOutlivesTheEnd) {
  for (const bool by_peer : {false, true}) {
    network_ = nullptr;
    Open();
    const absl::Span<uint8_t> bytes = client().PrepareFrame(1, 1000);
    by_peer ? server().Close(network_->now()) : client().Close(network_->now());
    EXPECT_TRUE(network_->RunUntil([&] { return client().state() == State::kEnded; }, seconds(5)));
    std::memset(bytes.data(), 'x', bytes.size());
    EXPECT_FALSE(client().Publish());
    EXPECT_NE(nullptr, client().PrepareFrame(1, 1000).data()) << "goes nowhere";
  }
}

TEST_F(EndingTest, PeerThatIsGoneIsNoticedByRefusals) {
  Open();
  // From now on its host refuses whatever comes.
  network_->on_datagram = [this](bool to_server, Datagram&) {
    if (to_server) client().HandleRefusal(network_->now());
    return !to_server;
  };
  Send(client(), 1, "anybody?");
  const Instant begin = network_->now();
  EXPECT_TRUE(network_->RunUntil([&] { return client().state() == State::kEnded; }, seconds(5)));
  EXPECT_LT(network_->now() - begin, seconds(1));
  EXPECT_EQ(absl::StatusCode::kUnavailable, client().status().code());
  EXPECT_THAT(std::string(client().status().message()), HasSubstr("nobody is there"));
}

// Whoever makes refusals up does not keep the peer from answering.
TEST_F(EndingTest, RefusalsEndNobodyWhoAnswers) {
  Open();
  for (int i = 0; i < 1000; ++i) {
    client().HandleRefusal(network_->now());
    server().HandleRefusal(network_->now());
    network_->RunFor(milliseconds(1));
  }
  EXPECT_EQ(State::kOpen, client().state());
  EXPECT_EQ(State::kOpen, server().state());
}

// Nor does what is said once count, even if the answer is late.
TEST_F(EndingTest, FewRefusalsEndNobody) {
  Open();
  network_->on_datagram = [](bool to_server, Datagram&) { return !to_server; };
  client().HandleRefusal(network_->now());
  client().HandleRefusal(network_->now());
  network_->RunFor(seconds(5));
  EXPECT_EQ(State::kOpen, client().state());
}

// The goodbye overtakes what it follows.
TEST_F(EndingTest, CloseWaitsForWhatWasLost) {
  Open();
  LoseNextTo(Side::kServer);
  Send(client(), 1, "lost");
  network_->RunFor(Duration(1));
  client().Close(network_->now());
  network_->RunFor(kDelay);
  EXPECT_EQ(State::kOpen, server().state());
  ASSERT_TRUE(RunUntilFrames(server(), seconds(1)));
  EXPECT_EQ(State::kDraining, server().state());
  EXPECT_THAT(Receive(server()), ElementsAre("1:lost"));
}

TEST_F(EndingTest, CloseSurvivesBadLuck) {
  for (const int which : {1, 2, 3}) {
    network_ = nullptr;
    Open();
    int left = which;  // so many packets of either side are lost
    network_->on_datagram = [&left](bool, Datagram&) { return left-- <= 0; };
    client().Close(network_->now());
    EXPECT_TRUE(RunUntilState(client(), State::kEnded, seconds(2))) << which;
    EXPECT_TRUE(RunUntilServerGone(seconds(2))) << which;
  }
}

TEST_F(EndingTest, BothCloseAtOnce) {
  Open();
  Send(client(), 1, "nobody wants it");
  client().Close(network_->now());
  server().Close(network_->now());
  EXPECT_TRUE(RunUntilServerGone(seconds(1)));
  EXPECT_TRUE(RunUntilState(client(), State::kEnded, seconds(1)));
}

TEST_F(EndingTest, CloseIsGivenUpInTheEnd) {
  Open();
  network_->on_datagram = [](bool, Datagram&) { return false; };
  Send(client(), 1, "x");
  client().Close(network_->now());
  EXPECT_FALSE(RunUntilState(client(), State::kEnded, seconds(3) - milliseconds(1)));
  EXPECT_TRUE(RunUntilState(client(), State::kEnded, milliseconds(1)));
  EXPECT_EQ(0u, client().held());
  EXPECT_EQ(kNever, client().NextWakeup());
  EXPECT_EQ(absl::DeadlineExceededError("closed before the peer had taken all"), client().status());
}

// The path is well, but the reader does not read on: it is told what it will miss.
TEST_F(EndingTest, ASlowReaderIsToldThatCloseWasGivenUp) {
  server_options_.connection.receive_window = 50'000;
  Open();
  for (int i = 0; i < 100; ++i) Send(client(), 1, std::string(1000, 'x'));
  client().Close(network_->now());
  network_->RunFor(seconds(3) + kDelay);
  EXPECT_EQ(State::kEnded, client().state());
  EXPECT_EQ(absl::StatusCode::kDeadlineExceeded, client().status().code());
  EXPECT_EQ(State::kEnded, server().state());
  EXPECT_EQ(absl::UnavailableError(
                "the peer gave the connection up: closed before the peer had taken all"),
            server().status());
  EXPECT_EQ(50'000u / 1128, Receive(server()).size()) << "what had come is still given";
  EXPECT_TRUE(RunUntilServerGone(Duration(0)));
}

// CLOSE waits for frames that wait for credit, and what we would grant is of no interest any more:
// it is not the congestion window that holds us back, so it does not grow (RFC 9002, section 7.8).
TEST_F(EndingTest, AWindowThatCloseDoesNotUseDoesNotGrow) {
  server_options_.connection.receive_window = 50'000;
  client_options_.receive_window = 20'000;
  Open();
  for (int i = 0; i < 100; ++i) Send(server(), 1, std::string(1000, 'x'));
  network_->RunFor(10 * kRoundTrip);
  for (int i = 0; i < 100; ++i) Send(client(), 1, std::string(1000, 'x'));
  const uint64_t before = network_->bytes(true);
  ASSERT_TRUE(
      network_->RunUntil([&] { return network_->bytes(true) - before > 44'000; }, 10 * kRoundTrip));
  client().Close(network_->now());
  const size_t window = client().congestion_window();
  network_->RunFor(4 * kRoundTrip);
  EXPECT_EQ(State::kClosing, client().state());
  EXPECT_EQ(window, client().congestion_window());
}

TEST_F(EndingTest, OnceTheGoodbyeIsOverTheReasonStays) {
  Open();
  client().Close(network_->now());
  absl::Status status;
  network_->on_step = [&] {
    if (client_->peer != nullptr) status = server().status();
  };
  EXPECT_TRUE(RunUntilServerGone(seconds(1)));
  EXPECT_EQ(absl::UnavailableError("closed by peer"), status);
}

TEST_F(EndingTest, CloseBeforeOpen) {
  Start();
  client().Close(network_->now());
  EXPECT_EQ(State::kEnded, client().state());
  network_->RunFor(seconds(1));
  EXPECT_EQ(0u, network_->datagrams());
}

TEST_F(EndingTest, FramesAfterTheEndGoNowhere) {
  Open();
  client().Close(network_->now());
  EXPECT_TRUE(Send(client(), 1, "after"));
  network_->RunFor(kDelay);
  EXPECT_THAT(Receive(server()), IsEmpty());
  EXPECT_TRUE(RunUntilState(client(), State::kEnded, seconds(1)));
  EXPECT_TRUE(Send(client(), 1, "after"));
  EXPECT_EQ(0u, client().held());
}

TEST(EndingDeathTest, NoFramesBeforeItsSizesAreKnown) {
  BufferPool pool;
  const auto machine = ConnectionMachine::Connect(Options(), pool, {1, 2}, Instant());
  EXPECT_DEATH(machine->NewFrame(1, 1), "");
}

// An owner that has not looked yet may still send.
TEST_F(EndingTest, FramesAfterARefusalGoNowhere) {
  Start();
  Datagram refuse(kRefuseSize);
  WriteRefuse({client().local_id(), RefuseReason::kNoRoom}, absl::MakeSpan(refuse));
  client().HandleDatagram(network_->now(), refuse);
  ASSERT_EQ(State::kEnded, client().state());
  EXPECT_TRUE(Send(client(), 1, "after"));
  EXPECT_TRUE(Send(client(), 1, std::string(client_options_.max_frame_size, 'x')));
  EXPECT_EQ(0u, client().held());
}

TEST_F(EndingTest, AbortTellsThePeerAtOnce) {
  Open();
  Send(client(), 1, std::string(16'000, 'x'));
  client().Abort(absl::StatusCode::kResourceExhausted, std::string(1000, 'y') + "\n");
  EXPECT_EQ(State::kEnded, client().state());
  absl::Status status;
  network_->on_step = [&] {
    if (client_->peer != nullptr) status = server().status();
  };
  EXPECT_TRUE(RunUntilServerGone(kDelay));
  EXPECT_EQ(absl::UnavailableError("the peer gave the connection up: " + std::string(256, 'y')),
            status);
}

TEST_F(EndingTest, AfterALostAbortThePeerIsToldWhenItSpeaks) {
  Open();
  network_->on_datagram = [](bool, Datagram&) { return false; };
  server().Abort(absl::StatusCode::kInternal, "why");
  network_->RunFor(kDelay);
  network_->on_datagram = nullptr;
  Send(client(), 1, "x");
  EXPECT_TRUE(RunUntilState(client(), State::kEnded, kRoundTrip));
  EXPECT_THAT(client().status().message(), HasSubstr("does not know the connection"));
}

TEST_F(EndingTest, ARestartedServerIsNoticedInOneRoundTrip) {
  Open();
  network_->RestartServer();
  Send(client(), 1, "x");
  EXPECT_TRUE(RunUntilState(client(), State::kEnded, kRoundTrip));
  EXPECT_EQ(absl::StatusCode::kUnavailable, client().status().code());
  EXPECT_THAT(client().status().message(), HasSubstr("does not know the connection"));
}

TEST_F(EndingTest, OnlyAResetOfOurIdIsBelieved) {
  Open();
  Datagram reset(kResetSize);
  for (const uint64_t id : {client().local_id(), client().remote_id() + 1}) {
    WriteReset({id}, absl::MakeSpan(reset));
    client().HandleDatagram(network_->now(), reset);
    EXPECT_EQ(State::kOpen, client().state());
  }
  WriteReset({client().remote_id()}, absl::MakeSpan(reset));
  client().HandleDatagram(network_->now(), reset);
  EXPECT_EQ(State::kEnded, client().state());
}

// An answer takes longer than the idle timeout.
TEST_F(EndingTest, ASlowPathIsNotIdle) {
  path_.delay = milliseconds(80);
  client_options_.idle_timeout = server_options_.connection.idle_timeout = milliseconds(100);
  Open();
  Send(client(), 1, "request");
  network_->RunFor(2 * path_.delay + milliseconds(1));
  EXPECT_EQ(State::kOpen, client().state()) << client().status();
  EXPECT_THAT(Receive(server()), ElementsAre("1:request"));
  EXPECT_EQ(0u, client().held()) << "it has been acknowledged";
}

TEST_F(EndingTest, SilenceEndsBothEnds) {
  client_options_.idle_timeout = seconds(20);
  Open();
  const Instant begin = network_->now();
  EXPECT_TRUE(RunUntilServerGone(seconds(25)));
  EXPECT_TRUE(RunUntilState(client(), State::kEnded, seconds(1)));
  EXPECT_GT(network_->now() - begin, seconds(19)) << "the lesser of the two timeouts";
  EXPECT_LE(network_->now() - begin, seconds(20));
  EXPECT_THAT(client().status().message(), HasSubstr("for 20s"));
}

TEST_F(EndingTest, KeepAliveKeepsItAlive) {
  Open();
  client().KeepAlive(true);
  network_->RunFor(seconds(300));
  EXPECT_EQ(State::kOpen, client().state());
  EXPECT_EQ(State::kOpen, server().state());
  client().KeepAlive(false);
  EXPECT_TRUE(RunUntilServerGone(seconds(31)));
}

TEST_F(EndingTest, KeepAliveAsksNoMoreThanNeeded) {
  Open();
  client().KeepAlive(true);
  const size_t before = network_->datagrams();
  network_->RunFor(seconds(100) + milliseconds(500));
  EXPECT_EQ(20u, network_->datagrams() - before) << "ten questions and their answers";
}

TEST_F(EndingTest, APeerThatIsGoneIsFoundOutByKeepAlive) {
  Open();
  client().KeepAlive(true);
  network_->on_datagram = [](bool, Datagram&) { return false; };
  EXPECT_TRUE(RunUntilState(client(), State::kEnded, seconds(45)));
  EXPECT_THAT(client().status().message(), HasSubstr("nothing has come"));
}

TEST_F(EndingTest, AHalfOpenConnectionIsGivenUp) {
  server_options_.connection.half_open_timeout = seconds(7);
  Start();
  ASSERT_TRUE(network_->RunUntil([this] { return client_->peer != nullptr; }, seconds(1)));
  network_->on_datagram = [](bool, Datagram&) { return false; };
  absl::Status status;
  network_->on_step = [&] {
    if (client_->peer != nullptr) status = server().status();
  };
  EXPECT_FALSE(RunUntilServerGone(seconds(7) - milliseconds(1)));
  EXPECT_TRUE(RunUntilServerGone(milliseconds(1)));
  EXPECT_EQ(absl::UnavailableError("the client went away while it connected"), status);
  EXPECT_EQ(0u, network_->endpoint().half_open());
}

TEST_F(EndingTest, NobodyAnswers) {
  client_options_.handshake_timeout = seconds(400);
  Start();
  network_->on_datagram = [](bool, Datagram&) { return false; };
  EXPECT_TRUE(RunUntilState(client(), State::kEnded, seconds(400)));
  EXPECT_EQ(absl::UnavailableError("there was no answer"), client().status());
  // Now, after 1 and 3 seconds, and then every 3.
  EXPECT_EQ(135u, network_->datagrams());
}

// Each OPEN is answered: if each answer were answered, copies would breed.
TEST_F(EndingTest, ARepeatedRetryIsNotAnsweredAtOnce) {
  Start();
  Datagram room(kLargestDatagramSize);
  EXPECT_EQ(kBaseDatagramSize, client().PollDatagram(network_->now(), absl::MakeSpan(room)));
  EXPECT_EQ(0u, client().PollDatagram(network_->now(), absl::MakeSpan(room)));
  Datagram retry(kRetrySize);
  for (const uint8_t token : {1, 2, 3}) {
    RetryPacket packet{.client_id = client().local_id(), .token = {}};
    packet.token.fill(token);
    WriteRetry(packet, absl::MakeSpan(retry));
    client().HandleDatagram(network_->now(), retry);
    EXPECT_EQ(token == 1 ? kBaseDatagramSize : 0u,
              client().PollDatagram(network_->now(), absl::MakeSpan(room)));
  }
  EXPECT_EQ(kBaseDatagramSize, client().PollDatagram(client().NextWakeup(), absl::MakeSpan(room)));
  EXPECT_EQ(3, ReadOpen(absl::MakeConstSpan(room).first(kBaseDatagramSize))->token->back())
      << "the latest is used";
}

TEST_F(EndingTest, RefusalsSayWhy) {
  struct Case {
    RefuseReason reason;
    absl::StatusCode code;
    absl::string_view text;
  };
  for (const Case& expected :
       {Case{RefuseReason::kVersion, absl::StatusCode::kFailedPrecondition, "versions 1 to 1"},
        Case{RefuseReason::kNoRoom, absl::StatusCode::kResourceExhausted, "too many"},
        Case{RefuseReason::kNotListening, absl::StatusCode::kUnavailable, "no more"}}) {
    Start();
    Datagram refuse(kRefuseSize);
    WriteRefuse({client().local_id() + 1, expected.reason}, absl::MakeSpan(refuse));
    client().HandleDatagram(network_->now(), refuse);
    EXPECT_EQ(State::kOpening, client().state()) << "another's";
    WriteRefuse({client().local_id(), expected.reason}, absl::MakeSpan(refuse));
    client().HandleDatagram(network_->now(), refuse);
    EXPECT_EQ(State::kEnded, client().state());
    EXPECT_EQ(expected.code, client().status().code());
    EXPECT_THAT(client().status().message(), HasSubstr(std::string(expected.text)));
  }
}

TEST_F(EndingTest, ARefusalAfterAcceptIsIgnored) {
  Open();
  Datagram refuse(kRefuseSize);
  WriteRefuse({client().local_id(), RefuseReason::kNoRoom}, absl::MakeSpan(refuse));
  client().HandleDatagram(network_->now(), refuse);
  EXPECT_EQ(State::kOpen, client().state());
}

}  // namespace
}  // namespace anywire::udp::test
