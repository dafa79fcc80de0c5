// Each option at the ends of its range, and beyond them.
#include "transports/udp/reliability/options.h"

#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "transports/udp/reliability/buffer_pool.h"
#include "transports/udp/reliability/connection_machine.h"
#include "transports/udp/reliability/endpoint_machine.h"

namespace anywire::udp {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kNow{hours(1)};
constexpr Duration kTick{1};

// Options with one set to a value.
template <typename T>
Options With(T Options::*option, T value) {
  Options options;
  options.*option = value;
  return options;
}
template <typename T>
EndpointOptions With(T EndpointOptions::*option, T value) {
  EndpointOptions options;
  options.*option = value;
  return options;
}

TEST(OptionsDeathTest, TheEndsOfRangesAndBeyond) {
  struct Size {
    size_t Options::*option;
    size_t least, most;
  };
  const size_t kLeastWindow = Options().max_frame_size + kFrameCost;
  for (const Size& size :
       {Size{&Options::max_frame_size, kSmallestMaxFrameSize, kLargestMaxFrameSize},
        Size{&Options::receive_window, kLeastWindow, kLargestWindow},
        Size{&Options::send_buffer, 1, kLargestWindow},
        Size{&Options::stream_window, 1, kLargestWindow},
        Size{&Options::max_datagram_size, kBaseDatagramSize, kLargestDatagramSize}}) {
    Checked(With(size.option, size.least));
    Checked(With(size.option, size.most));
    EXPECT_DEATH(Checked(With(size.option, size.least - 1)), "");
    EXPECT_DEATH(Checked(With(size.option, size.most + 1)), "");
  }
  struct Time {
    Duration Options::*option;
    Duration least, most;
  };
  for (const Time& time : {Time{&Options::initial_rtt, microseconds(1), seconds(10)},
                           Time{&Options::granularity, microseconds(1), seconds(1)},
                           Time{&Options::max_ack_delay, Duration(0), seconds(1)},
                           Time{&Options::idle_timeout, milliseconds(1), hours(24)},
                           Time{&Options::keepalive_interval, milliseconds(1), hours(24)},
                           Time{&Options::handshake_timeout, milliseconds(1), hours(24)},
                           Time{&Options::half_open_timeout, milliseconds(1), hours(24)},
                           Time{&Options::linger_timeout, Duration(0), hours(24)}}) {
    Checked(With(time.option, time.least));
    Checked(With(time.option, time.most));
    EXPECT_DEATH(Checked(With(time.option, time.least - kTick)), "");
    EXPECT_DEATH(Checked(With(time.option, time.most + kTick)), "");
  }
  Checked(With(&Options::ack_every, 1));
  EXPECT_DEATH(Checked(With(&Options::ack_every, 0)), "");
  Checked(With(&Options::ack_every_bytes, size_t{1}));
  EXPECT_DEATH(Checked(With(&Options::ack_every_bytes, size_t{0})), "");
}

TEST(OptionsDeathTest, MachinesCheckTheirs) {
  BufferPool pool;
  const Options out_of_range = With(&Options::initial_rtt, Duration(0));
  EXPECT_DEATH(ConnectionMachine::Connect(out_of_range, pool, {1, 2}, kNow), "");
  const auto start = [&pool](const EndpointOptions& options) {
    EndpointMachine(options, pool, {1, 2});
  };
  EXPECT_DEATH(start({.connection = out_of_range}), "");
  for (const auto option :
       {&EndpointOptions::max_connections, &EndpointOptions::max_connections_of_host,
        &EndpointOptions::max_half_open, &EndpointOptions::max_half_open_of_host}) {
    start(With<size_t>(option, 1));
    EXPECT_DEATH(start(With<size_t>(option, 0)), "");
  }
  for (const auto option :
       {&EndpointOptions::retries_per_second, &EndpointOptions::refusals_per_second,
        &EndpointOptions::resets_per_second}) {
    start(With(option, 1));
    start(With(option, 1'000'000));
    EXPECT_DEATH(start(With(option, 0)), "");
    EXPECT_DEATH(start(With(option, 1'000'001)), "");
  }
}

}  // namespace
}  // namespace anywire::udp
