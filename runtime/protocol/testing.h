// Helpers of the tests of this folder: a sink that keeps frames, a factory, and two machines joined
// by hand.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_TESTING_H_
#define ANYWIRE_RUNTIME_PROTOCOL_TESTING_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "anywire/frame.h"
#include "runtime/protocol/protocol.h"
#include "runtime/protocol/wire_client.h"
#include "runtime/protocol/wire_server.h"
#include "runtime/wire/call_frames.h"

namespace anywire::protocol::testing {

struct SentFrame {
  uint64_t stream = 0;
  std::string bytes;
};

// Keeps frames. `room` frames may be written before it refuses.
class FrameLog final : public FrameSink {
 public:
  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) override {
    if (room == 0) return {};
    --room;
    frames.push_back({stream, std::string(size, '\xee')});
    return absl::MakeSpan(reinterpret_cast<uint8_t*>(frames.back().bytes.data()), size);
  }
  bool takes_memory() const override { return keeps_memory; }
  bool AddFrame(uint64_t stream, MessageMemory& memory, size_t offset, size_t size) override {
    if (!keeps_memory) return FrameSink::AddFrame(stream, memory, offset, size);
    if (room == 0) return false;
    --room;
    const char* const bytes = reinterpret_cast<const char*>(memory.get()) + offset;
    frames.push_back({stream, std::string(bytes, size)});
    kept.push_back(std::move(memory));
    return true;
  }
  bool AddPiece(uint64_t stream, absl::Span<const uint8_t> head, const SharedMessageMemory& memory,
                size_t offset, size_t size) override {
    if (!FrameSink::AddPiece(stream, head, memory, offset, size)) return false;
    if (keeps_shares) shared.push_back(memory);
    return true;
  }
  std::vector<SentFrame> Take() {
    std::vector<SentFrame> taken(frames.begin(), frames.end());
    frames.clear();
    return taken;
  }

  size_t room = SIZE_MAX;
  bool keeps_memory = false;
  bool keeps_shares = false;
  std::vector<MessageMemory> kept;          // that was given, in the order of its frames
  std::vector<SharedMessageMemory> shared;  // of the pieces
  std::deque<SentFrame> frames;             // a deque, since what NewFrame returned stays valid
};

// Knows every method that begins with "test.". A call's tag is its number, from 1.
class TestFactory final : public CallFactory {
 public:
  const void* FindMethod(absl::string_view full_name) override {
    ++lookups;
    if (full_name.substr(0, 5) != "test.") return nullptr;
    return &*names.emplace(std::string(full_name), 0).first;
  }
  void* NewCall(CallId call, const void* method) override {
    calls.push_back(call);
    methods.push_back(static_cast<const std::pair<const std::string, int>*>(method)->first);
    return reinterpret_cast<void*>(calls.size());
  }

  int lookups = 0;
  std::map<std::string, int> names;
  std::vector<CallId> calls;
  std::vector<std::string> methods;
};

inline Payload PayloadOf(const std::string& bytes) {
  Payload payload;
  payload.size = bytes.size();
  payload.object = &bytes;
  payload.write = [](const void* object, uint8_t* to, size_t size) {
    std::memcpy(to, static_cast<const std::string*>(object)->data(), size);
  };
  return payload;
}

inline std::string Bytes(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text += static_cast<char>(byte);
  return text;
}

// The head of a first piece that announces `size` bytes.
inline std::string FirstPiece(size_t size) {
  wire::DataFrame data;
  data.flags = wire::kMessage | wire::kPartial;
  data.message_size = size;
  std::string head(wire::DataHeadSize(data, true), '\0');
  wire::WriteDataHead(data, true, reinterpret_cast<uint8_t*>(head.data()));
  return head;
}

inline std::string TextOf(const Event& event) {
  return std::string(event.message.bytes.begin(), event.message.bytes.end());
}

inline std::vector<ReceivedFrame> ViewsOf(const std::vector<SentFrame>& frames) {
  std::vector<ReceivedFrame> views;
  for (const SentFrame& frame : frames) {
    views.push_back(
        {frame.stream, absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(frame.bytes.data()),
                                           frame.bytes.size())});
  }
  return views;
}

// A client's and a server's machine, and frames carried between them when asked. Messages in events
// are owned.
class MachinePair {
 public:
  explicit MachinePair(const Limits& client_limits = Limits(),
                       const Limits& server_limits = Limits(), FrameSizes sizes = 64 << 10)
      : client(client_log, sizes, client_limits, now),
        server(server_log, sizes, server_limits, now, factory) {}

  // Pumps both and carries frames until nothing moves. The status is the first error of OnFrames.
  absl::Status Settle() {
    absl::Status result;
    for (int round = 0; round < 10000; ++round) {
      client.Pump(now, client_events);
      server.Pump(now, server_events);
      if (client_log.frames.empty() && server_log.frames.empty()) return result;
      result.Update(Carry(client_log, server, server_events));
      result.Update(Carry(server_log, client, client_events));
    }
    return absl::InternalError("the machines do not come to rest");
  }

  absl::Status Carry(FrameLog& from, Protocol& to, Protocol::Events& events) {
    const std::vector<SentFrame> frames = from.Take();
    const absl::Status status = to.OnFrames(ViewsOf(frames), now, events);
    for (Event& event : events) event.message.Own();
    return status;
  }

  struct OpenOptions {
    std::string method = "test.Service/Method";
    uint32_t index = 0;
    const std::string* message = nullptr;
    bool half_close = true;
    const Metadata* metadata = nullptr;
    Instant deadline = Instant::max();
    void* tag = nullptr;
  };
  absl::StatusOr<CallId> Open(const OpenOptions& options) {
    Protocol::OpenRequest request;
    // Names outlive the machine.
    request.method = {*names_.emplace_back(std::make_unique<std::string>(options.method)),
                      options.index};
    request.deadline = options.deadline;
    request.metadata = options.metadata;
    request.half_close = options.half_close;
    request.tag = options.tag;
    Payload payload;
    if (options.message != nullptr) {
      payload = PayloadOf(*options.message);
      request.message = &payload;
    }
    return client.Open(request, now, &queued);
  }
  absl::StatusOr<CallId> OpenUnary(const std::string& message) {
    OpenOptions options;
    options.message = &message;
    return Open(options);
  }

  Protocol::Events TakeClientEvents() { return std::exchange(client_events, {}); }
  Protocol::Events TakeServerEvents() { return std::exchange(server_events, {}); }

  Instant now = Instant(std::chrono::seconds(1000));
  bool queued = false;
  FrameLog client_log, server_log;
  TestFactory factory;
  WireClient client;
  WireServer server;
  Protocol::Events client_events, server_events;

 private:
  std::vector<std::unique_ptr<std::string>> names_;
};

inline const Event* Find(const Protocol::Events& events, uint8_t bits) {
  for (const Event& event : events) {
    if ((event.bits & bits) == bits) return &event;
  }
  return nullptr;
}

inline absl::Status FinalOf(const Protocol::Events& events) {
  const Event* const event = Find(events, Event::kFinished);
  if (event == nullptr) return absl::InternalError("no end");
  return event->final != nullptr ? event->final->status : absl::OkStatus();
}

// Opens a call that is not half-closed and brings it to the handler.
struct OpenCall {
  explicit OpenCall(MachinePair& pair, const MachinePair::OpenOptions& options = Streaming()) {
    client = *pair.Open(options);
    EXPECT_TRUE(pair.Settle().ok());
    server = pair.TakeServerEvents().at(0).call;
  }
  static MachinePair::OpenOptions Streaming() {
    MachinePair::OpenOptions options;
    options.half_close = false;
    return options;
  }
  CallId client, server;
};

}  // namespace anywire::protocol::testing

#endif  // ANYWIRE_RUNTIME_PROTOCOL_TESTING_H_
