// NewReno and CUBIC, against the formulas of RFC 9002 and RFC 9438.
#include <cmath>
#include <memory>

#include "gtest/gtest.h"
#include "transports/udp/reliability/congestion_controller.h"
#include "transports/udp/reliability/cubic.h"
#include "transports/udp/reliability/new_reno.h"

namespace anywire::udp {
namespace {

using std::chrono::milliseconds;

constexpr size_t kDatagram = 1200;
constexpr Duration kRtt = milliseconds(100);
constexpr Instant kStart{std::chrono::hours(1)};

// A round trip in which a window's worth is acknowledged.
void AckWindow(CongestionController& congestion, Instant now) {
  for (size_t left = congestion.window() / kDatagram; left > 0; --left) {
    congestion.OnAcked(now, now - kRtt, kDatagram, kRtt, true);
  }
}

class CongestionTest : public ::testing::TestWithParam<CongestionControl> {
 protected:
  std::unique_ptr<CongestionController> congestion_ =
      MakeCongestionController(GetParam(), kDatagram);
};
INSTANTIATE_TEST_SUITE_P(All, CongestionTest,
                         ::testing::Values(CongestionControl::kNewReno, CongestionControl::kCubic),
                         [](const auto& info) {
                           return info.param == CongestionControl::kNewReno ? "NewReno" : "Cubic";
                         });

TEST_P(CongestionTest, BeginsWithTenDatagramsAndDoubles) {
  EXPECT_EQ(10 * kDatagram, congestion_->window());
  AckWindow(*congestion_, kStart);
  EXPECT_EQ(20 * kDatagram, congestion_->window());
}

TEST(InitialWindowTest, SizesOfRfc9002) {
  EXPECT_EQ(12'000u, InitialWindow(1200));
  EXPECT_EQ(14'520u, InitialWindow(1452));
  EXPECT_EQ(14'720u, InitialWindow(1500));
  EXPECT_EQ(18'000u, InitialWindow(9000));
}

TEST_P(CongestionTest, DoesNotGrowWhileItIsNotWhatLimits) {
  congestion_->OnAcked(kStart, kStart - kRtt, 5000, kRtt, false);
  EXPECT_EQ(10 * kDatagram, congestion_->window());
}

TEST_P(CongestionTest, OneReductionForARoundTrip) {
  congestion_->OnLost(kStart, kStart - kRtt);
  const size_t reduced = congestion_->window();
  EXPECT_LT(reduced, 10 * kDatagram);
  congestion_->OnLost(kStart + kRtt / 2, kStart);
  EXPECT_EQ(reduced, congestion_->window()) << "sent before the reduction";
  congestion_->OnAcked(kStart + kRtt / 2, kStart, kDatagram, kRtt, true);
  EXPECT_EQ(reduced, congestion_->window()) << "and does not raise it either";
  congestion_->OnLost(kStart + kRtt, kStart + Duration(1));
  EXPECT_LT(congestion_->window(), reduced);
}

TEST_P(CongestionTest, NeverBelowTwoDatagrams) {
  for (int i = 0; i < 50; ++i) congestion_->OnLost(kStart + i * kRtt, kStart + i * kRtt);
  EXPECT_EQ(2 * kDatagram, congestion_->window());
}

TEST_P(CongestionTest, PersistentCongestionBeginsAnew) {
  for (int i = 0; i < 4; ++i) AckWindow(*congestion_, kStart);
  congestion_->OnLost(kStart, kStart);
  const size_t threshold = congestion_->window();
  congestion_->OnPersistentCongestion();
  EXPECT_EQ(2 * kDatagram, congestion_->window());
  congestion_->OnAcked(kStart, kStart - kRtt, kDatagram, kRtt, true);
  EXPECT_EQ(3 * kDatagram, congestion_->window()) << "slow start, up to where the loss was";
  EXPECT_GT(threshold, congestion_->window());
}

TEST_P(CongestionTest, LargerDatagramsRaiseTheLeast) {
  congestion_->OnPersistentCongestion();
  congestion_->SetDatagramSize(9000);
  EXPECT_EQ(18'000u, congestion_->window());
}

TEST_P(CongestionTest, HasAnUpperEnd) {
  congestion_->OnAcked(kStart, kStart - kRtt, size_t{1} << 40, kRtt, true);
  EXPECT_EQ(kLargestCongestionWindow, congestion_->window());
  congestion_->OnLost(kStart, kStart);
  for (int i = 1; i < 50; ++i) {
    congestion_->OnAcked(kStart + i * kRtt, kStart + i * kRtt - Duration(1), size_t{1} << 40, kRtt,
                         true);
  }
  EXPECT_LE(congestion_->window(), kLargestCongestionWindow);
}

TEST(NewRenoTest, HalvesAndThenGrowsByADatagramARoundTrip) {
  NewReno reno(kDatagram);
  AckWindow(reno, kStart);
  reno.OnLost(kStart, kStart);
  EXPECT_EQ(10 * kDatagram, reno.window());
  for (size_t i = 1; i <= 5; ++i) {
    AckWindow(reno, kStart + i * 2 * kRtt);
    EXPECT_EQ((10 + i) * kDatagram, reno.window());
  }
}

TEST(CubicTest, KeepsSevenTenths) {
  Cubic cubic(kDatagram);
  AckWindow(cubic, kStart);
  cubic.OnLost(kStart, kStart);
  EXPECT_EQ(14 * kDatagram, cubic.window());
}

// On a long path with a large window it is the cubic curve that counts.
TEST(CubicTest, ComesBackAlongTheCurve) {
  Cubic cubic(kDatagram);
  while (cubic.window() < 1000 * kDatagram) AckWindow(cubic, kStart);
  const double most = static_cast<double>(cubic.window()) / kDatagram;
  cubic.OnLost(kStart, kStart);
  const double k = std::cbrt(most * (1 - Cubic::kBeta) / Cubic::kC);
  const Instant epoch = kStart + 2 * kRtt;
  double t = 0;
  for (int i = 0; t < 1.5 * k; ++i) {
    AckWindow(cubic, epoch + i * kRtt);
    t = std::chrono::duration<double>(i * kRtt).count();
    const double expected = Cubic::kC * std::pow(t - k, 3) + most;
    if (i <= 3) continue;
    EXPECT_NEAR(expected, static_cast<double>(cubic.window()) / kDatagram, most * 0.02);
  }
  EXPECT_GT(static_cast<double>(cubic.window()) / kDatagram, most) << "and beyond";
}

// On a short path Reno would be faster, and CUBIC is at least as fast.
TEST(CubicTest, IsAtLeastAsFastAsReno) {
  Cubic cubic(kDatagram);
  AckWindow(cubic, kStart);
  cubic.OnLost(kStart, kStart);
  constexpr Duration kShort = milliseconds(1);
  const double before = static_cast<double>(cubic.window()) / kDatagram;
  for (int i = 0; i < 20; ++i) {
    const Instant now = kStart + (i + 2) * kShort;
    for (size_t left = cubic.window() / kDatagram; left > 0; --left) {
      cubic.OnAcked(now, now - kShort + Duration(1), kDatagram, kShort, true);
    }
  }
  // kAlpha a round trip below where it was (20), one above.
  const double after = static_cast<double>(cubic.window()) / kDatagram;
  EXPECT_GT(after, before + 0.9 * (20 - 1) * Cubic::kAlpha);
  EXPECT_LT(after, before + 20);
}

TEST(CubicTest, FastConvergenceMakesRoom) {
  Cubic first(kDatagram), second(kDatagram);
  for (Cubic* cubic : {&first, &second}) {
    while (cubic->window() < 1000 * kDatagram) AckWindow(*cubic, kStart);
    cubic->OnLost(kStart, kStart);
  }
  // The second loses again before it is back.
  const size_t at_loss = second.window();
  second.OnLost(kStart + kRtt, kStart + kRtt);
  EXPECT_EQ(static_cast<size_t>(static_cast<double>(at_loss) * 0.7), second.window());
  // Its curve is flat at 0.85 of where it lost, not at where it lost.
  Instant now = kStart + 3 * kRtt;
  double flattest = 1e9, flat_at = 0;
  for (int i = 0; i < 120; ++i, now += kRtt) {
    const double before = static_cast<double>(second.window());
    AckWindow(second, now);
    const double grown = static_cast<double>(second.window()) - before;
    if (grown < flattest) {
      flattest = grown;
      flat_at = before;
    }
  }
  EXPECT_NEAR(0.85 * static_cast<double>(at_loss), flat_at, 0.05 * static_cast<double>(at_loss));
}

TEST(CubicTest, TimeStandsStillWhileItIsNotWhatLimits) {
  Cubic busy(kDatagram), idle(kDatagram);
  for (Cubic* cubic : {&busy, &idle}) {
    while (cubic->window() < 1000 * kDatagram) AckWindow(*cubic, kStart);
    cubic->OnLost(kStart, kStart);
    AckWindow(*cubic, kStart + 2 * kRtt);
  }
  const size_t before = idle.window();
  for (int i = 3; i < 500; ++i) {
    idle.OnAcked(kStart + i * kRtt, kStart + i * kRtt - kRtt, kDatagram, kRtt, false);
  }
  EXPECT_EQ(before, idle.window());
  AckWindow(busy, kStart + 3 * kRtt);
  AckWindow(idle, kStart + 500 * kRtt);
  EXPECT_NEAR(static_cast<double>(busy.window()), static_cast<double>(idle.window()),
              2.0 * kDatagram);
}

}  // namespace
}  // namespace anywire::udp
