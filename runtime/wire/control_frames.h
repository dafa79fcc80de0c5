// The frames of stream 0, which is the connection's own, to bytes and back.
#ifndef ANYWIRE_RUNTIME_WIRE_CONTROL_FRAMES_H_
#define ANYWIRE_RUNTIME_WIRE_CONTROL_FRAMES_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "runtime/wire/call_frames.h"
#include "runtime/wire/frame_kinds.h"

namespace anywire::wire {

inline constexpr uint64_t kVersion = 3;

// The first frame of stream 0, each way.
struct Hello {
  uint64_t lowest_version = kVersion;
  uint64_t highest_version = kVersion;
  uint64_t required_features = 0;  // bits that the receiver must know, or end the connection
  uint64_t optional_features = 0;  // bits that are in use when both have them
  // Settings; what is not sent has these values. Those of the other role are not sent.
  uint64_t max_concurrent_calls = kAssumedConcurrentCalls;  // server's; 1 to kMaxStreams
  uint64_t call_window = kMinCallWindow;                    // at least kMinCallWindow, at most 2^40
  uint64_t connection_window = kMinConnectionWindow;        // at least call_window, at most 2^40
  uint64_t max_methods = 0;                                 // server's; at most 2^20
  uint64_t excess_window = 0;                               // at most 2^40
};

std::string EncodeHello(const Hello& hello);
const char* ReadHello(Bytes bytes, Hello* hello);

// PING and PONG: the kind and eight bytes, which PONG repeats.
inline constexpr size_t kPingFrameSize = 9;
void WritePing(uint8_t kind, uint64_t value, uint8_t* to);
const char* ReadPing(Bytes bytes, uint64_t* value);

// GOAWAY: a status code, or 0 for "no new calls, the rest goes on", and a text to the end of the
// frame.
struct Goaway {
  uint8_t code = 0;
  absl::string_view text;
};
std::string EncodeGoaway(const Goaway& goaway);  // cuts the text to kMaxGoawayTextSize
const char* ReadGoaway(Bytes bytes, Goaway* goaway);

}  // namespace anywire::wire

#endif  // ANYWIRE_RUNTIME_WIRE_CONTROL_FRAMES_H_
