// The shared words of a ring and the two who use them: how far it has been written and read, and
// how one side goes to sleep without missing the other.
//
//      producer                                    consumer
//   1  writes frames behind `tail`             1  stores `sleep`            (Announce)
//   2  stores `tail`          (Publish)        2  loads `tail`: anything new? then it stays awake
//   3  loads `sleep`: asleep? then rings       3  sleeps until it is rung
//
// Stores and loads 2, 3 and 1, 2 are sequentially consistent, so at least one of the two sees what
// the other has done (Dekker); all else is release and acquire. A value of `sleep` is used once and
// rung for once, so one side never has to write the other's word. For room, the same is done in
// the other direction: `room_wanted` against `head`.
//
// Each word has one writer, the process of its side; the other reads it, once for each decision,
// and believes nothing that is out of range. Indices are bytes since the ring was made and never
// wrap in practice (64 bits).
//
// This is a template for the sake of its model checker (ring_model_test.cc), which runs it with
// atomics of its own over all interleavings.
#ifndef ANYWIRE_TRANSPORTS_SHM_RING_INDICES_H_
#define ANYWIRE_TRANSPORTS_SHM_RING_INDICES_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "transports/shm/native_atomics.h"

namespace anywire {

// How a side sleeps, and so how it is woken.
enum class Sleep : uint32_t {
  kAwake = 0,
  kThread = 1,  // a thread, by futex on `rung`
  kLoop = 2,    // an event loop, by the socket
};

// All zero at first. Two cache lines for each that is written by itself, since processors fetch
// them in pairs.
template <typename Atomics>
struct alignas(512) RingWords {
  // The producer's.
  alignas(128) typename Atomics::template Word<uint64_t> tail;  // end of what has been published
  typename Atomics::template Word<uint32_t> room_wanted;        // odd: it waits for room
  typename Atomics::template Word<uint32_t> rung;               // the `sleep` of a thread it rang
  // The consumer's.
  alignas(128) typename Atomics::template Word<uint64_t> head;   // end of what has been given back
  alignas(128) typename Atomics::template Word<uint32_t> sleep;  // Sleep in the two lowest bits
};

inline constexpr uint64_t kRingAlignment = 8;  // of all indices

// The consumer gives back in steps of no less than this.
constexpr uint64_t ReleaseStep(uint64_t capacity) { return std::min<uint64_t>(capacity / 8, 2048); }

template <typename Atomics>
class RingProducer {
 public:
  // `capacity`: a power of two.
  RingProducer(RingWords<Atomics>& words, uint64_t capacity) : words_(words), capacity_(capacity) {}

  // ---- filling: one thread at a time

  // Where the next byte goes.
  uint64_t position() const { return position_; }
  // The bytes in front of it that have not been given back, as far as is known here.
  uint64_t used() const { return position_ - head_; }
  // Whether `size` bytes fit now.
  bool Fits(uint64_t size) { return used() + size <= capacity_ || (Refresh() && Fitted(size)); }
  // The same after Fits said no; if it says no again, the consumer rings when half of the ring is
  // free.
  bool FitsOrRings(uint64_t size) {
    room_wanted_ += (room_wanted_ & 1) != 0 ? 2 : 1;
    words_.room_wanted.StoreSeqCst(room_wanted_);
    if (!Refresh() || !Fitted(size)) return false;
    words_.room_wanted.StoreRelaxed(++room_wanted_);
    return true;
  }
  void Fill(uint64_t size) { position_ += size; }
  // Looks at what the consumer has given back. False when that cannot be: see broken.
  bool Refresh() {
    const uint64_t head = words_.head.LoadSeqCst();
    if (position_ - head > capacity_ || head % kRingAlignment != 0) {
      broken_ = true;
    } else {
      head_ = head;
    }
    return !broken_;
  }
  // The consumer's index makes no sense.
  bool broken() const { return broken_; }

  // ---- publishing: one thread at a time, beside filling

  // Shows the consumer all before `tail`, and says how to wake it, if it sleeps.
  Sleep Publish(uint64_t tail) {
    words_.tail.StoreSeqCst(tail);
    const uint32_t sleep = words_.sleep.LoadSeqCst();
    if (sleep == rung_ || (sleep & 3) == 0) return Sleep::kAwake;
    rung_ = sleep;
    if (static_cast<Sleep>(sleep & 3) == Sleep::kThread) words_.rung.StoreSeqCst(sleep);
    return static_cast<Sleep>(sleep & 3);
  }

 private:
  bool Fitted(uint64_t size) const { return used() + size <= capacity_; }

  RingWords<Atomics>& words_;
  const uint64_t capacity_;
  // Filling.
  uint64_t position_ = 0;
  uint64_t head_ = 0;  // as last seen
  uint32_t room_wanted_ = 0;
  bool broken_ = false;
  // Publishing, on a line of its own.
  alignas(64) uint32_t rung_ = 0;
};

template <typename Atomics>
class RingConsumer {
 public:
  RingConsumer(RingWords<Atomics>& words, uint64_t capacity) : words_(words), capacity_(capacity) {}

  // ---- reading: one thread at a time

  static constexpr uint64_t kBroken = UINT64_MAX;
  uint64_t position() const { return position_.load(std::memory_order_relaxed); }
  // The bytes to be read at position(); kBroken when the producer's index makes no sense.
  uint64_t Available() {
    tail_ = words_.tail.LoadAcquire();
    const uint64_t size = tail_ - position();
    return size <= capacity_ && size % kRingAlignment == 0 ? size : kBroken;
  }
  // So many of them have been read, and may be written over after the next Release.
  void Consume(uint64_t size) { position_.store(position() + size, std::memory_order_relaxed); }
  // Gives back what has been read, when it is enough to be worth it. Returns whether to ring the
  // producer.
  bool Release() {
    if (position() - released_ < ReleaseStep(capacity_)) return false;
    released_ = position();
    words_.head.StoreSeqCst(released_);
    const uint32_t wanted = words_.room_wanted.LoadSeqCst();
    // What is still to be read will be given back too, and looked at then.
    if (wanted == rung_ || (wanted & 1) == 0 || tail_ - released_ > capacity_ / 2) return false;
    rung_ = wanted;
    return true;
  }

  // ---- sleeping: one thread at a time, beside reading

  // Whether anything is there beyond what has been read. (A broken index is.)
  bool HasNews() const { return words_.tail.LoadSeqCst() != position(); }
  // Says that this side goes to sleep. False: there is news, and it has been unsaid.
  bool Announce(Sleep how) {
    word_ = ((word_ | 3) + 1) | static_cast<uint32_t>(how);
    words_.sleep.StoreSeqCst(word_);
    if (!HasNews()) return true;
    Retract();
    return false;
  }
  // It is awake.
  void Retract() {
    word_ &= ~uint32_t{3};
    words_.sleep.StoreRelaxed(word_);
  }
  // How this side has said that it sleeps.
  Sleep announced() const { return static_cast<Sleep>(word_ & 3); }
  // A thread that has announced its sleep looks at `rung`: unless it has been rung for, it sleeps
  // while that stays the same.
  uint32_t Rung() const { return words_.rung.LoadSeqCst(); }
  bool IsRungFor(uint32_t rung) const { return rung == word_; }

 private:
  RingWords<Atomics>& words_;
  const uint64_t capacity_;
  // Reading.
  std::atomic<uint64_t> position_{0};  // the sleeper looks at it too
  uint64_t tail_ = 0;                  // as last seen
  uint64_t released_ = 0;              // position() as the producer has been told
  uint32_t rung_ = 0;
  // Sleeping.
  uint32_t word_ = 0;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_RING_INDICES_H_
