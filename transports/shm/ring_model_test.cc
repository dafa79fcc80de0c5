// The protocol of ring_indices.h over all interleavings of its two sides, with the very code that
// runs in production; and with that code broken in one place at a time, which must be found.
#include <string>

#include "gtest/gtest.h"
#include "transports/shm/interleavings.h"
#include "transports/shm/ring_indices.h"

namespace anywire {
namespace {

using test::Interleavings;
using Side = Interleavings::Side;
using Order = Interleavings::Order;

// What can be broken.
struct Mutation {
  const char* name = "";
  bool tail_not_ordered = false;  // stores meant to be sequentially consistent only release
  bool sleep_not_ordered = false;
  bool head_not_ordered = false;
  bool room_not_ordered = false;
  bool tail_relaxed = false;          // published before what it publishes
  bool no_recheck = false;            // sleeps whatever Announce says
  bool announces_once = false;        // rung without news, sleeps again without having said so
  bool no_wake = false;               // does not ring for data
  bool no_ring_for_room = false;      // nor for room
  bool waits_unannounced = false;     // waits for room without having said so
  bool futex_without_a_look = false;  // sleeps although it has been rung for
};

enum WordId { kTail, kRoomWanted, kRung, kHead, kSleep, kData };  // and the words of data behind
enum BellId { kDataBell, kRoomBell };

// The side that is running, and what is broken in it.
thread_local Side* running = nullptr;
Mutation mutation;

struct ModelAtomics {
  template <typename T>
  class Word {
   public:
    T LoadAcquire() const { return static_cast<T>(running->Load(id)); }
    T LoadSeqCst() const { return LoadAcquire(); }
    void StoreRelaxed(T value) { running->Store(id, value, Order::kRelaxed); }
    void StoreSeqCst(T value) {
      Order order = Order::kSeqCst;
      if ((id == kTail && mutation.tail_not_ordered) ||
          (id == kSleep && mutation.sleep_not_ordered) ||
          (id == kHead && mutation.head_not_ordered) ||
          (id == kRoomWanted && mutation.room_not_ordered)) {
        order = Order::kRelease;
      }
      if (id == kTail && mutation.tail_relaxed) order = Order::kRelaxed;
      running->Store(id, value, order);
    }
    int id = 0;
  };
};
using Words = RingWords<ModelAtomics>;

constexpr uint64_t kFrame = kRingAlignment;
constexpr uint64_t kCapacity = 2 * kFrame;

int DataWord(uint64_t position) { return kData + static_cast<int>(position % kCapacity / kFrame); }

void Produce(Words& words, uint64_t frames) {
  RingProducer<ModelAtomics> producer(words, kCapacity);
  for (uint64_t i = 1; i <= frames; ++i) {
    while (!producer.Fits(kFrame)) {
      if (!mutation.waits_unannounced && producer.FitsOrRings(kFrame)) break;
      running->WaitForRing(kRoomBell);
    }
    running->Check(!producer.broken(), "the consumer's index is out of range");
    running->Store(DataWord(producer.position()), i, Order::kRelaxed);
    producer.Fill(kFrame);
    const Sleep sleep = producer.Publish(producer.position());
    if (mutation.no_wake) continue;
    if (sleep == Sleep::kThread) running->FutexWake(kRung);
    if (sleep == Sleep::kLoop) running->Ring(kDataBell);
  }
}

void WaitForRing(const RingConsumer<ModelAtomics>& consumer, Sleep how) {
  if (how == Sleep::kLoop) return running->WaitForRing(kDataBell);
  const uint32_t rung = consumer.Rung();
  if (!consumer.IsRungFor(rung) || mutation.futex_without_a_look) {
    running->FutexWait(kRung, rung);
  }
}

void Consume(Words& words, uint64_t frames, Sleep how) {
  RingConsumer<ModelAtomics> consumer(words, kCapacity);
  for (uint64_t i = 1; i <= frames;) {
    const uint64_t available = consumer.Available();
    running->Check(available != consumer.kBroken, "the producer's index is out of range");
    if (available > 0) {
      running->Check(running->Load(DataWord(consumer.position())) == i, "a frame is not the next");
      consumer.Consume(kFrame);
      ++i;
      if (consumer.Release() && !mutation.no_ring_for_room) running->Ring(kRoomBell);
      continue;
    }
    while (consumer.Announce(how) || mutation.no_recheck) {
      do {
        WaitForRing(consumer, how);
      } while (mutation.announces_once && !consumer.HasNews());
    }
  }
}

Interleavings::Outcome Explore(uint64_t frames, Sleep how, const Mutation& broken) {
  mutation = broken;
  Words words;
  words.tail.id = kTail;
  words.room_wanted.id = kRoomWanted;
  words.rung.id = kRung;
  words.head.id = kHead;
  words.sleep.id = kSleep;
  return Interleavings::Explore(
      [&words, frames](Side& side) {
        running = &side;
        Produce(words, frames);
      },
      [&words, frames, how](Side& side) {
        running = &side;
        Consume(words, frames, how);
      });
}

class RingModelTest : public ::testing::TestWithParam<Sleep> {};

TEST_P(RingModelTest, NobodyMissesTheOther) {
  for (uint64_t frames : {1, 2, 3}) {
    const Interleavings::Outcome outcome = Explore(frames, GetParam(), {});
    EXPECT_EQ("", outcome.failure) << frames;
    std::printf("%d frames: %zu states\n", static_cast<int>(frames), outcome.states);
  }
}

TEST_P(RingModelTest, WhatIsBrokenIsFound) {
  constexpr uint64_t kFrames = 3;
  for (const Mutation& broken : {
           Mutation{.name = "tail is not ordered before sleep", .tail_not_ordered = true},
           Mutation{.name = "sleep is not ordered before tail", .sleep_not_ordered = true},
           Mutation{.name = "head is not ordered before room_wanted", .head_not_ordered = true},
           Mutation{.name = "room_wanted is not ordered before head", .room_not_ordered = true},
           Mutation{.name = "tail is not ordered behind the frame", .tail_relaxed = true},
           Mutation{.name = "no second look", .no_recheck = true},
           Mutation{.name = "no wake", .no_wake = true},
           Mutation{.name = "no ring for room", .no_ring_for_room = true},
           Mutation{.name = "no word that room is waited for", .waits_unannounced = true},
       }) {
    EXPECT_NE("", Explore(kFrames, GetParam(), broken).failure) << broken.name;
  }
  // These two matter to one of them.
  const Mutation broken = GetParam() == Sleep::kThread
                              ? Mutation{.name = "no look at rung", .futex_without_a_look = true}
                              : Mutation{.name = "announces once", .announces_once = true};
  EXPECT_NE("", Explore(kFrames, GetParam(), broken).failure) << broken.name;
}

INSTANTIATE_TEST_SUITE_P(Sleepers, RingModelTest, ::testing::Values(Sleep::kThread, Sleep::kLoop),
                         [](const ::testing::TestParamInfo<Sleep>& info) {
                           return info.param == Sleep::kThread ? "Thread" : "Loop";
                         });

}  // namespace
}  // namespace anywire
