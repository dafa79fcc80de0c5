// For tests of one direction without a connection: both of its ends.
#ifndef ANYWIRE_TRANSPORTS_SHM_RING_FIXTURE_H_
#define ANYWIRE_TRANSPORTS_SHM_RING_FIXTURE_H_

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "transports/shm/shm_input.h"
#include "transports/shm/shm_output.h"

namespace anywire {

using Bytes = std::vector<uint8_t>;
inline constexpr size_t kRing = 64 << 10;

// Both ends of one direction.
struct Ring {
  explicit Ring(size_t ring_size = kRing, bool in_place = false)
      : made(ShmRegion::Create(ring_size).value()),
        output(*made.region, ShmRegion::kToConnector),
        input(*made.region, ShmRegion::kToConnector, in_place) {}

  const uint8_t* bytes() const { return made.region->ring(ShmRegion::kToConnector); }
  bool Send(uint64_t stream, const std::string& body) {
    const absl::Span<uint8_t> frame = output.NewFrame(stream, body.size());
    if (frame.data() == nullptr) return false;
    std::memcpy(frame.data(), body.data(), body.size());
    output.Publish();
    output.Transmit();
    return true;
  }
  std::vector<std::pair<uint64_t, std::string>> Receive() {
    std::vector<std::pair<uint64_t, std::string>> frames;
    for (const ReceivedFrame& frame : input.Take()) {
      frames.push_back({frame.stream, std::string(frame.bytes.begin(), frame.bytes.end())});
    }
    input.Release();
    return frames;
  }

  ShmRegion::New made;
  ShmOutput output;
  ShmInput input;
};
using Frames = std::vector<std::pair<uint64_t, std::string>>;

// What a peer writes itself.
struct ByHand : Ring {
  using Ring::Ring;
  void Header(uint64_t at, uint32_t size, uint32_t kind) {
    WriteShmFrameHeader({size, kind, 1},
                        made.region->ring(ShmRegion::kToConnector) + at % made.region->ring_size());
  }
  void Tail(uint64_t tail) { made.region->words(ShmRegion::kToConnector).tail.StoreSeqCst(tail); }
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_RING_FIXTURE_H_
