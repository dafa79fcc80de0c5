// Grants ahead: a row of large messages does not wait for leave each time, and what is granted
// ahead leaves room for others.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/protocol/testing.h"
#include "runtime/wire/frame_kinds.h"

namespace anywire::protocol {
namespace {

using testing::Find;
using testing::MachinePair;
using testing::OpenCall;
using testing::PayloadOf;
using testing::TextOf;

constexpr size_t kLarge = 1 << 20;

// Sends a message on the call, which is read.
void SendAndRead(MachinePair& pair, const OpenCall& call, const std::string& message) {
  ASSERT_NE(pair.client.Send(call.client, PayloadOf(message)), SendResult::kOver);
  ASSERT_TRUE(pair.Settle().ok());
  const Protocol::Events events = pair.TakeServerEvents();
  const Event* const event = Find(events, Event::kMessage);
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(TextOf(*event), message);
  pair.server.Consumed(call.server, message.size());
  ASSERT_TRUE(pair.Settle().ok());
  pair.TakeClientEvents();
}

// How many bytes leave of a message before the receiver says anything.
size_t SentAtOnce(MachinePair& pair, const OpenCall& call, const std::string& message) {
  EXPECT_EQ(pair.client.Send(call.client, PayloadOf(message)), SendResult::kQueued);
  pair.client.Pump(pair.now, pair.client_events);
  size_t bytes = 0;
  for (const testing::SentFrame& frame : pair.client_log.frames) bytes += frame.bytes.size();
  return bytes;
}

TEST(GrantsTest, TheFirstLargeMessageWaitsAndTheNextDoNot) {
  MachinePair pair;
  OpenCall call(pair);
  const std::string message(kLarge, 'x');
  EXPECT_LT(SentAtOnce(pair, call, message), kLarge);
  ASSERT_TRUE(pair.Settle().ok());
  pair.TakeServerEvents();
  pair.server.Consumed(call.server, kLarge);
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_GT(SentAtOnce(pair, call, message), kLarge);
  ASSERT_TRUE(pair.Settle().ok());
  // Nor the one after, while the one before is still unread.
  EXPECT_NE(Find(pair.TakeServerEvents(), Event::kMessage), nullptr);
  EXPECT_GT(SentAtOnce(pair, call, message), kLarge);
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_NE(Find(pair.TakeServerEvents(), Event::kMessage), nullptr);
}

TEST(GrantsTest, AReaderThatStopsIsGrantedNoMore) {
  MachinePair pair;
  OpenCall call(pair);
  const std::string message(kLarge, 'x');
  const size_t share = Limits().call_window / 2;
  const size_t excess = kLarge + wire::kMessageOverhead - share;
  // However long the row is.
  for (int i = 0; i < 4; ++i) {
    SendAndRead(pair, call, message);
    EXPECT_EQ(pair.server.account().held, 2 * excess);
  }
  // What is unread counts too, whether or not the reader then goes on.
  for (size_t unread = 1; unread <= 2; ++unread) {
    ASSERT_EQ(pair.client.Send(call.client, PayloadOf(message)), SendResult::kQueued);
    ASSERT_TRUE(pair.Settle().ok());
    EXPECT_NE(Find(pair.TakeServerEvents(), Event::kMessage), nullptr);
    EXPECT_EQ(pair.server.account().held, 2 * excess + unread * share);
  }
  pair.server.Consumed(call.server, kLarge);
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_EQ(pair.server.account().held, 2 * excess + share);
}

TEST(GrantsTest, WhereTwoDoNotFitOneIsGrantedAhead) {
  Limits limits;
  limits.call_window = 16 << 10;
  limits.connection_buffer = 0;  // hence four of the largest messages, and one to grant ahead
  limits.max_receive_message_size = kLarge;
  MachinePair pair(Limits(), limits);
  OpenCall call(pair);
  const std::string message(kLarge, 'x');
  SendAndRead(pair, call, message);
  EXPECT_EQ(pair.server.account().held, kLarge + wire::kMessageOverhead - limits.call_window / 2);
  EXPECT_GT(SentAtOnce(pair, call, message), kLarge);
  ASSERT_TRUE(pair.Settle().ok());
  EXPECT_NE(Find(pair.TakeServerEvents(), Event::kMessage), nullptr);
  // And none where one does not fit either, beside the message that is unread.
  OpenCall other(pair);
  const size_t before = pair.server.account().held;
  SendAndRead(pair, other, message);
  EXPECT_EQ(pair.server.account().held, before);
  EXPECT_LT(SentAtOnce(pair, other, message), kLarge);
}

TEST(GrantsTest, HalfOfTheReservationsIsNeverGrantedAhead) {
  MachinePair pair;
  const std::string message(kLarge, 'x');
  std::vector<OpenCall> calls;
  for (int i = 0; i < 20; ++i) {
    calls.emplace_back(pair);
    SendAndRead(pair, calls.back(), message);
    EXPECT_LE(pair.server.account().held, Limits().connection_buffer / 4);
  }
  EXPECT_GT(pair.server.account().held, kLarge);
  // So the largest message there is finds room all the same.
  OpenCall call(pair);
  SendAndRead(pair, call, std::string(Limits().max_receive_message_size, 'y'));
}

TEST(GrantsTest, WhatWasGrantedAheadIsGivenBackAtTheEnd) {
  const std::string message(kLarge, 'x');
  for (const bool cancelled : {false, true}) {
    MachinePair pair;
    OpenCall call(pair);
    SendAndRead(pair, call, message);
    EXPECT_GT(pair.server.account().held, kLarge);
    if (cancelled) {
      pair.client.Cancel(call.client, absl::CancelledError("enough"), pair.client_events);
    } else {
      pair.client.HalfClose(call.client);
    }
    ASSERT_TRUE(pair.Settle().ok());
    EXPECT_EQ(pair.server.account().held, 0u);
  }
}

}  // namespace
}  // namespace anywire::protocol
