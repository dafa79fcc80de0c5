// The frames of calls, to bytes and back. Nothing here knows what came before; runtime/protocol
// does.
//
// Reading gives views into the frame. The functions return null, or what is wrong with the bytes: a
// text that goes into the goodbye to the peer.
#ifndef ANYWIRE_RUNTIME_WIRE_CALL_FRAMES_H_
#define ANYWIRE_RUNTIME_WIRE_CALL_FRAMES_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "runtime/wire/frame_kinds.h"
#include "transports/varint.h"

namespace anywire::wire {

using Bytes = absl::Span<const uint8_t>;

// ---- OPEN

struct OpenFrame {
  uint8_t flags = 0;  // kLiteral ... kEnd
  uint64_t method = 0;
  absl::string_view name;      // with kLiteral
  uint64_t deadline_us = 0;    // with kDeadline
  absl::string_view metadata;  // with kMetadata; writing: the whole block, reading: its entries
  uint64_t message_size = 0;   // with kPartial: the whole message's
  Bytes message;               // with kMessage, reading only
};

// The bytes before the message, which the writer puts after them.
inline size_t OpenHeadSize(const OpenFrame& frame) {
  size_t size = 1 + VarintSize(frame.method);
  if (frame.flags & kLiteral) size += StringSize(frame.name);
  if (frame.flags & kDeadline) size += VarintSize(frame.deadline_us);
  if (frame.flags & kMetadata) size += frame.metadata.size();
  if (frame.flags & kPartial) size += VarintSize(frame.message_size);
  return size;
}

inline uint8_t* WriteOpenHead(const OpenFrame& frame, uint8_t* to) {
  *to++ = kOpen | frame.flags;
  to = WriteVarint(frame.method, to);
  if (frame.flags & kLiteral) to = WriteString(frame.name, to);
  if (frame.flags & kDeadline) to = WriteVarint(frame.deadline_us, to);
  if (frame.flags & kMetadata) to = WriteBytes(frame.metadata, to);
  if (frame.flags & kPartial) to = WriteVarint(frame.message_size, to);
  return to;
}

const char* ReadOpen(Bytes bytes, OpenFrame* frame);

// ---- DATA

struct DataFrame {
  uint8_t flags = 0;           // kMetadata ... kEnd
  absl::string_view metadata;  // as in OpenFrame
  uint64_t message_size = 0;  // with kPartial, on the first piece of a message: the whole message's
  Bytes message;
};

// `first_piece`: this frame begins a message (if it has any message bytes at all).
inline size_t DataHeadSize(const DataFrame& frame, bool first_piece) {
  size_t size = 1;
  if (frame.flags & kMetadata) size += frame.metadata.size();
  if ((frame.flags & kPartial) && first_piece) size += VarintSize(frame.message_size);
  return size;
}

inline uint8_t* WriteDataHead(const DataFrame& frame, bool first_piece, uint8_t* to) {
  *to++ = kData | frame.flags;
  if (frame.flags & kMetadata) to = WriteBytes(frame.metadata, to);
  if ((frame.flags & kPartial) && first_piece) to = WriteVarint(frame.message_size, to);
  return to;
}

const char* ReadData(Bytes bytes, bool first_piece, DataFrame* frame);

// ---- FINISH

struct FinishFrame {
  uint8_t flags = 0;    // kNotProcessed ... kText
  absl::Status status;  // with text and payloads
  absl::string_view initial_metadata;
  absl::string_view trailing_metadata;
  Bytes message;  // with kMessage: a whole message or the last piece of one
};

// The frame up to its message. Of `status`, the text is cut to kMaxStatusTextSize and payloads past
// the limits are left out, as is the delivery (see delivery.h). Flags for code, text and details
// are set here; the metadata are whole blocks, empty for none.
std::string EncodeFinish(const absl::Status& status, bool not_processed,
                         absl::string_view initial_metadata, absl::string_view trailing_metadata,
                         bool with_message);

const char* ReadFinish(Bytes bytes, FinishFrame* frame);

// ---- RESET, CREDIT, EXCESS CREDIT

// A kind and one number: RESET's status code, a credit's bytes.
inline size_t NumberFrameSize(uint64_t number) { return 1 + VarintSize(number); }
inline void WriteNumberFrame(uint8_t kind, uint64_t number, uint8_t* to) {
  *to++ = kind;
  WriteVarint(number, to);
}
const char* ReadReset(Bytes bytes, absl::StatusCode* code);
const char* ReadCredit(Bytes bytes, uint64_t* amount);
const char* ReadExcessCredit(Bytes bytes, uint64_t* amount);

}  // namespace anywire::wire

#endif  // ANYWIRE_RUNTIME_WIRE_CALL_FRAMES_H_
