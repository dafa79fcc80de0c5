// The first byte of a frame: what it is, and flags that say which fields follow. PROTOCOL.md is the
// specification.
#ifndef ANYWIRE_RUNTIME_WIRE_FRAME_KINDS_H_
#define ANYWIRE_RUNTIME_WIRE_FRAME_KINDS_H_

#include <cstddef>
#include <cstdint>

namespace anywire::wire {

// Frames with flags. The mask tells their kind, the remaining bits are flags.
inline constexpr uint8_t kOpen = 0x80;  // 10LD MSPE
inline constexpr uint8_t kOpenMask = 0xc0;
inline constexpr uint8_t kFinish = 0xc0;  // 11ND MSTX
inline constexpr uint8_t kFinishMask = 0xc0;
inline constexpr uint8_t kData = 0x40;  // 0100 MSPE
inline constexpr uint8_t kDataMask = 0xf0;

// Flags of OPEN and DATA; FINISH shares the first two.
inline constexpr uint8_t kMetadata = 0x08;  // M: a metadata block (FINISH: the initial one)
inline constexpr uint8_t kMessage = 0x04;   // S: message bytes follow to the end of the frame
inline constexpr uint8_t kPartial = 0x02;   // P: the message goes on in a later frame
inline constexpr uint8_t kEnd = 0x01;       // E: the last frame of this direction
// OPEN.
inline constexpr uint8_t kLiteral = 0x20;   // L: the method's name in full
inline constexpr uint8_t kDeadline = 0x10;  // D: microseconds left
// FINISH.
inline constexpr uint8_t kNotProcessed = 0x20;  // N: no handler saw the call
inline constexpr uint8_t kDetails = 0x10;       // D: payloads of the status
inline constexpr uint8_t kTrailing = 0x02;      // T: trailing metadata
inline constexpr uint8_t kText = 0x01;          // X: the status's text

// Frames without flags.
inline constexpr uint8_t kReset = 0x01;         // calls, from the client
inline constexpr uint8_t kCredit = 0x02;        // calls, and stream 0 for the connection
inline constexpr uint8_t kExcessCredit = 0x03;  // stream 0
inline constexpr uint8_t kFragment = 0x04;      // calls
inline constexpr uint8_t kLastFragment = 0x05;  // calls
inline constexpr uint8_t kHello = 0x10;         // stream 0, as are the rest
inline constexpr uint8_t kPing = 0x11;
inline constexpr uint8_t kPong = 0x12;
inline constexpr uint8_t kGoaway = 0x13;

constexpr bool IsOpen(uint8_t first) { return (first & kOpenMask) == kOpen; }
constexpr bool IsFinish(uint8_t first) { return (first & kFinishMask) == kFinish; }
constexpr bool IsData(uint8_t first) { return (first & kDataMask) == kData; }

// What both ends may assume before the other's HELLO has come, and therefore the least that a HELLO
// may announce.
inline constexpr size_t kMinCallWindow = 16 << 10;
inline constexpr size_t kMinConnectionWindow = 64 << 10;
inline constexpr uint32_t kAssumedConcurrentCalls = 64;

// What each message counts against the windows beside its bytes.
inline constexpr size_t kMessageOverhead = 64;
// No message is larger.
inline constexpr uint64_t kAbsurdSize = uint64_t{1} << 48;

// Limits that are the same for everybody.
inline constexpr size_t kMaxMethodNameSize = 1024;
inline constexpr size_t kMaxStatusTextSize = 16 << 10;
inline constexpr size_t kMaxStatusDetails = 16;
inline constexpr size_t kMaxStatusDetailsSize = 32 << 10;
inline constexpr size_t kMaxGoawayTextSize = 512;
inline constexpr size_t kMaxSettings = 64;
inline constexpr uint32_t kMaxStreams = 65535;

}  // namespace anywire::wire

#endif  // ANYWIRE_RUNTIME_WIRE_FRAME_KINDS_H_
