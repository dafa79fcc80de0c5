// The protocol of ring_indices.h over all interleavings of its two sides, with the very code that
// runs in production; and with that code broken in one place at a time, which must be found.
#include "transports/shm/ring_model.h"

#include <cstdio>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/watchdog.h"

namespace anywire {
namespace {

using namespace test;  // NOLINT: the model

// One side sends so many frames to the other through a ring for `room`; with more it waits for
// that.
Interleavings::Outcome OneWay(uint64_t frames, uint64_t room, Sleep how, const Mutation& broken) {
  mutation = broken;
  ModelRing ring(0, room);
  return Interleavings::Explore(AsProgram([&ring, frames] {
                                  ModelSender sender(ring);
                                  for (uint64_t i = 1; i <= frames; ++i) sender.Send(i);
                                  sender.CheckRings();
                                }),
                                AsProgram([&ring, frames, how] {
                                  ModelReceiver receiver(ring, how);
                                  for (uint64_t i = 1; i <= frames; ++i) receiver.Receive(i);
                                  receiver.CheckRings();
                                }));
}

// Calls: so many requests are sent, each is answered, and then the answers are received.
Interleavings::Outcome ToAndFro(uint64_t calls, uint64_t at_once, Sleep client, Sleep server,
                                const Mutation& broken) {
  mutation = broken;
  ModelRing there(0), back(1);
  return Interleavings::Explore(AsProgram([&there, &back, calls, at_once, client] {
                                  ModelSender sender(there);
                                  ModelReceiver receiver(back, client);
                                  for (uint64_t i = 1; i <= calls; i += at_once) {
                                    for (uint64_t j = i; j < i + at_once; ++j) sender.Send(j);
                                    for (uint64_t j = i; j < i + at_once; ++j) receiver.Receive(j);
                                  }
                                }),
                                AsProgram([&there, &back, calls, server] {
                                  ModelReceiver receiver(there, server);
                                  ModelSender sender(back);
                                  for (uint64_t i = 1; i <= calls; ++i) {
                                    receiver.Receive(i);
                                    sender.Send(i);
                                  }
                                }));
}

// Whether the checker finds what is broken, in a ring of one frame or of two. (In that of two, what
// is missed of the first is mostly made up for by the second.)
bool IsFound(Sleep how, const Mutation& broken) {
  constexpr uint64_t kFrames = 3;
  return !OneWay(kFrames, 1, how, broken).failure.empty() ||
         !OneWay(kFrames, 2, how, broken).failure.empty();
}

// A sanitizer would take minutes for the most states, of a program that has one thread.
bool IsTooMuch(int frames) { return frames > 2 && test::BuildSlowness() > 1; }

class RingModelTest : public ::testing::TestWithParam<Sleep> {};

TEST_P(RingModelTest, NobodyMissesTheOther) {
  for (const auto& [frames, room] : {std::pair{1, 2}, {2, 2}, {3, 2}, {2, 1}, {3, 1}}) {
    if (IsTooMuch(frames)) continue;
    const Interleavings::Outcome outcome = OneWay(frames, room, GetParam(), {});
    EXPECT_EQ("", outcome.failure) << frames << " frames, room for " << room;
    std::printf("%d frames, room for %d: %zu states\n", frames, room, outcome.states);
  }
}

TEST_P(RingModelTest, CallsGoToAndFro) {
  for (const Sleep server : {Sleep::kThread, Sleep::kLoop}) {
    for (const auto& [calls, at_once] : {std::pair{1, 1}, {2, 1}}) {
      if (IsTooMuch(2 * calls)) continue;  // a frame each way
      const Interleavings::Outcome outcome = ToAndFro(calls, at_once, GetParam(), server, {});
      EXPECT_EQ("", outcome.failure) << calls << " calls, " << at_once << " at once";
      std::printf("%d calls, %d at once: %zu states\n", calls, at_once, outcome.states);
    }
  }
}

TEST_P(RingModelTest, WhatIsBrokenIsFound) {
  for (const Mutation& broken : {
           Mutation{.name = "tail is not ordered before sleep", .released = kTail},
           Mutation{.name = "sleep is not ordered before tail", .released = kSleep},
           Mutation{.name = "head is not ordered before room_wanted", .released = kHead},
           Mutation{.name = "room_wanted is not ordered before head", .released = kRoomWanted},
           Mutation{.name = "tail is not ordered behind the frame", .relaxed = kTail},
           Mutation{.name = "tail behind sleep", .late = kTail},
           Mutation{.name = "sleep behind tail", .late = kSleep},
           Mutation{.name = "head behind room_wanted", .late = kHead},
           Mutation{.name = "room_wanted behind head", .late = kRoomWanted},
           Mutation{.name = "no second look", .no_recheck = true},
           Mutation{.name = "no wake", .no_wake = true},
           Mutation{.name = "no ring for room", .no_ring_for_room = true},
           Mutation{.name = "two rings for room", .rings_for_room_twice = true},
           Mutation{.name = "no word that room is waited for", .waits_unannounced = true},
       }) {
    EXPECT_TRUE(IsFound(GetParam(), broken)) << broken.name;
  }
  // These matter to one of them.
  for (const auto& [how, broken] :
       {std::pair{Sleep::kThread,
                  Mutation{.name = "no look at rung", .futex_without_a_look = true}},
        {Sleep::kThread,
         Mutation{.name = "rung is not ordered before the wake", .released = kRung}},
        {Sleep::kLoop, Mutation{.name = "announces once", .announces_once = true}},
        {Sleep::kLoop, Mutation{.name = "two rings for data", .wakes_twice = true}}}) {
    if (how != GetParam()) continue;
    EXPECT_TRUE(IsFound(how, broken)) << broken.name;
  }
}

// And in either direction.
TEST_P(RingModelTest, WhatIsBrokenIsFoundInCalls) {
  for (const Mutation& broken : {
           Mutation{.name = "tail is not ordered before sleep", .released = kTail},
           Mutation{.name = "sleep is not ordered before tail", .released = kSleep},
           Mutation{.name = "tail behind sleep", .late = kTail},
           Mutation{.name = "sleep behind tail", .late = kSleep},
           Mutation{.name = "no second look", .no_recheck = true},
           Mutation{.name = "no wake", .no_wake = true},
       }) {
    for (const Sleep server : {Sleep::kThread, Sleep::kLoop}) {
      EXPECT_NE("", ToAndFro(1, 1, GetParam(), server, broken).failure) << broken.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sleepers, RingModelTest, ::testing::Values(Sleep::kThread, Sleep::kLoop),
                         [](const ::testing::TestParamInfo<Sleep>& info) {
                           return info.param == Sleep::kThread ? "Thread" : "Loop";
                         });

}  // namespace
}  // namespace anywire
