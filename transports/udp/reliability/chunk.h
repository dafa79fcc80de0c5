// Chunks, the parts of a DATA packet; transports/udp/PROTOCOL.md has the format.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CHUNK_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CHUNK_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "transports/udp/reliability/interval_set.h"
#include "transports/varint.h"

namespace anywire::udp {

enum class ChunkKind : uint8_t {
  kPadding = 0x00,
  kPing = 0x01,
  kAck = 0x02,
  kMaxData = 0x03,
  kClose = 0x04,
  kAbort = 0x05,
  kFrame = 0x10,  // to 0x13: with flags
};
inline constexpr uint8_t kFrameFollows = 0x01;  // A in PROTOCOL.md
inline constexpr uint8_t kFramePart = 0x02;     // P

inline constexpr size_t kMaxAckRanges = 64;
inline constexpr size_t kMaxAbortText = 256;

struct AckChunk {
  uint64_t delay_us = 0;
  size_t count = 0;                // at least 1
  Interval ranges[kMaxAckRanges];  // of packet numbers, the highest first

  uint64_t largest() const { return ranges[0].end - 1; }
};

struct FrameChunk {
  uint64_t id = 0;
  uint64_t stream = 0;
  uint64_t after = 0;  // how much less the predecessor's id is; 0: it has none
  uint64_t offset = 0;
  uint64_t frame_size = 0;
  absl::Span<const uint8_t> bytes{};

  bool is_whole() const { return bytes.size() == frame_size; }
};

struct AbortChunk {
  uint8_t code = 0;
  absl::string_view text;
};

// Reads a packet's chunks one after the other. Views live as long as the packet.
class ChunkReader {
 public:
  explicit ChunkReader(absl::Span<const uint8_t> chunks) : reader_(chunks) {}

  // Moves to the next chunk. False at the end, and when error() says what is wrong.
  bool Next();
  const char* error() const { return error_; }

  ChunkKind kind() const { return kind_; }
  // Of the chunk at hand, when it is of that kind.
  const AckChunk& ack() const { return ack_; }
  const FrameChunk& frame() const { return frame_; }
  const AbortChunk& abort() const { return abort_; }
  uint64_t value() const { return value_; }  // of MAX DATA and CLOSE

 private:
  bool Fail(const char* why) {
    error_ = why;
    return false;
  }
  bool ReadAck();
  bool ReadFrame(uint8_t flags);
  bool ReadAbort();

  wire::Reader reader_;
  const char* error_ = nullptr;
  ChunkKind kind_ = ChunkKind::kPadding;
  uint64_t value_ = 0;
  FrameChunk frame_;
  AbortChunk abort_;
  AckChunk ack_;
};

// Writers of chunks at the end of a packet. Each writes a whole chunk, or nothing and returns
// false when there is no room.
class ChunkWriter {
 public:
  explicit ChunkWriter(absl::Span<uint8_t> room)
      : begin_(room.data()), at_(room.data()), end_(room.data() + room.size()) {}

  size_t size() const { return static_cast<size_t>(at_ - begin_); }
  size_t left() const { return static_cast<size_t>(end_ - at_); }

  bool Ping();
  // With as many of the ranges, highest first, as there is room for, and at least one.
  bool Ack(const IntervalSet& packets, size_t max_ranges, uint64_t not_below, uint64_t delay_us);
  bool MaxData(uint64_t credit) { return Number(ChunkKind::kMaxData, credit); }
  bool Close(uint64_t frames) { return Number(ChunkKind::kClose, frames); }
  bool Abort(uint8_t code, absl::string_view text);
  // The bytes of `chunk` are copied.
  bool Frame(const FrameChunk& chunk);
  // The same with `size` bytes, which the caller writes where this says; null: no room. Those of
  // `chunk` are not looked at.
  uint8_t* FrameOf(const FrameChunk& chunk, size_t size);
  // Fills what is left.
  void Padding();

  // Bytes of a FRAME chunk beside the `size` of the frame's.
  static size_t FrameOverhead(const FrameChunk& chunk, size_t size);

 private:
  bool Number(ChunkKind kind, uint64_t value);

  uint8_t* const begin_;
  uint8_t* at_;
  uint8_t* const end_;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CHUNK_H_
