// A peer that means harm: frames made up, frames of a real peer changed, at a live machine whose
// owner goes on working. Whatever comes, the machine does not crash, its memory stays within the
// limits, calls end once, and when it ends the connection it says so, once, and nothing moves any
// more.
//
//   ANYWIRE_TEST_SEED=<n>      runs that seed alone
//   ANYWIRE_FUZZ_FRAMES=<n>    hostile frames in all; 1,000,000 unless told
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "gtest/gtest.h"
#include "runtime/protocol/testing.h"
#include "runtime/wire/call_frames.h"
#include "runtime/wire/control_frames.h"
#include "tests/sim/random.h"

namespace anywire::sim {
namespace {

using protocol::CallId;
using protocol::Event;
using protocol::Protocol;
using protocol::testing::FrameLog;
using protocol::testing::MachinePair;
using protocol::testing::PayloadOf;
using protocol::testing::SentFrame;

uint64_t NumberFrom(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  uint64_t number = 0;
  return text != nullptr && absl::SimpleAtoi(text, &number) ? number : otherwise;
}

constexpr size_t kQueue = 70000;
protocol::Limits SmallLimits() {
  protocol::Limits limits;
  limits.max_receive_message_size = 60000;
  limits.call_window = 16 << 10;
  limits.connection_buffer = 256 << 10;
  limits.max_concurrent_calls = 8;
  limits.max_methods = 4;
  limits.max_send_message_size = 30000;
  limits.max_queued_bytes = kQueue;
  return limits;
}
constexpr size_t kBuffer = 256 << 10;

// Frames that look right: each field is one that a peer could send, at a time when it should not.
class Forger {
 public:
  explicit Forger(Random& random) : random_(random), floods_(random.OneIn(8)) {}

  // Mostly a client that keeps the rules, opening, sending and cancelling without end and reading
  // nothing; in between a forged frame. Some do little but send one frame in fragments that has
  // hardly an end.
  SentFrame Mostly(bool to_server) {
    if (floods_ && !random_.OneIn(10)) return Fragment(to_server);
    if (!to_server || random_.OneIn(40)) return Forge(to_server);
    SentFrame frame;
    frame.stream = random_.Between(1, 10);
    uint64_t& left = left_[frame.stream];
    bool& open = open_[frame.stream];
    if (open && random_.OneIn(6)) {
      frame.bytes = Number(wire::kReset, 1);
      open = false;
      left = 0;
      return frame;
    }
    const bool first = left == 0;
    const uint64_t size = first ? random_.Below(random_.Choose<uint64_t>({50, 2000, 60000})) : left;
    const uint64_t piece = std::min<uint64_t>(size, random_.Between(1, 1500));
    uint8_t flags = wire::kMessage;
    if (piece < size) {
      flags |= wire::kPartial;
    } else if (random_.OneIn(3)) {
      flags |= wire::kEnd;
    }
    if (!open) {
      wire::OpenFrame frame_open;
      frame_open.flags = flags | wire::kLiteral;
      frame_open.name = random_.OneIn(10) ? "none" : "test.Method";
      frame_open.message_size = size;
      frame.bytes.assign(wire::OpenHeadSize(frame_open), '\0');
      wire::WriteOpenHead(frame_open, reinterpret_cast<uint8_t*>(frame.bytes.data()));
    } else {
      wire::DataFrame data;
      data.flags = flags;
      data.message_size = size;
      frame.bytes.assign(wire::DataHeadSize(data, first), '\0');
      wire::WriteDataHead(data, first, reinterpret_cast<uint8_t*>(frame.bytes.data()));
    }
    frame.bytes.append(piece, 'b');
    left = size - piece;
    open = !(flags & wire::kEnd);
    return frame;
  }

  SentFrame Forge(bool to_server) {
    SentFrame frame;
    frame.stream = random_.Between(1, 10);
    switch (random_.Below(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        frame.bytes = to_server ? Open() : Finish();
        break;
      case 4:
      case 5:
      case 6:
        frame.bytes = Data();
        break;
      case 7:
        frame.bytes = Number(random_.OneIn(2) ? wire::kReset : wire::kCredit,
                             random_.Below(random_.Choose<uint64_t>({17, 100000})));
        break;
      case 8:
        frame.stream = 0;
        frame.bytes = Number(wire::kExcessCredit, random_.Below(100000));
        break;
      case 9:
        frame.bytes = static_cast<char>(random_.OneIn(4) ? wire::kLastFragment : wire::kFragment) +
                      (random_.OneIn(2) ? Open() : std::string(random_.Below(3000), 'f'));
        break;
      case 10:
        frame.stream = 0;
        frame.bytes = Number(wire::kCredit, random_.Below(1000));
        break;
      default:
        frame.stream = 0;
        frame.bytes.assign(wire::kPingFrameSize, '\0');
        frame.bytes[0] = wire::kPing;
        break;
    }
    return frame;
  }

 private:
  SentFrame Fragment(bool to_server) {
    SentFrame frame;
    frame.stream = to_server ? 11 : 1;  // a new call, and one that is open
    const bool last = fragmented_ && random_.OneIn(30);
    frame.bytes.assign(1, static_cast<char>(last ? wire::kLastFragment : wire::kFragment));
    if (!fragmented_) frame.bytes += static_cast<char>(to_server ? wire::kOpen : wire::kFinish);
    frame.bytes.append(random_.Between(1, 16 << 10), '\0');
    fragmented_ = !last;
    return frame;
  }

  std::string Bytes() {
    return std::string(random_.Below(random_.Choose<uint64_t>({4, 4000})), 'b');
  }

  std::string Number(uint8_t kind, uint64_t number) {
    std::string bytes(wire::NumberFrameSize(number), '\0');
    wire::WriteNumberFrame(kind, number, reinterpret_cast<uint8_t*>(bytes.data()));
    return bytes;
  }

  // One of the sets of flags that go together.
  uint8_t MessageFlags() {
    return random_.Choose<uint8_t>({0, wire::kMessage, wire::kMessage | wire::kPartial,
                                    wire::kMessage | wire::kPartial, wire::kEnd,
                                    wire::kMessage | wire::kEnd});
  }

  std::string Open() {
    wire::OpenFrame open;
    open.flags = MessageFlags();
    open.flags |= wire::kLiteral;
    open.method = random_.Below(5);
    open.name = open.method == 1 ? "none" : "test.Method";
    std::string block;
    if (random_.OneIn(4)) {
      block = wire::EncodeMetadata(Metadata{{"key", "value"}});
      open.flags |= wire::kMetadata;
      open.metadata = block;
    }
    if (random_.OneIn(4)) open.flags |= wire::kDeadline;
    open.deadline_us = random_.Below(100000);
    open.message_size = random_.Below(random_.Choose<uint64_t>({100, 5000, 50000, 70000}));
    std::string bytes(wire::OpenHeadSize(open), '\0');
    wire::WriteOpenHead(open, reinterpret_cast<uint8_t*>(bytes.data()));
    return open.flags & wire::kMessage ? bytes + Bytes() : bytes;
  }

  std::string Data() {
    wire::DataFrame data;
    data.flags = MessageFlags();
    if (data.flags == 0) data.flags = wire::kEnd;
    data.message_size = random_.Below(random_.Choose<uint64_t>({100, 5000, 50000}));
    const bool first = random_.OneIn(2);
    std::string bytes(wire::DataHeadSize(data, first), '\0');
    wire::WriteDataHead(data, first, reinterpret_cast<uint8_t*>(bytes.data()));
    return data.flags & wire::kMessage ? bytes + Bytes() : bytes;
  }

  std::string Finish() {
    const absl::Status status(static_cast<absl::StatusCode>(random_.Below(17)), "text");
    return wire::EncodeFinish(status, !status.ok() && random_.OneIn(2), "", "", false);
  }

  Random& random_;
  const bool floods_;
  bool fragmented_ = false;  // a frame has begun
  uint64_t left_[11] = {};   // of the message that is on its way on a stream
  bool open_[11] = {};
};

// Two machines and their owners, with frames between them that are not always what was sent.
class Battle {
 public:
  explicit Battle(uint64_t seed) : random_(seed), pair_(SmallLimits(), SmallLimits(), 4096) {}

  // Fights until a machine ends the connection, or long enough. Returns the hostile frames that
  // were taken.
  uint64_t Run() {
    for (int round = 0; round < 400; ++round) {
      pair_.now += std::chrono::microseconds(random_.Below(2000));
      ClientWorks();
      ServerWorks();
      pair_.client.Pump(pair_.now, pair_.client_events);
      pair_.server.Pump(pair_.now, pair_.server_events);
      if (!Carry(pair_.client_log, pair_.server, pair_.server_events) ||
          !Carry(pair_.server_log, pair_.client, pair_.client_events)) {
        break;
      }
      CheckLimits(pair_.client);
      CheckLimits(pair_.server);
      HandOn();
    }
    HandOn();
    return hostile_;
  }

  // Attacks one of the machines with nothing but made up frames. Returns how many it took.
  uint64_t Attack() {
    // A few calls to harm, and hellos.
    for (int round = 0; round < 4; ++round) {
      ClientWorks();
      EXPECT_TRUE(pair_.Settle().ok());
      HandOn();
    }
    const bool server = random_.OneIn(2);
    protocol::WireMachine& machine =
        server ? static_cast<protocol::WireMachine&>(pair_.server) : pair_.client;
    Protocol::Events& events = server ? pair_.server_events : pair_.client_events;
    Forger forger(random_);
    for (uint64_t frames = 1; frames <= 300; ++frames) {
      pair_.now += std::chrono::microseconds(random_.Below(1000));
      const std::vector<SentFrame> sent(1, random_.OneIn(50) ? MadeUp() : forger.Mostly(server));
      const absl::Status status =
          machine.OnFrames(protocol::testing::ViewsOf(sent), pair_.now, events);
      for (Event& event : events) event.message.Own();
      if (!status.ok()) {
        CheckEnded(machine, status, events);
        HandOn();
        return frames;
      }
      CheckLimits(machine);
      machine.Pump(pair_.now, events);
      HandOn();
      if (server) ServerWorks();
    }
    return 300;
  }

 private:
  std::string RandomBytes(size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_.Next());
    return bytes;
  }

  std::string Message(std::initializer_list<uint64_t> bounds) {
    return std::string(random_.Below(random_.Choose(bounds)), 'm');
  }

  SentFrame MadeUp() {
    SentFrame frame;
    frame.stream = random_.OneIn(4) ? 0 : random_.Below(12);
    if (random_.OneIn(50)) frame.stream = random_.Next();
    frame.bytes = RandomBytes(random_.Below(random_.Choose<uint64_t>({4, 20, 300, 4096})));
    // Often a kind that exists.
    if (!frame.bytes.empty() && random_.Percent(80)) {
      const uint8_t kinds[] = {static_cast<uint8_t>(wire::kOpen | random_.Below(64)),
                               static_cast<uint8_t>(wire::kFinish | random_.Below(64)),
                               static_cast<uint8_t>(wire::kData | random_.Below(16)),
                               wire::kReset,
                               wire::kCredit,
                               wire::kExcessCredit,
                               wire::kFragment,
                               wire::kLastFragment,
                               wire::kHello,
                               wire::kPing,
                               wire::kPong,
                               wire::kGoaway};
      frame.bytes[0] = static_cast<char>(kinds[random_.Below(sizeof(kinds))]);
    }
    return frame;
  }

  void Change(SentFrame& frame) {
    switch (random_.Below(6)) {
      case 0:
        frame.stream = random_.Below(12);
        break;
      case 1:
        frame.bytes.resize(random_.Below(frame.bytes.size() + 1));
        break;
      case 2:
        frame.bytes += RandomBytes(random_.Below(40));
        break;
      case 3:  // the head is where it hurts
        frame.bytes[random_.Below(std::min<size_t>(frame.bytes.size(), 6))] =
            static_cast<char>(random_.Next());
        break;
      default:
        frame.bytes[random_.Below(frame.bytes.size())] ^= static_cast<char>(1 << random_.Below(8));
        break;
    }
  }

  // False: the machine has ended the connection.
  bool Carry(FrameLog& from, protocol::WireMachine& to, Protocol::Events& events) {
    std::vector<SentFrame> frames = from.Take();
    std::vector<SentFrame> sent;
    for (SentFrame& frame : frames) {
      const uint64_t harm = random_.Below(100);
      if (harm == 0) {
        ++hostile_;
        continue;  // lost
      }
      if (harm == 1) {
        sent.push_back(frame);  // twice
        ++hostile_;
      }
      if (harm == 2) {
        Change(frame);
        ++hostile_;
      }
      sent.push_back(std::move(frame));
      if (harm == 3) {
        sent.push_back(MadeUp());
        ++hostile_;
      }
    }
    if (random_.OneIn(40)) {
      sent.push_back(MadeUp());
      ++hostile_;
    }
    const absl::Status status = to.OnFrames(protocol::testing::ViewsOf(sent), pair_.now, events);
    for (Event& event : events) event.message.Own();
    if (status.ok()) return true;
    CheckEnded(to, status, events);
    return false;
  }

  void CheckEnded(protocol::WireMachine& machine, const absl::Status& status,
                  Protocol::Events& events) {
    EXPECT_EQ(machine.OnFrames({}, pair_.now, events), status);
    FrameLog& log = &machine == &pair_.client ? pair_.client_log : pair_.server_log;
    log.frames.clear();
    machine.Pump(pair_.now, events);
    EXPECT_LE(log.frames.size(), 1u);  // the goodbye
    if (!log.frames.empty()) {
      EXPECT_EQ(log.frames[0].stream, 0u);
      EXPECT_EQ(static_cast<uint8_t>(log.frames[0].bytes[0]), wire::kGoaway);
    }
    EXPECT_FALSE(machine.wants_pump());
    EXPECT_EQ(machine.open_call_count(), 0u);
    EXPECT_EQ(machine.NextWakeup(), protocol::Instant::max());
  }

  void CheckLimits(const protocol::WireMachine& machine) {
    const auto account = machine.account();
    EXPECT_LE(account.held + account.peer_may_send, kBuffer);
    EXPECT_LE(account.queued, kQueue);
    EXPECT_LE(account.shared, kQueue);
    // Calls, their equals that were cancelled, and refusals that are not yet written.
    EXPECT_LE(machine.call_count(), 200u);
  }

  void ClientWorks() {
    if (calls_.size() < 20 && random_.OneIn(2)) {
      MachinePair::OpenOptions options;
      const std::string message = Message({10, 300, 30000});
      const Metadata metadata{{"key", "value"}, {"x-bin", message.substr(0, 100)}};
      options.method = random_.OneIn(10) ? "none" : "test.Method";
      options.index = options.method == "none" ? 1 : 0;
      if (random_.Percent(80)) options.message = &message;
      options.half_close = random_.OneIn(2);
      if (random_.OneIn(3)) options.metadata = &metadata;
      if (random_.OneIn(4))
        options.deadline = pair_.now + std::chrono::milliseconds(random_.Between(1, 50));
      const absl::StatusOr<CallId> id = pair_.Open(options);
      if (id.ok()) calls_.push_back(*id);
    }
    for (const CallId call : std::vector<CallId>(calls_)) {
      const std::string message = Message({10, 30000});
      switch (random_.Below(40)) {
        case 0:
          pair_.client.Cancel(call, absl::CancelledError("x"), pair_.client_events);
          break;
        case 1:
          pair_.client.HalfClose(call);
          break;
        case 2:
          ReleaseClient(call);
          break;
        case 3:
        case 4:
        case 5:
          pair_.client.Send(call, PayloadOf(message));
          break;
        default:
          break;
      }
    }
  }

  void ServerWorks() {
    for (const CallId call : std::vector<CallId>(handlers_)) {
      const std::string message = Message({10, 30000});
      const Payload payload = PayloadOf(message);
      switch (random_.Below(20)) {
        case 0:
        case 1:
          pair_.server.Finish(call, absl::OkStatus(), nullptr, &payload);
          ReleaseServer(call);
          break;
        case 8:
          pair_.server.FinishAndRelease(call, absl::OkStatus(), nullptr, &payload);
          handlers_.erase(std::find(handlers_.begin(), handlers_.end(), call));
          break;
        case 2:
          pair_.server.Finish(call, absl::InternalError(std::string(200, 'e')), nullptr, nullptr);
          ReleaseServer(call);
          break;
        case 3:
        case 4:
        case 5:
          pair_.server.Send(call, payload);
          break;
        case 6:
          pair_.server.SendInitialMetadata(call, Metadata{{"a", "b"}}).IgnoreError();
          break;
        case 7:
          ReleaseServer(call);
          break;
        default:
          break;
      }
    }
  }

  void ReleaseClient(CallId call) {
    calls_.erase(std::find(calls_.begin(), calls_.end(), call));
    pair_.client.Release(call, pair_.client_events);
  }
  void ReleaseServer(CallId call) {
    handlers_.erase(std::find(handlers_.begin(), handlers_.end(), call));
    pair_.server.Release(call, pair_.server_events);
  }

  void HandOn() {
    for (const Event& event : pair_.TakeClientEvents()) {
      const bool known = std::find(calls_.begin(), calls_.end(), event.call) != calls_.end();
      if (event.bits & Event::kMessage && random_.OneIn(2)) {
        pair_.client.Consumed(event.call, event.message.bytes.size());
      }
      if (event.bits & Event::kFinished) {
        EXPECT_TRUE(known) << "a call ended twice, or after its release";
        if (known) ReleaseClient(event.call);
      }
    }
    for (const Event& event : pair_.TakeServerEvents()) {
      if (event.bits & Event::kIncoming) handlers_.push_back(event.call);
      const bool known =
          std::find(handlers_.begin(), handlers_.end(), event.call) != handlers_.end();
      if (event.bits & Event::kMessage && random_.OneIn(2)) {
        pair_.server.Consumed(event.call, event.message.bytes.size());
      }
      EXPECT_TRUE(known) << "an event of a call that the owner has not heard of, or has let go";
      if (event.bits & Event::kFinished && known) ReleaseServer(event.call);
    }
  }

  using Payload = protocol::Payload;
  Random random_;
  MachinePair pair_;
  std::vector<CallId> calls_;
  std::vector<CallId> handlers_;
  uint64_t hostile_ = 0;
};

TEST(HostileTest, HarmsNothingButItsConnection) {
  const bool one = std::getenv("ANYWIRE_TEST_SEED") != nullptr;
  const uint64_t wanted = one ? 1 : NumberFrom("ANYWIRE_FUZZ_FRAMES", 1000000);
  uint64_t seed = NumberFrom("ANYWIRE_TEST_SEED", 1);
  uint64_t frames = 0;
  uint64_t battles = 0;
  for (; frames < wanted; ++seed, ++battles) {
    SCOPED_TRACE(seed);
    // Fights with changed frames are long and have few of them; attacks the other way round.
    frames += seed % 8 == 0 ? Battle(seed).Run() : Battle(seed).Attack();
    if (::testing::Test::HasFailure()) {
      std::cout << "again: bazel test //tests/sim:hostile_test --test_env=ANYWIRE_TEST_SEED="
                << seed << "\n";
      return;
    }
    if (one) break;
  }
  std::cout << frames << " hostile frames in " << battles << " connections\n";
}

}  // namespace
}  // namespace anywire::sim
