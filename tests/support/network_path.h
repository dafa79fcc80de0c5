// A bad network path as a model, without I/O and without a clock: a packet's size and the time go
// in, when it arrives comes out, if it does. Machines in virtual time, the relay for UDP sockets
// and the one for IP packets all lose, delay and damage by it.
#ifndef ANYWIRE_TESTS_SUPPORT_NETWORK_PATH_H_
#define ANYWIRE_TESTS_SUPPORT_NETWORK_PATH_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <utility>
#include <vector>

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
  uint64_t overflowed = 0;  // the queue before the bottleneck, or the room of all
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

  // The same for one that finds no room before the path.
  void Overflow() {
    ++counts_.sent;
    ++counts_.overflowed;
  }

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

enum class Towards : uint8_t { kClient, kServer };

// Both directions, and the packets that are on their way. A Route is whatever the owner needs to
// know at a packet's arrival: whose it is.
template <class Route>
class NetworkPath {
 public:
  using Instant = PathDirection::Instant;

  struct Packet {
    Towards towards;
    Route route;
    std::vector<uint8_t> bytes;
  };
  // What a packet on its way costs beside its bytes.
  static constexpr size_t kPacketCost = sizeof(Packet) + 128;
  static constexpr size_t kDefaultRoom = 256 << 20;

  // `random` outlives it. At most `room` bytes are on their way, and a packet's copy: what is sent
  // beyond them overflows.
  NetworkPath(const PathOptions& options, std::mt19937_64& random, size_t room = kDefaultRoom)
      : options_(options), random_(random), room_(room) {}

  // May be changed at any time, for what is sent from then on.
  PathOptions& options() { return options_; }
  void Partition(Towards towards, bool on) { direction(towards).Partition(on); }

  void Send(Packet packet, Instant now) {
    PathDirection& way = direction(packet.towards);
    if (on_their_way_bytes_ + Cost(packet) > room_) return way.Overflow();
    const PathDirection::Fate fate = way.Send(options_, now, packet.bytes.size(), random_);
    if (fate.copies == 2) Insert(fate.arrivals[0], Packet(packet));
    if (fate.corrupted) packet.bytes.resize(Corrupt(absl::MakeSpan(packet.bytes), random_));
    if (fate.copies > 0) Insert(fate.arrivals[fate.copies - 1], std::move(packet));
  }

  // When Take has something to give; Instant::max(): nothing is on its way.
  Instant NextArrival() const {
    return on_their_way_.empty() ? Instant::max() : on_their_way_.begin()->first;
  }
  // The next to arrive; of those that arrive together the one that was sent first.
  Packet Take() {
    Packet packet = std::move(on_their_way_.begin()->second);
    on_their_way_.erase(on_their_way_.begin());
    on_their_way_bytes_ -= Cost(packet);
    return packet;
  }

  const PathCounts& counts(Towards towards) const {
    return directions_[static_cast<size_t>(towards)].counts();
  }

 private:
  PathDirection& direction(Towards towards) { return directions_[static_cast<size_t>(towards)]; }
  static size_t Cost(const Packet& packet) { return packet.bytes.size() + kPacketCost; }
  void Insert(Instant arrival, Packet packet) {
    on_their_way_bytes_ += Cost(packet);
    on_their_way_.emplace(arrival, std::move(packet));
  }

  PathOptions options_;
  std::mt19937_64& random_;
  const size_t room_;
  PathDirection directions_[2];
  std::multimap<Instant, Packet> on_their_way_;
  size_t on_their_way_bytes_ = 0;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_NETWORK_PATH_H_
