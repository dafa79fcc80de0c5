#include "tests/support/network_path.h"

#include <algorithm>

namespace anywire::test {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;
using Seconds = std::chrono::duration<double>;

bool Percent(int share, std::mt19937_64& random) {
  return static_cast<int>(random() % 100) < share;
}

// Whether a row of losses begins.
bool BeginsLoss(const PathOptions& options, std::mt19937_64& random) {
  // Of 100 packets `loss` are lost, in loss / burst rows; each of the others may begin one.
  const int others = options.burst * (100 - options.loss);
  return static_cast<int>(random() % static_cast<uint64_t>(others + options.loss)) < options.loss;
}

}  // namespace

PathDirection::Fate PathDirection::Send(const PathOptions& options, Instant now, size_t size,
                                        std::mt19937_64& random) {
  ++counts_.sent;
  if (partitioned_) {
    ++counts_.partitioned;
    return {};
  }
  if (losing_ == 0 && BeginsLoss(options, random)) losing_ = options.burst;
  if (losing_ > 0) {
    --losing_;
    ++counts_.lost;
    return {};
  }
  if (size > options.mtu) {
    ++counts_.too_large;
    return {};
  }
  Instant sent = now;
  if (options.bandwidth > 0) {
    line_free_ = std::max(line_free_, now);
    const double waiting = Seconds(line_free_ - now).count() * options.bandwidth;
    if (waiting > static_cast<double>(options.queue)) {
      ++counts_.overflowed;
      return {};
    }
    line_free_ +=
        duration_cast<nanoseconds>(Seconds(static_cast<double>(size) / options.bandwidth));
    sent = line_free_;
  }
  Instant arrives = sent + options.delay;
  if (options.jitter > nanoseconds(0)) {
    arrives += nanoseconds(random() % static_cast<uint64_t>(options.jitter.count()));
  }
  if (Percent(options.reorder, random)) {
    const auto most = static_cast<uint64_t>(4 * (options.delay + options.jitter).count() + 1);
    arrives += nanoseconds(random() % most);
    ++counts_.reordered;
  } else {
    arrives = last_arrival_ = std::max(last_arrival_, arrives);
  }
  Fate fate;
  if (Percent(options.duplicate, random)) {
    const auto most = static_cast<uint64_t>(options.delay.count() + 1);
    fate.arrivals[fate.copies++] = arrives + nanoseconds(random() % most);
    ++counts_.duplicated;
  }
  fate.arrivals[fate.copies++] = arrives;
  fate.corrupted = Percent(options.corrupt, random);
  if (fate.corrupted) ++counts_.corrupted;
  return fate;
}

size_t Corrupt(absl::Span<uint8_t> packet, std::mt19937_64& random) {
  if (packet.empty()) return 0;
  for (uint64_t flips = 1 + random() % 8; flips > 0; --flips) {
    uint8_t& byte = packet[random() % packet.size()];
    byte = static_cast<uint8_t>(byte ^ (1u << (random() % 8)));
  }
  return random() % 8 == 0 ? random() % packet.size() : packet.size();
}

}  // namespace anywire::test
