// A frame in a ring: a header of 16 bytes, the body, and padding to the next multiple of 8.
#ifndef ANYWIRE_TRANSPORTS_SHM_SHM_FRAME_H_
#define ANYWIRE_TRANSPORTS_SHM_SHM_FRAME_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "transports/shm/ring_indices.h"

namespace anywire {

struct ShmFrameHeader {
  enum Kind : uint32_t {
    kFrame = 0,
    kRewind = 1,  // nothing more until the ring's beginning; no stream, no body
  };
  uint32_t size;  // of the body
  uint32_t kind;
  uint64_t stream;
};
inline constexpr uint64_t kShmFrameHeaderSize = 16;
static_assert(sizeof(ShmFrameHeader) == kShmFrameHeaderSize);

constexpr uint64_t ShmFrameSize(uint64_t body_size) {
  return kShmFrameHeaderSize + (body_size + kRingAlignment - 1) / kRingAlignment * kRingAlignment;
}

// The largest body in a ring of this size: two fit, so that sender and receiver work side by side.
constexpr size_t ShmMaxFrameSize(size_t ring_size) { return ring_size / 2 - kShmFrameHeaderSize; }

inline void WriteShmFrameHeader(const ShmFrameHeader& header, uint8_t* to) {
  auto* const words = reinterpret_cast<std::atomic<uint64_t>*>(to);
  words[0].store(header.size | uint64_t{header.kind} << 32, std::memory_order_relaxed);
  words[1].store(header.stream, std::memory_order_relaxed);
}

// Each word is read once, whatever the peer does meanwhile.
inline ShmFrameHeader ReadShmFrameHeader(const uint8_t* from) {
  const auto* const words = reinterpret_cast<const std::atomic<uint64_t>*>(from);
  const uint64_t first = words[0].load(std::memory_order_relaxed);
  return {static_cast<uint32_t>(first), static_cast<uint32_t>(first >> 32),
          words[1].load(std::memory_order_relaxed)};
}

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_SHM_FRAME_H_
