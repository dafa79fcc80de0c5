// The end of a connection against whoever is about to sleep, over all interleavings. These are the
// steps of ShmConnection, written down again as its two threads take them: the one that ends it
// (mostly the loop, which has seen the socket's end) and the one that would sleep. Each announces
// itself before it looks at what the other has said.
#include <cstdio>

#include "gtest/gtest.h"
#include "transports/shm/ring_model.h"

namespace anywire {
namespace {

using namespace test;  // NOLINT: the model

enum : int { kState = kWordsOfARing, kRefused };
enum : uint64_t { kOpen = 0, kEnded = 1 };
enum : int { kSocketBell = kBellsOfARing, kWritableBell };

struct Broken {
  const char* name = "";
  Order state = Order::kSeqCst;
  Order refused = Order::kSeqCst;
  bool sleeps_without_limit = false;
  bool no_look_at_state = false;  // before sleeping
  bool looks_first = false;       // at state, and only then says that it waits
};

// A thread sleeps in Receive (SleepUntil), and another ends the connection (End).
Interleavings::Outcome EndAgainstSleep(const Broken& broken) {
  mutation = {};
  ModelRing ring(0);
  return Interleavings::Explore(AsProgram([&ring, &broken] {
                                  RingConsumer<ModelAtomics> consumer(ring.words, ring.capacity);
                                  while (running->Load(kState) == kOpen) {
                                    if (!consumer.Announce(Sleep::kThread)) continue;
                                    if (!broken.no_look_at_state && running->Load(kState) != kOpen)
                                      break;
                                    const uint32_t rung = consumer.Rung();
                                    if (consumer.IsRungFor(rung)) continue;
                                    if (broken.sleeps_without_limit) {
                                      running->FutexWait(kRung, rung);
                                    } else {
                                      running->FutexWaitForAWhile(kRung, rung);
                                    }
                                  }
                                }),
                                AsProgram([&broken] {
                                  running->Store(kState, kEnded, broken.state);
                                  // (What the thread has announced, under the mutex of both.)
                                  const bool sleeps = (running->Load(kSleep) & 3) ==
                                                      static_cast<uint64_t>(Sleep::kThread);
                                  if (sleeps) running->FutexWake(kRung);
                                }));
}

TEST(EndModelTest, AThreadThatSleepsHearsOfTheEnd) {
  const Interleavings::Outcome outcome = EndAgainstSleep({});
  EXPECT_EQ("", outcome.failure);
  // Between its last look and its sleep nobody can wake it, and it looks up by itself.
  EXPECT_GT(outcome.time_outs, 0u);
  std::printf("%zu states, in %zu of them it looks up by itself\n", outcome.states,
              outcome.time_outs);
}

TEST(EndModelTest, WithoutALimitAThreadMaySleepForEver) {
  EXPECT_EQ("a side sleeps for ever",
            EndAgainstSleep({.name = "", .sleeps_without_limit = true}).failure);
}

// What the look is for: without, there are more ways to a sleep that only the time ends.
TEST(EndModelTest, WithoutALookAThreadMoreOftenSleepsForNothing) {
  const size_t usual = EndAgainstSleep({}).time_outs;
  EXPECT_GT(EndAgainstSleep({.name = "no look", .no_look_at_state = true}).time_outs, usual);
  EXPECT_GT(EndAgainstSleep({.name = "state is not ordered", .state = Order::kRelease}).time_outs,
            usual);
}

// The loop sleeps until the socket ends, which stays so: no state of it is missed.
TEST(EndModelTest, TheLoopHearsOfTheEnd) {
  mutation = {};
  ModelRing ring(0);
  const Interleavings::Outcome outcome =
      Interleavings::Explore(AsProgram([&ring] {
                               RingConsumer<ModelAtomics> consumer(ring.words, ring.capacity);
                               while (running->Load(kState) == kOpen) {
                                 if (consumer.Announce(Sleep::kLoop))
                                   running->WaitForRing(kSocketBell);
                               }
                             }),
                             AsProgram([] {
                               running->Store(kState, kEnded, Order::kSeqCst);
                               running->Ring(kSocketBell);
                             }));
  EXPECT_EQ("", outcome.failure);
}

// A sender finds no room (NewFrameWithoutRoom) and waits for OnWritable, and the loop ends the
// connection (OnReady, Attend).
Interleavings::Outcome EndAgainstWaitingForRoom(const Broken& broken) {
  mutation = {};
  return Interleavings::Explore(AsProgram([&broken] {
                                  bool open = true;
                                  if (broken.looks_first) open = running->Load(kState) == kOpen;
                                  running->Store(kRefused, 1, broken.refused);
                                  if (!broken.looks_first) open = running->Load(kState) == kOpen;
                                  if (open) running->WaitForRing(kWritableBell);
                                }),
                                AsProgram([&broken] {
                                  running->Store(kState, kEnded, broken.state);
                                  if (running->Load(kRefused) == 0) return;
                                  running->Store(kRefused, 0, Order::kSeqCst);
                                  running->Ring(kWritableBell);
                                }));
}

TEST(EndModelTest, WhoWaitsForRoomHearsOfTheEnd) {
  EXPECT_EQ("", EndAgainstWaitingForRoom({}).failure);
  for (const Broken& broken : {
           Broken{.name = "refused is not ordered before state", .refused = Order::kRelease},
           Broken{.name = "state is not ordered before refused", .state = Order::kRelease},
           Broken{.name = "state behind refused", .looks_first = true},
       }) {
    EXPECT_EQ("a side sleeps for ever", EndAgainstWaitingForRoom(broken).failure) << broken.name;
  }
}

// Frames come, and the side that sends them ends behind the last.
Interleavings::Outcome EndBehindFrames(uint64_t frames, Sleep how, bool forgets_the_last) {
  mutation = {};
  ModelRing ring(0);
  return Interleavings::Explore(
      AsProgram([&ring, frames] {
        ModelSender sender(ring);
        for (uint64_t i = 1; i <= frames; ++i) sender.Send(i);
        running->Store(kState, kEnded, Order::kSeqCst);
        running->Ring(ring.first_bell + kDataBell);
        running->FutexWake(ring.first_word + kRung);
      }),
      AsProgram([&ring, frames, how, forgets_the_last] {
        RingConsumer<ModelAtomics> consumer(ring.words, ring.capacity);
        uint64_t received = 0;
        for (bool last = false;;) {
          const uint64_t available = consumer.Available();
          for (uint64_t taken = 0; taken < available; taken += ring.kFrame) {
            running->Check(running->Load(ring.data_word(consumer.position())) == ++received,
                           "a frame is not the next");
            consumer.Consume(ring.kFrame);
          }
          consumer.Release();
          if (last) break;
          if (running->Load(kState) != kOpen) {
            if (forgets_the_last) break;
            last = true;  // what there is now is all (ReceiveLast)
            continue;
          }
          if (!consumer.Announce(how)) continue;
          if (how == Sleep::kLoop) {
            running->WaitForRing(ring.first_bell + kDataBell);
          } else if (running->Load(kState) == kOpen) {
            const uint32_t rung = consumer.Rung();
            if (!consumer.IsRungFor(rung)) running->FutexWaitForAWhile(kRung, rung);
          }
        }
        running->Check(received == frames, "a frame is lost at the end");
      }));
}

TEST(EndModelTest, WhatWasSentBeforeTheEndIsReceived) {
  for (const Sleep how : {Sleep::kThread, Sleep::kLoop}) {
    EXPECT_EQ("", EndBehindFrames(2, how, false).failure);
    EXPECT_EQ("a frame is lost at the end", EndBehindFrames(2, how, true).failure);
  }
}

}  // namespace
}  // namespace anywire
