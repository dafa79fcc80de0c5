// Whole calls through both machines: what a caller and a handler see when all goes well.
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/protocol/testing.h"

namespace anywire::protocol {
namespace {

using testing::MachinePair;
using testing::PayloadOf;
using testing::SentFrame;
using testing::TextOf;

TEST(UnaryTest, IsOneFrameEachWay) {
  MachinePair pair;
  ASSERT_TRUE(pair.Settle().ok());  // hellos
  const std::string request = "ping", reply = "pong";
  for (int i = 0; i < 3; ++i) {
    const CallId call = *pair.OpenUnary(request);
    EXPECT_FALSE(pair.queued);
    const std::vector<SentFrame> sent(pair.client_log.frames.begin(), pair.client_log.frames.end());
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].stream, 1u);
    // The name goes in full once, then the method is one byte.
    EXPECT_EQ(sent[0].bytes.size(),
              request.size() + (i == 0 ? 3 + strlen("test.Service/Method") : 2));
    ASSERT_TRUE(pair.Settle().ok());
    Protocol::Events events = pair.TakeServerEvents();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].bits, Event::kIncoming | Event::kMessage | Event::kHalfClose);
    EXPECT_EQ(TextOf(events[0]), request);
    const Payload payload = PayloadOf(reply);
    pair.server.Finish(events[0].call, absl::OkStatus(), nullptr, &payload);
    ASSERT_EQ(pair.server_log.frames.size(), 1u);
    EXPECT_EQ(pair.server_log.frames[0].bytes.size(), reply.size() + 1);
    pair.server.Release(events[0].call, pair.server_events);
    ASSERT_TRUE(pair.Settle().ok());
    Protocol::Events done = pair.TakeClientEvents();
    ASSERT_EQ(done.size(), 1u);
    EXPECT_EQ(done[0].bits, Event::kMessage | Event::kFinished);
    EXPECT_EQ(done[0].call, call);
    EXPECT_EQ(TextOf(done[0]), reply);
    EXPECT_EQ(done[0].final, nullptr);
    pair.client.Release(call, pair.client_events);
    EXPECT_EQ(pair.client.call_count(), 0u);
    EXPECT_EQ(pair.server.call_count(), 0u);
    EXPECT_FALSE(pair.client.wants_pump());
    EXPECT_FALSE(pair.server.wants_pump());
  }
  EXPECT_EQ(pair.factory.lookups, 1);
}

}  // namespace
}  // namespace anywire::protocol
