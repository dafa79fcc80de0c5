// How long a small blocking call takes: measured while nothing else runs, or beside a copy.
#ifndef ANYWIRE_EXAMPLES_FILECOPY_PROBE_H_
#define ANYWIRE_EXAMPLES_FILECOPY_PROBE_H_

#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "anywire/channel.h"

namespace anywire::examples {

struct Latency {
  size_t calls = 0;
  absl::Duration p50;
  absl::Duration p99;
};

// By nearest rank. Zeros for no times.
Latency Summarise(std::vector<absl::Duration> times);

// Makes `calls` calls of 64 bytes, one after another.
absl::StatusOr<Latency> ProbeCalls(const Channel& channel, int calls);

// Makes a call every few milliseconds on a thread of its own, until Stop.
class BackgroundProbe {
 public:
  explicit BackgroundProbe(Channel channel);
  ~BackgroundProbe();
  // Once.
  Latency Stop();

 private:
  absl::Notification stop_;
  std::vector<absl::Duration> times_;
  std::thread thread_;
};

}  // namespace anywire::examples

#endif  // ANYWIRE_EXAMPLES_FILECOPY_PROBE_H_
