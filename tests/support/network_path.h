// A bad network path as a model, without I/O and without a clock: a packet's size and the time go
// in, when it arrives comes out, if it does. Machines in virtual time, the relay for UDP sockets
// and the one for IP packets all lose, delay and damage by it.
#ifndef ANYWIRE_TESTS_SUPPORT_NETWORK_PATH_H_
#define ANYWIRE_TESTS_SUPPORT_NETWORK_PATH_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>

#include "absl/types/span.h"

namespace anywire::test {

// Of each direction; shares are percentages of packets.
struct PathOptions {
  std::chrono::nanoseconds delay = std::chrono::milliseconds(1);
  std::chrono::nanoseconds jitter{0};  // up to so much more, which alone does not reorder
  int reorder = 0;                     // are delayed by up to four times as much again
  int loss = 0;                        // are lost ...
  int burst = 1;                       // ... so many in a row, at least one
  int duplicate = 0;
  int corrupt = 0;      // have some bits flipped, and now and then lose their end
  size_t mtu = 65'535;  // larger ones are lost
  // Bytes a second and the most that wait for that; 0: without limit.
  double bandwidth = 0;
  size_t queue = 64 << 10;
};

// What has become of the packets so far.
struct PathCounts {
  uint64_t sent = 0;
  // These did not arrive, each for one reason.
  uint64_t partitioned = 0;
  uint64_t lost = 0;
  uint64_t too_large = 0;
  uint64_t overflowed = 0;  // the queue before the bottleneck
  // These did.
  uint64_t reordered = 0;
  uint64_t duplicated = 0;
  uint64_t corrupted = 0;

  uint64_t arrived() const { return sent - partitioned - lost - too_large - overflowed; }
};

// One direction of a path. The same seed and the same calls make the same fates.
class PathDirection {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  struct Fate {
    int copies = 0;  // that arrive: none, one or two
    Instant arrivals[2];
    bool corrupted = false;  // of the copies the last; Corrupt() says how
  };
  // The fate of a packet of `size` bytes that is sent at `now`, which never goes back.
  Fate Send(const PathOptions& options, Instant now, size_t size, std::mt19937_64& random);

  // While on, nothing arrives that is sent.
  void Partition(bool on) { partitioned_ = on; }

  const PathCounts& counts() const { return counts_; }

 private:
  Instant last_arrival_;  // of those that were not reordered
  Instant line_free_;     // when the bottleneck has sent what it has
  int losing_ = 0;        // left of a row of losses
  bool partitioned_ = false;
  PathCounts counts_;
};

// Damages a packet. The bytes that are left of it, at the front.
size_t Corrupt(absl::Span<uint8_t> packet, std::mt19937_64& random);

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_NETWORK_PATH_H_
