// Frames that have come: checked, and copied out of the ring or viewed in it.
//
// The peer may change any byte of the ring at any time. So a header is read once, into memory of
// ours, and checked there; and a body is copied before anybody parses it, but for large ones of a
// peer that is trusted (`in_place`). When little has come it is copied as a whole, and its headers
// are read in the copy.
#ifndef ANYWIRE_TRANSPORTS_SHM_SHM_INPUT_H_
#define ANYWIRE_TRANSPORTS_SHM_SHM_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "anywire/frame.h"
#include "anywire/message_memory.h"
#include "transports/shm/ring_indices.h"
#include "transports/shm/shm_frame.h"
#include "transports/shm/shm_region.h"
#include "transports/stream/io_block.h"

namespace anywire {

// Bytes of the largest body that is always copied; copying it costs less than what in-place parsing
// saves.
inline constexpr size_t kCopiedFrameSize = 4096;

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
    if (!taken_) return false;
    taken_ = false;
    frames_.clear();
    block_.reset();
    large_.reset();
    return consumer_.Release();
  }
  // When nothing has come: gives back what a burst has made grow.
  void Shrink() {
    if (frames_.capacity() > kKeptFrames) std::vector<ReceivedFrame>().swap(frames_);
  }
  // What is shown from now on does not count.
  void Close();

  // ---- sleeping: see RingConsumer
  RingConsumer<NativeAtomics>& consumer() { return consumer_; }
  const RingConsumer<NativeAtomics>& consumer() const { return consumer_; }
  const void* rung_word() const { return rung_word_; }

 private:
  // Copied in one go.
  static constexpr size_t kLittle = 1024;
  // The list of so many frames is kept while nothing comes.
  static constexpr size_t kKeptFrames = 64;

  absl::Span<const ReceivedFrame> TakeFrom(uint64_t available);
  void TakeLittle(uint64_t available);
  void TakeMuch(uint64_t available);
  // Where to copy a body to behind `copied` bytes; null: not in this batch.
  uint8_t* PlaceOfCopy(size_t size, uint64_t copied);
  // The bytes of the whole frame at the front of `left`, of which `header` has been read; 0 when
  // they are not right.
  uint64_t SizeOf(const ShmFrameHeader& header, uint64_t left);
  void Bad(const char* why) {
    if (frames_.empty()) error_ = why;
  }

  const uint8_t* const ring_;
  const uint64_t mask_;
  const size_t max_frame_size_;
  const bool in_place_;
  RingConsumer<NativeAtomics> consumer_;
  const void* const rung_word_;
  std::vector<ReceivedFrame> frames_;
  IoBlockPtr block_;      // the copies, when they are many
  MessageMemory large_;   // the copy of one that is larger
  bool rewound_ = false;  // what was taken last is a rewind
  bool taken_ = false;
  bool closed_ = false;
  uint64_t end_ = 0;  // when closed_
  const char* error_ = nullptr;
  alignas(uint64_t) uint8_t little_[kLittle];
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_SHM_INPUT_H_
