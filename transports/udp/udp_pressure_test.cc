// A system without room.
#include <errno.h>

#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "transports/udp/udp_transport_fixture.h"

namespace anywire::udp {
namespace {

using anywire::test::Content;
using anywire::test::Frame;
using test::DatagramFaults;

class UdpPressureTest : public test::UdpTransportTest {};

// ---- a system without room

TEST_F(UdpPressureTest, FullSocketIsWaitedFor) {
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  for (const int error : {EAGAIN, ENOBUFS}) {
    Join(Target());
    DatagramFaults faults;
    for (uint64_t i = 0; i < 50; ++i) {
      faults.FailSends(static_cast<int>(i % 3), 2, error);
      ASSERT_TRUE(client().Send(1, Content(1, i, 16'000 - 11'000 * (i % 2))).ok());
      ASSERT_TRUE(server().Send(2, Content(2, i, 100)).ok());
      EXPECT_EQ(Content(1, i, 16'000 - 11'000 * (i % 2)),
                server().ReceiveOne().value_or(Frame{}).bytes);
      EXPECT_EQ(Content(2, i, 100), client().ReceiveOne().value_or(Frame{}).bytes);
      if (HasFailure()) return;
    }
  }
}

TEST_F(UdpPressureTest, SystemWithoutSegmentation) {
  ASSERT_TRUE(Listen("127.0.0.1:0").ok());
  DatagramFaults faults;
  faults.RefuseSegmentation(EIO);
  Join(Target());
  std::thread sender([this] {
    for (uint64_t i = 0; i < 200; ++i) ASSERT_TRUE(client().Send(1, Content(1, i, 16'000)).ok());
  });
  std::vector<Frame> frames;
  EXPECT_TRUE(server().Receive(200, frames).ok());
  sender.join();
  for (uint64_t i = 0; i < frames.size(); ++i) ASSERT_EQ(Content(1, i, 16'000), frames[i].bytes);
}

}  // namespace
}  // namespace anywire::udp
