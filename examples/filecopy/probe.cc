#include "examples/filecopy/probe.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "examples/filecopy/filecopy.anywire.h"

namespace anywire::examples {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(2);
constexpr absl::Duration kTimeout = absl::Seconds(10);

// One call; how long it took.
absl::StatusOr<absl::Duration> TimeOneCall(const filecopy::Probe::Stub& stub,
                                           const filecopy::PingMessage& request) {
  const auto start = std::chrono::steady_clock::now();
  const absl::StatusOr<filecopy::PingMessage> reply = stub.Ping(request, {.timeout = kTimeout});
  if (!reply.ok()) return reply.status();
  return absl::FromChrono(std::chrono::steady_clock::now() - start);
}

filecopy::PingMessage SmallMessage() {
  filecopy::PingMessage message;
  message.set_payload(std::string(64, 'x'));
  return message;
}

}  // namespace

Latency Summarise(std::vector<absl::Duration> times) {
  if (times.empty()) return {};
  std::sort(times.begin(), times.end());
  const auto rank = [&times](size_t percent) {
    return times[(times.size() * percent + 99) / 100 - 1];
  };
  return {.calls = times.size(), .p50 = rank(50), .p99 = rank(99)};
}

absl::StatusOr<Latency> ProbeCalls(const Channel& channel, int calls) {
  const filecopy::Probe::Stub stub(channel);
  const filecopy::PingMessage request = SmallMessage();
  std::vector<absl::Duration> times;
  times.reserve(static_cast<size_t>(calls));
  for (int i = 0; i < calls; ++i) {
    absl::StatusOr<absl::Duration> time = TimeOneCall(stub, request);
    if (!time.ok()) return time.status();
    times.push_back(*time);
  }
  return Summarise(std::move(times));
}

BackgroundProbe::BackgroundProbe(Channel channel)
    : thread_([this, stub = filecopy::Probe::Stub(std::move(channel))] {
        const filecopy::PingMessage request = SmallMessage();
        do {
          absl::StatusOr<absl::Duration> time = TimeOneCall(stub, request);
          if (!time.ok()) return;  // the copy meets the same trouble, and reports it
          times_.push_back(*time);
        } while (!stop_.WaitForNotificationWithTimeout(kPause));
      }) {}

BackgroundProbe::~BackgroundProbe() {
  if (thread_.joinable()) Stop();
}

Latency BackgroundProbe::Stop() {
  stop_.Notify();
  thread_.join();
  return Summarise(std::move(times_));
}

}  // namespace anywire::examples
