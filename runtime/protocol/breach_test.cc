// Every breach that PROTOCOL.md names: it ends the connection with a goodbye that says which it
// was, and ends the calls.
#include <string>
#include <vector>

#include "anywire/delivery.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/protocol/testing.h"
#include "runtime/wire/control_frames.h"

namespace anywire::protocol {
namespace {

using testing::Bytes;
using testing::FirstPiece;
using testing::FrameLog;
using ::testing::HasSubstr;
using testing::MachinePair;
using testing::SentFrame;

const std::string kOpenText =
    Bytes({0xa4, 0}) + Bytes({6}) + "test.M";                 // L, S: a call that goes on
const std::string kOpenEnd = Bytes({0xa1, 0, 6}) + "test.M";  // L, E

Limits Small() {
  Limits limits;
  limits.call_window = 16 << 10;
  limits.connection_buffer = 256 << 10;  // windows of 128 KiB
  limits.max_concurrent_calls = 100;
  limits.max_methods = 2;
  limits.max_receive_message_size = 50000;
  return limits;
}

// Machines that have said hello, with a call on stream 1 that the client has opened and not
// half-closed.
class BreachTest : public ::testing::Test {
 protected:
  BreachTest() : pair_(Small(), Small()) {
    EXPECT_TRUE(pair_.Settle().ok());
    MachinePair::OpenOptions options;
    options.half_close = false;
    call_ = *pair_.Open(options);
    EXPECT_TRUE(pair_.Settle().ok());
    handler_ = pair_.TakeServerEvents().at(0).call;
  }

  static absl::Status Feed(WireMachine& machine, MachinePair& pair, Protocol::Events& events,
                           const std::vector<SentFrame>& frames) {
    const absl::Status status = machine.OnFrames(testing::ViewsOf(frames), pair.now, events);
    for (Event& event : events) event.message.Own();
    return status;
  }
  absl::Status ToServer(const std::vector<SentFrame>& frames) {
    return Feed(pair_.server, pair_, pair_.server_events, frames);
  }
  absl::Status ToClient(const std::vector<SentFrame>& frames) {
    return Feed(pair_.client, pair_, pair_.client_events, frames);
  }

  void ExpectGoodbye(WireMachine& machine, FrameLog& log, Protocol::Events& events,
                     const absl::Status& status, absl::StatusCode code, const std::string& text) {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
    log.frames.clear();
    machine.Pump(pair_.now, events);
    ASSERT_EQ(log.frames.size(), 1u);
    const std::string& goodbye = log.frames[0].bytes;
    EXPECT_EQ(goodbye.substr(0, 2), Bytes({wire::kGoaway, static_cast<int>(code)}));
    EXPECT_THAT(goodbye, HasSubstr(text));
    EXPECT_FALSE(machine.wants_pump());
    EXPECT_EQ(machine.open_call_count(), 0u);
    EXPECT_EQ(machine.NextWakeup(), Instant::max());
    ASSERT_GE(events.size(), 1u);
    int ends = 0;
    for (const Event& event : events) {
      if (!(event.bits & Event::kFinished)) continue;
      ++ends;
      // Nobody is told of the end of a call that nobody was told of.
      if (&machine == &pair_.server) {
        EXPECT_TRUE(event.tag != nullptr);
      }
      // The call's own end, before the breach.
      if (event.final == nullptr || event.final->status.code() == absl::StatusCode::kNotFound) {
        continue;
      }
      EXPECT_EQ(event.final->status.code(), absl::StatusCode::kUnavailable);
      EXPECT_THAT(std::string(event.final->status.message()), HasSubstr(text));
      EXPECT_EQ(DeliveryOf(event.final->status), Delivery::kUnknown);
    }
    EXPECT_GE(ends, 1);
  }

  void ServerEnds(const std::vector<SentFrame>& frames, const std::string& text,
                  absl::StatusCode code = absl::StatusCode::kDataLoss) {
    SCOPED_TRACE(text);
    ExpectGoodbye(pair_.server, pair_.server_log, pair_.server_events, ToServer(frames), code,
                  text);
  }
  void ClientEnds(const std::vector<SentFrame>& frames, const std::string& text,
                  absl::StatusCode code = absl::StatusCode::kDataLoss) {
    SCOPED_TRACE(text);
    ExpectGoodbye(pair_.client, pair_.client_log, pair_.client_events, ToClient(frames), code,
                  text);
  }

  MachinePair pair_;
  CallId call_, handler_;
};

struct Case {
  std::vector<SentFrame> frames;
  std::string text;
  absl::StatusCode code = absl::StatusCode::kDataLoss;
};

// Each case needs machines of its own.
class ServerBreachTest : public BreachTest, public ::testing::WithParamInterface<Case> {};
TEST_P(ServerBreachTest, EndsTheConnection) {
  ServerEnds(GetParam().frames, GetParam().text, GetParam().code);
}
class ClientBreachTest : public BreachTest, public ::testing::WithParamInterface<Case> {};
TEST_P(ClientBreachTest, EndsTheConnection) {
  ClientEnds(GetParam().frames, GetParam().text, GetParam().code);
}

std::vector<SentFrame> Pings(int count) {
  return std::vector<SentFrame>(count, {0, Bytes({0x11}) + std::string(8, '\0')});
}

std::vector<Case> ServerCases() {
  std::vector<Case> cases = {
      // stream 0
      {{{0, ""}}, "an empty frame"},
      {{{1, ""}}, "an empty frame"},
      {{{0, wire::EncodeHello(wire::Hello())}}, "HELLO: a second one"},
      {{{0, Bytes({0x55})}}, "unknown frame on stream 0"},
      {{{0, Bytes({0x41})}}, "unknown frame on stream 0"},
      {{{0, Bytes({0x11, 0})}}, "PING: bad size"},
      {{{0, Bytes({0x12}) + std::string(8, '\x7f')}}, "PONG: nobody asked"},
      {{{0, Bytes({0x12}) + std::string(8, '\0')}}, "PONG: nobody asked"},
      {Pings(101), "too many pings", absl::StatusCode::kResourceExhausted},
      {{{0, Bytes({0x13})}}, "GOAWAY: bad size"},
      {{{0, Bytes({0x13, 17})}}, "GOAWAY: bad code"},
      {{{0, Bytes({0x02, 0})}}, "CREDIT: of nothing"},
      {{{0, Bytes({0x02, 0x80})}}, "CREDIT: malformed"},
      {{{0, Bytes({0x02, 1})}}, "CREDIT: more than the connection's window"},
      // OPEN
      {{{1, kOpenEnd}}, "a call on a busy stream"},
      {{{101, kOpenEnd}}, "a stream above the limit"},
      {{{uint64_t{1} << 40, kOpenEnd}}, "a stream above the limit"},
      {{{2, Bytes({0x81, 2})}}, "OPEN: unknown method id"},
      {{{2, Bytes({0x81, 0})}}, "OPEN: unknown method id"},
      {{{2, Bytes({0xa1, 3, 1}) + "x"}}, "OPEN: bad method id"},
      {{{2, Bytes({0xa1, 2, 6}) + "test.A"}, {3, Bytes({0xa1, 2, 6}) + "test.B"}},
       "OPEN: bad method id"},
      {{{2, Bytes({0xa1, 0, 0})}}, "OPEN: bad method name size"},
      {{{2, Bytes({0xa1, 0, 9}) + "x"}}, "OPEN: method name cut short"},
      {{{2, Bytes({0x81})}}, "OPEN: bad method id"},
      {{{2, Bytes({0x81, 0x80, 0x00})}}, "OPEN: bad method id"},
      {{{2, Bytes({0xb1, 0, 1}) + "x"}}, "OPEN: bad deadline"},
      {{{2, Bytes({0xa9, 0, 1}) + "x" + Bytes({5})}}, "OPEN: metadata cut short"},
      {{{2, Bytes({0xa9, 0, 6}) + "test.M" + Bytes({2, 9, 9})}}, "malformed metadata"},
      {{{2, kOpenEnd + "x"}}, "OPEN: bytes after the end"},
      {{{2, Bytes({0xa2, 0, 6}) + "test.M" + Bytes({5})}}, "a partial message without a message"},
      {{{2, Bytes({0xa7, 0, 6}) + "test.M" + Bytes({5})}}, "an end inside a message"},
      // messages
      {{{1, Bytes({0x40})}}, "DATA: says nothing"},
      {{{1, Bytes({0x50})}}, "an unknown frame from the client"},
      {{{1, Bytes({0xc0, 0})}}, "an unknown frame from the client"},
      {{{1, Bytes({0x20})}}, "an unknown frame from the client"},
      {{{1, Bytes({0x48, 0})}}, "metadata from the client after OPEN"},
      {{{1, Bytes({0x46, 3}) + "abc"}}, "a message's pieces are not its size"},
      {{{1, Bytes({0x46, 3}) + "abcd"}}, "a message's pieces are not its size"},
      {{{1, Bytes({0x46, 3}) + "a"}, {1, Bytes({0x44}) + "b"}},
       "a message's pieces are not its size"},
      {{{1, Bytes({0x46, 3}) + "a"}, {1, Bytes({0x44}) + "bcd"}},
       "a message's pieces are not its size"},
      {{{1, Bytes({0x46, 3}) + "a"}, {1, Bytes({0x46})}}, "an empty piece of a message"},
      {{{1, Bytes({0x46, 3}) + "a"}, {1, Bytes({0x41})}}, "an end inside a message"},
      {{{1, Bytes({0x46, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}) + "a"}},
       "a message of an absurd size"},
      // windows: 16 KiB for the call, of which half is a message's share
      {{{1, FirstPiece(200000) + std::string(8129, 'x')}}, "more than the excess window"},
      {{{1, FirstPiece(8000) + std::string(7999, 'x')},
        {1, Bytes({0x44}) + "x"},
        {1, FirstPiece(8000) + std::string(7999, 'x')},
        {1, Bytes({0x44}) + "x"},
        {1, Bytes({0x44}) + std::string(193, 'x')}},
       "more than the call's window"},
      {{{1, Bytes({0x02, 1})}}, "CREDIT: more than the call's window"},
      {{{0, Bytes({0x03})}}, "EXCESS CREDIT: malformed"},
      {{{0, Bytes({0x03, 0})}}, "EXCESS CREDIT: of nothing"},
      {{{0, Bytes({0x03, 1, 1})}}, "EXCESS CREDIT: malformed"},
      {{{0, Bytes({0x03, 1})}}, "EXCESS CREDIT: more than the excess window"},
      {{{1, Bytes({0x03, 1})}}, "an unknown frame from the client"},
      // order
      {{{1, Bytes({0x41})}, {1, Bytes({0x44}) + "x"}}, "a frame after the client's last"},
      {{{1, Bytes({0x41})}, {1, Bytes({0x41})}}, "a frame after the client's last"},
      {{{2, Bytes({0x44}) + "x"}}, "a frame on a stream without a call"},
      {{{2, Bytes({0x05}) + kOpenEnd}}, "a frame on a stream without a call"},
      {{{1, Bytes({0x04}) + kOpenEnd}}, "fragments of a frame that has none"},
      {{{2, Bytes({0x04}) + kOpenText}}, "fragments of a frame that has none"},
      {{{2, Bytes({0x04, 0x41})}}, "fragments of a frame that has none"},
      {{{2, Bytes({0x04})}}, "an empty fragment"},
      {{{2, Bytes({0x04}) + kOpenEnd}, {2, Bytes({0x41})}}, "a frame between fragments"},
      {{{2, Bytes({0x04}) + kOpenEnd}, {2, Bytes({0x01, 1})}}, "a frame between fragments"},
      {{{2, Bytes({0x04, 0xa1})}, {2, Bytes({0x05, 1, 6}) + "test.M"}},
       "OPEN: a method id in fragments"},
      {{{1, Bytes({0x01, 0})}}, "RESET: bad status code"},
      {{{1, Bytes({0x01, 17})}}, "RESET: bad status code"},
      {{{1, Bytes({0x01})}}, "RESET: malformed"},
  };
  // The connection's window is 128 KiB: eight calls of 16 KiB fit, and not a byte more.
  Case many;
  for (uint64_t stream = 2; stream <= 18; ++stream) {
    many.frames.push_back({stream, kOpenText + std::string(8000, 'x')});
  }
  many.text = "more than the connection's window";
  cases.push_back(many);
  // The excess window too: what three messages have beyond their shares, and then a byte more than
  // is left.
  Case large;
  for (uint64_t stream = 2; stream <= 4; ++stream) {
    large.frames.push_back({stream, Bytes({0xa0, 0, 6}) + "test.M"});
    large.frames.push_back({stream, FirstPiece(50000) + "x"});
  }
  large.frames.push_back({1, FirstPiece(8128 + 5457) + "x"});
  large.text = "more than the excess window";
  cases.push_back(large);
  return cases;
}
INSTANTIATE_TEST_SUITE_P(All, ServerBreachTest, ::testing::ValuesIn(ServerCases()));

std::vector<Case> ClientCases() {
  return {
      {{{2, Bytes({0x45})}}, "a frame on a stream without a call"},
      {{{2, Bytes({0x02, 1})}}, "a frame on a stream without a call"},
      {{{1, Bytes({0x45})}, {1, Bytes({0x44})}}, "a frame after the server's last"},
      {{{1, Bytes({0xc0, 5})}, {1, Bytes({0xc0, 5})}}, "a frame after the server's last"},
      {{{1, Bytes({0x48, 0})}, {1, Bytes({0x48, 0})}}, "initial metadata twice"},
      {{{1, Bytes({0x44})}, {1, Bytes({0x48, 0})}}, "initial metadata after a message"},
      {{{1, Bytes({0x48, 2, 9, 9})}}, "malformed metadata"},
      {{{1, Bytes({0xc2, 5, 2, 9, 9})}}, "malformed metadata"},
      {{{1, Bytes({0x01, 1})}}, "an unknown frame from the server"},
      {{{1, Bytes({0x81, 1})}}, "an unknown frame from the server"},
      {{{1, Bytes({0xc0, 17})}}, "FINISH: bad status code"},
      {{{1, Bytes({0xe0, 0})}}, "FINISH: OK that says it failed"},
      {{{1, Bytes({0xc4, 5})}}, "FINISH: a message with a failure"},
      {{{1, Bytes({0x46, 3}) + "a"}, {1, Bytes({0xc0, 0})}}, "an end inside a message"},
      {{{1, Bytes({0x46, 3}) + "a"}, {1, Bytes({0x41})}}, "an end inside a message"},
      {{{1, FirstPiece(200000) + std::string(8129, 'x')}}, "more than the excess window"},
      {{{1, Bytes({0x04, 0xc1})}, {1, Bytes({0x41})}}, "a frame between fragments"},
      {{{1, Bytes({0x05, 0x44})}}, "fragments of a frame that has none"},
      {{{1, Bytes({0x05, 0x81})}}, "fragments of a frame that has none"},
      {{{1, Bytes({0x02, 1})}}, "CREDIT: more than the call's window"},
      {{{0, Bytes({0x03, 1})}}, "EXCESS CREDIT: more than the excess window"},
      {{{1, Bytes({0x03, 1})}}, "an unknown frame from the server"},
      {{{0, wire::EncodeHello(wire::Hello())}}, "HELLO: a second one"},
  };
}
INSTANTIATE_TEST_SUITE_P(All, ClientBreachTest, ::testing::ValuesIn(ClientCases()));

TEST_F(BreachTest, APingIsAnsweredOnce) {
  pair_.now += std::chrono::seconds(21);
  ASSERT_TRUE(pair_.client.OnTime(pair_.now, pair_.client_events).ok());
  ASSERT_TRUE(pair_.Settle().ok());
  ClientEnds({{0, Bytes({0x12, 1, 0, 0, 0, 0, 0, 0, 0})}}, "PONG: nobody asked");
}

// The peer's other frames have shown that it lives, so the next ping need not wait for its answer.
TEST_F(BreachTest, APingMayBeAnsweredLate) {
  for (int ping = 0; ping < 2; ++ping) {
    pair_.now += std::chrono::seconds(21);
    ASSERT_TRUE(pair_.client.OnTime(pair_.now, pair_.client_events).ok());
    pair_.client.Pump(pair_.now, pair_.client_events);
    EXPECT_EQ(pair_.client_log.Take().size(), 1u);
    pair_.now += std::chrono::seconds(1);
    ASSERT_TRUE(ToClient({{1, Bytes({0x44})}}).ok());
    pair_.now += std::chrono::seconds(10);
    ASSERT_TRUE(pair_.client.OnTime(pair_.now, pair_.client_events).ok());
  }
  EXPECT_TRUE(ToClient({{0, Bytes({0x12, 1, 0, 0, 0, 0, 0, 0, 0})}}).ok());
  EXPECT_TRUE(ToClient({{0, Bytes({0x12, 2, 0, 0, 0, 0, 0, 0, 0})}}).ok());
  ClientEnds({{0, Bytes({0x12, 1, 0, 0, 0, 0, 0, 0, 0})}}, "PONG: nobody asked");
}

// Credit for bytes that have not left is noticed with the next, though the sender takes back what
// it has not sent.
TEST_F(BreachTest, CreditForWhatWasNeverSent) {
  const std::string message(40000, 'm');
  EXPECT_EQ(pair_.client.Send(call_, testing::PayloadOf(message)), SendResult::kQueued);
  pair_.client_log.room = 0;  // its share is taken, nothing of it leaves
  pair_.client.Pump(pair_.now, pair_.client_events);
  EXPECT_TRUE(ToClient({{0, Bytes({0x02, 0x80, 0x40})}}).ok());  // 8,192, the share
  EXPECT_TRUE(ToClient({{1, Bytes({0xc0, 5})}}).ok());
  pair_.client_log.room = SIZE_MAX;
  const std::string most = Bytes({0x02}) + std::string(8, '\xff') + Bytes({0x7f});  // 2^63-1
  ClientEnds({{0, most}}, "CREDIT: more than the connection's window");
}

// ---- before the hello

class FirstFrameTest : public ::testing::TestWithParam<Case> {};
TEST_P(FirstFrameTest, EndsTheConnection) {
  FrameLog log;
  testing::TestFactory factory;
  const Instant now(std::chrono::seconds(5));
  WireServer server(log, 4096, Limits(), now, factory);
  Protocol::Events events;
  const absl::Status status = server.OnFrames(testing::ViewsOf(GetParam().frames), now, events);
  EXPECT_EQ(status.code(), GetParam().code);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().text));
}
wire::Hello Version(uint64_t lowest, uint64_t highest) {
  wire::Hello hello;
  hello.lowest_version = lowest;
  hello.highest_version = highest;
  return hello;
}
wire::Hello Requires(uint64_t features) {
  wire::Hello hello;
  hello.required_features = features;
  return hello;
}
INSTANTIATE_TEST_SUITE_P(
    All, FirstFrameTest,
    ::testing::Values(Case{{{0, Bytes({0x11}) + std::string(8, '\0')}},
                           "the first frame is not HELLO"},
                      Case{{{0, "GET / HTTP/1.1\r\n"}}, "the first frame is not HELLO"},
                      Case{{{0, Bytes({0x10}) + "http"}}, "HELLO: not anywire"},
                      Case{{{0, wire::EncodeHello(Version(0, 3))}}, "HELLO: bad versions"},
                      Case{{{0, wire::EncodeHello(Version(4, 5))}},
                           "version 4 to 5",
                           absl::StatusCode::kFailedPrecondition},
                      Case{{{0, wire::EncodeHello(Requires(4))}},
                           "features that are unknown",
                           absl::StatusCode::kFailedPrecondition}));

TEST_F(BreachTest, ALaterVersionThatSpeaksThisOneIsWelcome) {
  FrameLog log;
  testing::TestFactory factory;
  WireServer server(log, 4096, Limits(), pair_.now, factory);
  Protocol::Events events;
  const std::vector<SentFrame> frames = {{0, wire::EncodeHello(Version(1, 9))}};
  EXPECT_TRUE(server.OnFrames(testing::ViewsOf(frames), pair_.now, events).ok());
}

TEST_F(BreachTest, ThePeersGoodbyeEndsTheCallsWithItsReason) {
  const absl::Status status = ToClient({{0, wire::EncodeGoaway({8, "tired\n"})}});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("RESOURCE_EXHAUSTED: tired\\n"));
  // It is not answered.
  pair_.client_log.frames.clear();
  pair_.client.Pump(pair_.now, pair_.client_events);
  EXPECT_TRUE(pair_.client_log.frames.empty());
  ASSERT_EQ(pair_.client_events.size(), 1u);
  EXPECT_EQ(pair_.client_events[0].bits, Event::kFinished);
}

// The window to the byte: three messages of 50,000 and one of what they leave.
TEST_F(BreachTest, AllOfTheExcessWindowIsNoBreach) {
  std::vector<SentFrame> frames;
  for (uint64_t stream = 2; stream <= 4; ++stream) {
    frames.push_back({stream, Bytes({0xa0, 0, 6}) + "test.M"});
    frames.push_back({stream, FirstPiece(50000) + "x"});
  }
  const size_t left = (128 << 10) - 3 * (50000 - 8128);
  frames.push_back({1, FirstPiece(8128 + left) + "x"});
  EXPECT_TRUE(ToServer(frames).ok());
  EXPECT_EQ(pair_.server.account().peer_may_exceed, 0u);
}

// What may cross a call's end is no breach.
TEST_F(BreachTest, LateFramesOfTheClientAreNoBreach) {
  EXPECT_TRUE(ToServer({{7, Bytes({0x01, 1})}, {7, Bytes({0x02, 1})}}).ok());
  EXPECT_TRUE(ToServer({{1, Bytes({0x41})}, {1, Bytes({0x01, 1})}, {1, Bytes({0x01, 1})}}).ok());
  EXPECT_TRUE(ToServer(Pings(100)).ok());
}

}  // namespace
}  // namespace anywire::protocol
