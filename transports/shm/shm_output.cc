#include "transports/shm/shm_output.h"

namespace anywire {
namespace {

// While little waits, only so much of the ring is used: it stays in the processor's cache, and the
// rest need not be in memory at all.
constexpr uint64_t kWarm = 8 << 10;

}  // namespace

// Goes back to the ring's beginning, if little waits and there is room for the way there.
void ShmOutput::Rewind(uint64_t need) {
  rewind_at_ = producer_.position() + kWarm;
  const uint64_t offset = producer_.position() & mask_;
  const uint64_t way = mask_ + 1 - offset;
  if (offset < kWarm || way < kShmFrameHeaderSize || !producer_.Refresh() ||
      producer_.used() > kWarm / 2 || !producer_.Fits(way + need)) {
    return;
  }
  WriteShmFrameHeader({0, ShmFrameHeader::kRewind, 0}, ring_ + offset);
  producer_.Fill(way);
  rewind_at_ = producer_.position() + kWarm;
}

}  // namespace anywire
