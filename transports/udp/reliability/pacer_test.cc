#include "transports/udp/reliability/pacer.h"

#include "gtest/gtest.h"

namespace anywire::udp {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Instant kNow{std::chrono::hours(1)};
constexpr size_t kDatagram = 1200;

// Sends as fast as the pacer lets it and says how many bytes that was until `end`.
size_t SendUntil(Pacer& pacer, Instant now, Instant end, size_t window, Duration rtt) {
  size_t sent = 0;
  while (now < end) {
    const Instant ready = pacer.ReadyAt(now, kDatagram, window, rtt);
    if (ready > now) {
      now = ready;
      continue;
    }
    pacer.OnSent(kDatagram);
    sent += kDatagram;
  }
  return sent;
}

TEST(PacerTest, ABurstPassesThenTheRateHolds) {
  Pacer pacer;
  constexpr size_t kWindow = 100 * kDatagram;
  constexpr Duration kRtt = milliseconds(100);
  EXPECT_EQ(Pacer::kBurstDatagrams * kDatagram,
            SendUntil(pacer, kNow, kNow + Duration(1), kWindow, kRtt));
  // A window and a quarter in a round trip.
  const size_t later = SendUntil(pacer, kNow + Duration(1), kNow + 10 * kRtt, kWindow, kRtt);
  EXPECT_NEAR(1.25 * 10 * kWindow, static_cast<double>(later), 2 * kDatagram);
}

TEST(PacerTest, IdleTimeGivesNoMoreThanABurst) {
  Pacer pacer;
  constexpr size_t kWindow = 100 * kDatagram;
  SendUntil(pacer, kNow, kNow + milliseconds(50), kWindow, milliseconds(100));
  const Instant later = kNow + std::chrono::hours(1);
  EXPECT_EQ(Pacer::kBurstDatagrams * kDatagram,
            SendUntil(pacer, later, later + Duration(1), kWindow, milliseconds(100)));
}

// Within a host a window is sent in microseconds: nobody's timer could spread it.
TEST(PacerTest, ShortPathsAreNotHeldUp) {
  Pacer pacer;
  constexpr size_t kWindow = 100 * kDatagram;
  size_t sent = 0;
  for (int i = 0; i < 50; ++i) {
    const Instant now = kNow + i * microseconds(50);
    for (size_t k = 0; k < kWindow; k += kDatagram, sent += kDatagram) {
      ASSERT_EQ(now, pacer.ReadyAt(now, kDatagram, kWindow, microseconds(50)));
      pacer.OnSent(kDatagram);
    }
  }
}

TEST(PacerTest, AClockThatGoesBackGivesNothing) {
  Pacer pacer;
  SendUntil(pacer, kNow, kNow + Duration(1), 10 * kDatagram, milliseconds(100));
  EXPECT_GT(pacer.ReadyAt(kNow - milliseconds(50), kDatagram, 10 * kDatagram, milliseconds(100)),
            kNow - milliseconds(50));
  EXPECT_GT(pacer.ReadyAt(kNow, kDatagram, 10 * kDatagram, milliseconds(100)), kNow);
}

TEST(PacerTest, ARoundTripOfNothingIsNoHarm) {
  Pacer pacer;
  EXPECT_EQ(kNow, pacer.ReadyAt(kNow, kDatagram, 10 * kDatagram, Duration(0)));
}

}  // namespace
}  // namespace anywire::udp
