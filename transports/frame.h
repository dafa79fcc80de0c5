// The unit that travels: a frame is a run of bytes that belongs to one stream.
//
// Streams are numbered by the protocol above (stream 0 is the connection's own, the others are
// calls). A transport carries the number beside the bytes and gives both back on the other side;
// what it promises about order is stated in transport.h.
#ifndef ANYWIRE_TRANSPORTS_FRAME_H_
#define ANYWIRE_TRANSPORTS_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/types/span.h"
#include "anywire/message_memory.h"

namespace anywire {

// A frame that has been received. `bytes` is a view into memory of the connection; see
// Connection::Receive for how long it lives.
struct ReceivedFrame {
  uint64_t stream = 0;
  absl::Span<const uint8_t> bytes;
};

// Writes a frame of two parts into the room that `sink.NewFrame` gives. False: there is none.
template <typename Sink>
bool WriteFrame(Sink& sink, uint64_t stream, absl::Span<const uint8_t> head,
                absl::Span<const uint8_t> body) {
  const absl::Span<uint8_t> frame = sink.NewFrame(stream, head.size() + body.size());
  if (frame.data() == nullptr) return false;
  std::memcpy(frame.data(), head.data(), head.size());
  if (!body.empty()) std::memcpy(frame.data() + head.size(), body.data(), body.size());
  return true;
}

// Where a protocol machine writes its frames. Connection is one; tests have others.
class FrameSink {
 public:
  virtual ~FrameSink() = default;

  // Gives `size` writable bytes for the next frame of `stream`, or a span with a null data() when
  // there is no room now. The frame counts as filled by the next call of any sending function.
  // `size` is at least 1 and at most the sink's largest frame. The bytes are uninitialised,
  // contiguous and the sink's.
  virtual absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) = 0;

  // Whether AddFrame sends memory as it is. Constant.
  virtual bool takes_memory() const { return false; }

  // A frame that has been written already: the `size` bytes at `offset` of `memory`. False, and
  // the memory is still the caller's, when there is no room now. A sink that does not take memory
  // copies them.
  virtual bool AddFrame(uint64_t stream, MessageMemory& memory, size_t offset, size_t size) {
    const absl::Span<uint8_t> frame = NewFrame(stream, size);
    if (frame.data() == nullptr) return false;
    std::memcpy(frame.data(), memory.get() + offset, size);
    memory = nullptr;
    return true;
  }

  // A frame of `head`, a byte or more that are copied, and behind it the `size` bytes, or none, at
  // `offset` of `memory`. The sink copies those too, or holds the memory, all of it, until it needs
  // them no more (one that sends again: until they are acknowledged) or ends; it lets go on any
  // thread. False: there is no room now.
  virtual bool AddPiece(uint64_t stream, absl::Span<const uint8_t> head,
                        const SharedMessageMemory& memory, size_t offset, size_t size) {
    return WriteFrame(*this, stream, head, absl::MakeConstSpan(memory.get() + offset, size));
  }
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_FRAME_H_
