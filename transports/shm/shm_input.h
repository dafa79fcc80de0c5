// Frames that have come: checked, and copied out of the ring or viewed in it.
//
// The peer may change any byte of the ring at any time. So a header is read once, into memory of
// ours, and checked there; and a body is copied before anybody parses it, but for large ones of a
// peer that is trusted (`in_place`).
#ifndef ANYWIRE_TRANSPORTS_SHM_SHM_INPUT_H_
#define ANYWIRE_TRANSPORTS_SHM_SHM_INPUT_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "anywire/frame.h"
#include "transports/shm/ring_indices.h"
#include "transports/shm/shm_frame.h"
#include "transports/shm/shm_region.h"
#include "transports/stream/io_block.h"

namespace anywire {

class ShmInput {
 public:
  ShmInput(const ShmRegion& region, ShmRegion::Direction direction, bool in_place)
      : ring_(region.ring(direction)),
        mask_(region.ring_size() - 1),
        max_frame_size_(ShmMaxFrameSize(region.ring_size())),
        in_place_(in_place),
        consumer_(region.words(direction), region.ring_size()),
        rung_word_(region.words(direction).rung.address()) {}

  // ---- reading: one thread at a time

  // What has come, as far as a batch goes; none: nothing, or error(). After Release.
  absl::Span<const ReceivedFrame> Take() {
    const uint64_t available = closed_ ? end_ - consumer_.position() : consumer_.Available();
    if (available == 0) return {};
    return TakeFrom(available);
  }
  // Null, or what is wrong with the peer's bytes behind the frames taken.
  const char* error() const { return error_; }
  // Ends the views. Returns whether to ring the peer, which waits for room.
  bool Release() {
    if (block_ == nullptr) return false;
    block_.reset();
    return consumer_.Release();
  }
  // What is shown from now on does not count.
  void Close();

  // ---- sleeping: see RingConsumer
  RingConsumer<NativeAtomics>& consumer() { return consumer_; }
  const RingConsumer<NativeAtomics>& consumer() const { return consumer_; }
  const void* rung_word() const { return rung_word_; }

 private:
  absl::Span<const ReceivedFrame> TakeFrom(uint64_t available);
  absl::Span<const ReceivedFrame> Bad(const char* why) {
    if (block_->frames.empty()) error_ = why;
    return block_->frames;
  }

  const uint8_t* const ring_;
  const uint64_t mask_;
  const size_t max_frame_size_;
  const bool in_place_;
  RingConsumer<NativeAtomics> consumer_;
  const void* const rung_word_;
  IoBlockPtr block_;  // the views, and the copies
  bool closed_ = false;
  uint64_t end_ = 0;  // when closed_
  const char* error_ = nullptr;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_SHM_INPUT_H_
