// The examples of PROTOCOL.md, made by the machines and compared byte by byte.
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "runtime/protocol/testing.h"

namespace anywire::wire {
namespace {

using protocol::CallId;
using protocol::Event;
using protocol::Protocol;
using protocol::testing::FrameLog;
using protocol::testing::MachinePair;
using protocol::testing::PayloadOf;
using protocol::testing::SentFrame;

struct Example {
  uint64_t stream = 0;
  std::string bytes;
  bool cut = false;  // message bytes follow that the document does not show
};

std::map<std::string, Example> ReadExamples() {
  std::ifstream file("runtime/wire/PROTOCOL.md");
  EXPECT_TRUE(file.good());
  std::map<std::string, Example> examples;
  Example* example = nullptr;
  bool in_block = false;
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "<!-- example: ")) {
      const std::string name(absl::StripSuffix(line.substr(14), " -->"));
      EXPECT_EQ(examples.count(name), 0u) << name;
      example = &examples[name];
    } else if (line == "```" && example != nullptr) {
      if (in_block) example = nullptr;
      in_block = !in_block;
    } else if (in_block && absl::StartsWith(line, "stream ")) {
      example->stream = std::stoull(line.substr(7));
    } else if (in_block && line == "...") {
      example->cut = true;
    } else if (in_block) {
      const std::string hex = line.substr(0, line.find("  "));
      for (absl::string_view byte : absl::StrSplit(hex, ' ', absl::SkipEmpty())) {
        example->bytes += absl::HexStringToBytes(byte);
      }
    }
  }
  return examples;
}

// What the machines write in the situations that the document tells of.
class Situations {
 public:
  std::map<std::string, SentFrame> Make() {
    Connection();
    Calls();
    LargeMessage();
    Refusal();
    return std::move(frames_);
  }

 private:
  void Keep(const std::string& name, const FrameLog& log) {
    ASSERT_FALSE(log.frames.empty()) << name;
    frames_[name] = log.frames.back();
  }

  void Connection() {
    MachinePair pair;
    Keep("client-hello", pair.client_log);
    Keep("server-hello", pair.server_log);
    const std::string hi = "hi";
    MachinePair::OpenOptions options;
    options.method = "demo.S/Ech";
    options.message = &hi;
    ASSERT_TRUE(pair.Open(options).ok());
    Keep("first-call", pair.client_log);
    ASSERT_TRUE(pair.OpenUnary(hi).ok());  // stays open
    ASSERT_TRUE(pair.Settle().ok());
    pair.now += std::chrono::seconds(21);
    ASSERT_TRUE(pair.client.OnTime(pair.now, pair.client_events).ok());
    pair.client.Pump(pair.now, pair.client_events);
    Keep("ping", pair.client_log);
    pair.server.Drain();
    pair.server.Pump(pair.now, pair.server_events);
    Keep("drain", pair.server_log);
    const std::vector<ReceivedFrame> empty(1);
    EXPECT_FALSE(pair.server.OnFrames(empty, pair.now, pair.server_events).ok());
    pair.server.Pump(pair.now, pair.server_events);
    Keep("breach", pair.server_log);
  }

  // Opens a call and brings it to the handler.
  CallId Incoming(MachinePair& pair, const MachinePair::OpenOptions& options) {
    client_call_ = *pair.Open(options);
    Keep("later-call", pair.client_log);
    EXPECT_TRUE(pair.Settle().ok());
    const CallId call = pair.TakeServerEvents()[0].call;
    return call;
  }

  void Calls() {
    MachinePair pair;
    ASSERT_TRUE(pair.Settle().ok());
    const std::string hi = "hi";
    const Payload payload = PayloadOf(hi);
    MachinePair::OpenOptions options;
    options.message = &hi;
    CallId call = Incoming(pair, options);
    pair.server.Finish(call, absl::OkStatus(), nullptr, &payload);
    Keep("reply", pair.server_log);
    ASSERT_TRUE(pair.Settle().ok());

    const Metadata metadata{{"k", "val"}};
    options.metadata = &metadata;
    options.deadline = pair.now + std::chrono::seconds(1);
    call = Incoming(pair, options);
    absl::Status status = absl::NotFoundError("no file");
    status.SetPayload("t/a", absl::Cord("p"));
    const Metadata trailing{{"k", "v"}};
    pair.server.Finish(call, status, &trailing, nullptr);
    Keep("failure", pair.server_log);
  }

  void LargeMessage() {
    MachinePair pair;
    ASSERT_TRUE(pair.Settle().ok());
    MachinePair::OpenOptions options;
    options.half_close = false;
    client_call_ = *pair.Open(options);
    ASSERT_TRUE(pair.Settle().ok());
    const CallId call = pair.TakeServerEvents()[0].call;
    const std::string large(200000, 'x');
    EXPECT_EQ(pair.client.Send(client_call_, PayloadOf(large)), protocol::SendResult::kQueued);
    pair.client.Pump(pair.now, pair.client_events);
    frames_["first-piece"] = pair.client_log.frames.front();
    frames_["last-piece"] = pair.client_log.frames.back();
    ASSERT_TRUE(pair.Carry(pair.client_log, pair.server, pair.server_events).ok());
    pair.server.Consumed(call, large.size());
    pair.server.Pump(pair.now, pair.server_events);
    Keep("credit", pair.server_log);
    const std::string largest(4 << 20, 'x');
    pair.client.Send(client_call_, PayloadOf(largest));
    ASSERT_TRUE(pair.Settle().ok());
    pair.server.Consumed(call, largest.size());
    ASSERT_TRUE(pair.Settle().ok());
    pair.client.Send(client_call_, PayloadOf(largest));
    pair.client.Pump(pair.now, pair.client_events);
    ASSERT_TRUE(pair.Carry(pair.client_log, pair.server, pair.server_events).ok());
    pair.server.Pump(pair.now, pair.server_events);
    Keep("excess-credit", pair.server_log);
    ASSERT_TRUE(pair.Carry(pair.server_log, pair.client, pair.client_events).ok());
    pair.client.Pump(pair.now, pair.client_events);
    pair.client_log.Take();
    pair.client.HalfClose(client_call_);
    Keep("half-close", pair.client_log);
    pair.client.Cancel(client_call_, absl::CancelledError("x"), pair.client_events);
    pair.client.Pump(pair.now, pair.client_events);
    Keep("reset", pair.client_log);
  }

  void Refusal() {
    MachinePair pair;
    ASSERT_TRUE(pair.Settle().ok());
    MachinePair::OpenOptions options;
    options.method = "unknown";
    ASSERT_TRUE(pair.Open(options).ok());
    ASSERT_TRUE(pair.Carry(pair.client_log, pair.server, pair.server_events).ok());
    pair.server.Pump(pair.now, pair.server_events);
    Keep("refusal", pair.server_log);
  }

  using Payload = protocol::Payload;
  CallId client_call_;
  std::map<std::string, SentFrame> frames_;
};

TEST(ProtocolExamplesTest, TheDocumentIsRight) {
  const std::map<std::string, Example> examples = ReadExamples();
  const std::map<std::string, SentFrame> frames = Situations().Make();
  EXPECT_GE(examples.size(), 15u);
  for (const auto& [name, frame] : frames) EXPECT_EQ(examples.count(name), 1u) << name;
  for (const auto& [name, example] : examples) {
    const auto found = frames.find(name);
    ASSERT_NE(found, frames.end()) << "nothing makes the example " << name;
    const SentFrame& frame = found->second;
    EXPECT_EQ(frame.stream, example.stream) << name;
    const size_t shown = example.cut ? example.bytes.size() : frame.bytes.size();
    EXPECT_EQ(absl::BytesToHexString(absl::string_view(frame.bytes).substr(0, shown)),
              absl::BytesToHexString(example.bytes))
        << name;
    EXPECT_EQ(frame.bytes.size() > shown, example.cut) << name;
  }
}

}  // namespace
}  // namespace anywire::wire
