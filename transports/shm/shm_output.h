// Frames on their way out: filled in the ring itself, and shown to the peer once for all that have
// been filled.
//
//   | given back | shown to the peer | published | filled | free |
//                                    ^ Transmit  ^ Publish
#ifndef ANYWIRE_TRANSPORTS_SHM_SHM_OUTPUT_H_
#define ANYWIRE_TRANSPORTS_SHM_SHM_OUTPUT_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "transports/shm/ring_indices.h"
#include "transports/shm/shm_frame.h"
#include "transports/shm/shm_region.h"

namespace anywire {

class ShmOutput {
 public:
  ShmOutput(const ShmRegion& region, ShmRegion::Direction direction)
      : ring_(region.ring(direction)),
        mask_(region.ring_size() - 1),
        producer_(region.words(direction), region.ring_size()),
        rung_word_(region.words(direction).rung.address()) {}

  // ---- filling: one at a time
  // The frame's bytes in the ring; null when there is no room.
  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) {
    const uint64_t need = ShmFrameSize(size);
    if (producer_.position() >= rewind_at_) Rewind(need);
    if (!producer_.Fits(need)) return {};
    return Place(stream, size, need);
  }
  // The same once more, when there was none; null again: the peer rings when there is.
  absl::Span<uint8_t> NewFrameOrRing(uint64_t stream, size_t size) {
    const uint64_t need = ShmFrameSize(size);
    if (!producer_.FitsOrRings(need)) return {};
    return Place(stream, size, need);
  }
  // The peer's index makes no sense. No room is ever found then.
  bool broken() const { return producer_.broken(); }

  // ---- handing over: while nobody fills or sends. Returns whether there is something to send.
  bool Publish() {
    published_ = producer_.position();
    return published_ != shown_;
  }

  // ---- sending: one at a time, beside filling
  // Shows the peer what has been published, and says how to wake it, if it sleeps.
  Sleep Transmit() {
    if (published_ == shown_) return Sleep::kAwake;
    shown_ = published_;
    return producer_.Publish(shown_);
  }
  // What a thread of the peer sleeps on.
  const void* rung_word() const { return rung_word_; }

 private:
  absl::Span<uint8_t> Place(uint64_t stream, size_t size, uint64_t need) {
    uint8_t* const at = ring_ + (producer_.position() & mask_);
    WriteShmFrameHeader({static_cast<uint32_t>(size), ShmFrameHeader::kFrame, stream}, at);
    producer_.Fill(need);
    return absl::MakeSpan(at + kShmFrameHeaderSize, size);
  }
  void Rewind(uint64_t need);

  uint8_t* const ring_;
  const uint64_t mask_;
  RingProducer<NativeAtomics> producer_;
  const void* const rung_word_;
  uint64_t rewind_at_ = 0;
  uint64_t published_ = 0;
  uint64_t shown_ = 0;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_SHM_OUTPUT_H_
