// The two sides of rings as programs of the model checker: RingProducer and RingConsumer with
// atomics that are its operations, and what connections do around them; and what can be broken in
// it, one thing at a time.
#ifndef ANYWIRE_TRANSPORTS_SHM_RING_MODEL_H_
#define ANYWIRE_TRANSPORTS_SHM_RING_MODEL_H_

#include <optional>
#include <utility>

#include "transports/shm/interleavings.h"
#include "transports/shm/ring_indices.h"

namespace anywire::test {

using Order = Interleavings::Order;

// The words of a ring, by their numbers in the checker; a second ring's are behind them.
enum WordId { kTail, kRoomWanted, kRung, kHead, kSleep, kData, kWordsOfARing = kData + 2 };
enum BellId { kDataBell, kRoomBell, kBellsOfARing };

struct Mutation {
  const char* name = "";
  // A word whose stores, meant to be sequentially consistent, only release, or not even that.
  int released = -1;
  int relaxed = -1;
  // A word whose store changes places with the load behind it.
  int late = -1;
  bool no_recheck = false;            // sleeps whatever Announce says
  bool announces_once = false;        // rung without news, sleeps again without having said so
  bool no_wake = false;               // does not ring for data
  bool wakes_twice = false;           // rings twice for data
  bool no_ring_for_room = false;      // nor for room
  bool rings_for_room_twice = false;  // twice for room
  bool waits_unannounced = false;     // waits for room without having said so
  bool futex_without_a_look = false;  // sleeps although it has been rung for
};
inline Mutation mutation;

// The side that is running.
inline Interleavings::Side* running = nullptr;
// Of Mutation::late: what is still to be stored.
inline std::optional<std::pair<int, uint64_t>> late_store;

inline Interleavings::Program AsProgram(std::function<void()> run) {
  return [run = std::move(run)](Interleavings::Side& side) {
    running = &side;
    late_store.reset();
    run();
  };
}

struct ModelAtomics {
  template <typename T>
  class Word {
   public:
    T LoadAcquire() const {
      const auto value = static_cast<T>(running->Load(id));
      if (const auto late = std::exchange(late_store, std::nullopt)) {
        running->Store(late->first, late->second, Order::kSeqCst);
      }
      return value;
    }
    T LoadSeqCst() const { return LoadAcquire(); }
    void StoreRelaxed(T value) { running->Store(id, value, Order::kRelaxed); }
    void StoreSeqCst(T value) {
      const int kind = id % kWordsOfARing;
      if (kind == mutation.late) {
        late_store = {id, value};
        return;
      }
      running->Store(id, value,
                     kind == mutation.released  ? Order::kRelease
                     : kind == mutation.relaxed ? Order::kRelaxed
                                                : Order::kSeqCst);
    }
    int id = 0;
  };
};

// A ring of one frame or two.
struct ModelRing {
  explicit ModelRing(int number, uint64_t frames = 2)
      : capacity(frames * kFrame),
        first_word(number * kWordsOfARing),
        first_bell(number * kBellsOfARing) {
    words.tail.id = first_word + kTail;
    words.room_wanted.id = first_word + kRoomWanted;
    words.rung.id = first_word + kRung;
    words.head.id = first_word + kHead;
    words.sleep.id = first_word + kSleep;
  }
  static constexpr uint64_t kFrame = kRingAlignment;

  int data_word(uint64_t position) const {
    return first_word + kData + static_cast<int>(position % capacity / kFrame);
  }
  const uint64_t capacity;
  const int first_word, first_bell;
  RingWords<ModelAtomics> words;
};

class ModelSender {
 public:
  explicit ModelSender(ModelRing& ring) : ring_(ring), producer_(ring.words, ring.capacity) {}

  // Waits for room if need be, and then sends this.
  void Send(uint64_t content) {
    while (!producer_.Fits(ring_.kFrame)) {
      ++rings_asked_;
      if (!mutation.waits_unannounced && producer_.FitsOrRings(ring_.kFrame)) break;
      running->WaitForRing(bell());
      ++rings_heard_;
    }
    running->Check(!producer_.broken(), "the consumer's index is out of range");
    running->Store(ring_.data_word(producer_.position()), content, Order::kRelaxed);
    producer_.Fill(ring_.kFrame);
    const Sleep sleep = producer_.Publish(producer_.position());
    if (mutation.no_wake) return;
    if (sleep == Sleep::kThread) running->FutexWake(ring_.first_word + kRung);
    if (sleep != Sleep::kLoop) return;
    running->Ring(ring_.first_bell + kDataBell);
    if (mutation.wakes_twice) running->Ring(ring_.first_bell + kDataBell);
  }
  // What comes on the socket, the connection counts; more than it asked for ends it.
  void CheckRings() {
    running->Check(rings_heard_ + running->Rings(bell()) <= rings_asked_, "a ring too many");
  }

 private:
  int bell() const { return ring_.first_bell + kRoomBell; }

  ModelRing& ring_;
  RingProducer<ModelAtomics> producer_;
  uint64_t rings_asked_ = 0, rings_heard_ = 0;
};

class ModelReceiver {
 public:
  ModelReceiver(ModelRing& ring, Sleep how)
      : ring_(ring), consumer_(ring.words, ring.capacity), how_(how) {}

  // Waits for the next frame, which is this.
  void Receive(uint64_t content) {
    for (;;) {
      const uint64_t available = consumer_.Available();
      running->Check(available != consumer_.kBroken, "the producer's index is out of range");
      if (available > 0) break;
      while (Announce() || mutation.no_recheck) {
        do {
          WaitForRing();
        } while (mutation.announces_once && !consumer_.HasNews());
      }
    }
    running->Check(running->Load(ring_.data_word(consumer_.position())) == content,
                   "a frame is not the next");
    consumer_.Consume(ring_.kFrame);
    if (!consumer_.Release() || mutation.no_ring_for_room) return;
    running->Ring(ring_.first_bell + kRoomBell);
    if (mutation.rings_for_room_twice) running->Ring(ring_.first_bell + kRoomBell);
  }
  void CheckRings() {
    if (how_ != Sleep::kLoop) return;
    running->Check(rings_heard_ + running->Rings(bell()) <= rings_asked_, "a ring too many");
  }

 private:
  int bell() const { return ring_.first_bell + kDataBell; }
  bool Announce() {
    ++rings_asked_;
    return consumer_.Announce(how_);
  }
  void WaitForRing() {
    if (how_ == Sleep::kLoop) {
      running->WaitForRing(bell());
      ++rings_heard_;
      return;
    }
    const uint32_t rung = consumer_.Rung();
    if (!consumer_.IsRungFor(rung) || mutation.futex_without_a_look) {
      running->FutexWait(ring_.first_word + kRung, rung);
    }
  }

  ModelRing& ring_;
  RingConsumer<ModelAtomics> consumer_;
  const Sleep how_;
  uint64_t rings_asked_ = 0, rings_heard_ = 0;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TRANSPORTS_SHM_RING_MODEL_H_
