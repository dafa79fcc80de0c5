#include "tests/sim/plan.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace anywire::sim {
namespace {

constexpr size_t kPoolSize = 1 << 20;
constexpr size_t kLargestMessage = 512 << 10;

const std::vector<uint8_t>& Pool() {
  static const std::vector<uint8_t>& pool = *new std::vector<uint8_t>([] {
    Random random(42);
    std::vector<uint8_t> bytes(kPoolSize);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Next());
    return bytes;
  }());
  return pool;
}

const uint8_t* PoolAt(const MessageSource& source) {
  Random random((uint64_t{source.plan} << 33) ^ (uint64_t{source.reply} << 32) ^ source.index);
  return Pool().data() + random.Below(kPoolSize - kLargestMessage);
}

Duration Micros(uint64_t count) { return std::chrono::microseconds(count); }

size_t RandomSize(Random& random, size_t window, size_t limit) {
  if (random.OneIn(200)) return limit + random.Between(1, 3);
  const auto any = [&random, window] {
    switch (random.Below(10)) {
      case 0:
        return uint64_t{0};
      case 1:
        return random.Below(4);
      case 2:
      case 3:
      case 4:
        return random.Below(200);
      case 5:
      case 6:
        return random.Below(5000);
      case 7:  // about a piece, a share, a window
        return random.Choose<uint64_t>({1000, 16384, window / 2, window}) - 70 + random.Below(140);
      case 8:
        return window + random.Below(3 * window);
      default:
        return uint64_t{kLargestMessage};
    }
  };
  return std::min<uint64_t>(any(), limit);
}

Metadata RandomMetadata(Random& random, size_t largest) {
  Metadata metadata;
  for (uint64_t entries = random.Below(4); entries > 0; --entries) {
    const bool binary = random.OneIn(2);
    std::string value(random.Below(largest), 'v');
    if (binary && !value.empty()) value[0] = static_cast<char>(random.Next());
    metadata.Add(absl::StrCat("k", random.Below(10), binary ? "-bin" : ""), value);
  }
  return metadata;
}

absl::Status RandomStatus(Random& random) {
  if (random.Percent(85)) return absl::OkStatus();
  absl::Status status(static_cast<absl::StatusCode>(random.Between(1, 16)),
                      std::string(random.Choose<size_t>({0, 10, 3000}), 't'));
  if (random.OneIn(3))
    status.SetPayload("type/a", absl::Cord(std::string(random.Below(2000), 'p')));
  return status;
}

std::vector<size_t> RandomSizes(Random& random, size_t window, size_t limit) {
  const size_t count = random.Percent(60) ? 1 : random.Below(random.Choose<uint64_t>({3, 12, 40}));
  std::vector<size_t> sizes;
  for (size_t i = 0; i < count; ++i) sizes.push_back(RandomSize(random, window, limit));
  return sizes;
}

Duration RandomPause(Random& random) {
  return random.Percent(70) ? Duration(0)
                            : Micros(random.Below(random.Choose<uint64_t>({100, 20000})));
}

// `time`, or so much later as the round trip asks for.
Duration AlsoLater(Random& random, Duration time, Duration round_trip) {
  if (round_trip == Duration(0)) return time;
  return time + Duration(random.Below(static_cast<uint64_t>(4 * round_trip.count())));
}

Plan MakePlan(Random& random, uint32_t number, const Scenario& scenario, Duration round_trip) {
  const protocol::Limits& server = scenario.server_limits;
  const protocol::Limits& client = scenario.client_limits;
  Plan plan;
  plan.number = number;
  plan.open_after = Micros(random.Below(random.Choose<uint64_t>({10, 30000})));
  plan.method = static_cast<uint32_t>(random.Below(6));
  plan.known_method = !random.OneIn(50);
  plan.requests = RandomSizes(random, server.call_window, server.max_receive_message_size);
  plan.by_message = random.Percent(40) && !plan.requests.empty();
  if (plan.by_message) {
    plan.requests[0] = std::max<size_t>(plan.requests[0], 4);
  } else {
    plan.metadata = RandomMetadata(random, 300);
    plan.metadata.Add("plan", absl::StrCat(number));
    if (random.OneIn(40)) {
      plan.breaks_metadata_limit = true;
      plan.metadata.Add("big", std::string(server.max_metadata_size, 'x'));
    }
  }
  plan.open_with_message = !plan.requests.empty() && random.Percent(80);
  const bool complete = plan.requests.size() == (plan.open_with_message ? 1 : 0);
  plan.half_close_at_open = complete && random.Percent(90);
  plan.half_close_at_once = random.OneIn(2);
  plan.send_pause = RandomPause(random);
  if (random.OneIn(4))
    plan.deadline = Micros(random.Between(1, random.Choose<uint64_t>({3000, 300000})));
  if (random.OneIn(6))
    plan.cancel_after = Micros(random.Below(random.Choose<uint64_t>({1, 4000, 50000})));
  if (random.OneIn(25)) plan.release_after = Micros(random.Below(20000));
  plan.release_at_end = random.OneIn(2);
  plan.read_pause = RandomPause(random);
  plan.never_reads = random.OneIn(30);

  plan.style = random.Choose({Plan::Style::kAfterHalfClose, Plan::Style::kAfterHalfClose,
                              Plan::Style::kAtOnce, Plan::Style::kReplyToEach});
  if (random.OneIn(30)) plan.style = Plan::Style::kNever;
  plan.replies = RandomSizes(random, client.call_window, client.max_receive_message_size);
  if (random.OneIn(3)) plan.initial_metadata = RandomMetadata(random, 300);
  if (random.OneIn(3)) plan.trailing_metadata = RandomMetadata(random, 800);
  plan.status = RandomStatus(random);
  plan.last_reply_with_finish = plan.status.ok() && random.Percent(70);
  plan.finish_at_once = random.OneIn(2);
  plan.release_instead_of_finish = random.OneIn(30);
  plan.server_send_pause = RandomPause(random);
  plan.server_read_pause = RandomPause(random);
  plan.server_never_reads = random.OneIn(30);
  // What would wait for ever needs something that ends it.
  const bool may_hang =
      plan.style == Plan::Style::kNever || plan.never_reads || plan.server_never_reads;
  if (may_hang && !plan.deadline && !plan.cancel_after) {
    plan.deadline = Micros(random.Between(1000, 400000));
  }
  if (plan.deadline) plan.deadline = AlsoLater(random, *plan.deadline, round_trip);
  if (plan.cancel_after) plan.cancel_after = AlsoLater(random, *plan.cancel_after, round_trip);
  return plan;
}

void MakeLimits(Random& random, protocol::Limits& limits) {
  limits.call_window = random.Choose<size_t>({0, 16 << 10, 20000, 64 << 10});
  limits.call_window = std::max<size_t>(limits.call_window, 16 << 10);
  limits.max_receive_message_size =
      random.OneIn(20) ? 0 : random.Choose<size_t>({100, 8000, 40000, 150000, 300000});
  limits.max_send_message_size = random.OneIn(10) ? 30000 : 1 << 20;
  limits.connection_buffer = random.Choose<size_t>({0, 0, 600000, 4 << 20});
  limits.max_concurrent_calls = static_cast<uint32_t>(random.Choose({1, 2, 5, 64, 100}));
  limits.max_waiting_calls = random.OneIn(10) ? random.Choose<size_t>({0, 3}) : 1000;
  limits.max_methods = random.Choose<size_t>({0, 1, 3, 4096});
  limits.max_metadata_size = random.Choose<size_t>({2000, 4000, 16 << 10});
}

void MakeLink(Random& random, Link::Options& link) {
  link.max_frame_size = random.Choose<size_t>({1024, 1500, 16384, 65536});
  link.capacity = random.Choose<size_t>({1, 3000, 40000, 1 << 20});
  link.refuse_percent = random.Choose<uint64_t>({0, 0, 5, 40});
  link.shortest = Micros(random.Choose<uint64_t>({1, 50, 5000}));
  link.longest = link.shortest + Micros(random.Choose<uint64_t>({0, 30, 3000, 40000}));
  link.ordered = random.OneIn(3);
}

}  // namespace

Scenario MakeScenario(Random& random, const ScenarioOptions& options) {
  Scenario scenario;
  MakeLimits(random, scenario.client_limits);
  MakeLimits(random, scenario.server_limits);
  // The client may send more metadata than the server takes.
  scenario.client_limits.max_metadata_size = 64 << 10;
  MakeLink(random, scenario.up);
  MakeLink(random, scenario.down);
  const uint32_t calls =
      static_cast<uint32_t>(random.Between(1, random.Choose<uint64_t>({3, 20, 80})));
  for (uint32_t i = 0; i < calls; ++i) {
    scenario.plans.push_back(MakePlan(random, i, scenario, options.round_trip));
  }
  if (random.OneIn(12)) scenario.drain_after = Micros(random.Below(40000));
  if (options.may_be_cut && random.OneIn(6)) {
    scenario.cut_after = Micros(random.Below(random.Choose<uint64_t>({3000, 200000})));
  }
  return scenario;
}

void MessageSource::Write(uint8_t* to, size_t size) const {
  if (size == 0) return;
  std::memcpy(to, PoolAt(*this), size);
  if (size >= 4) std::memcpy(to, &plan, 4);
}

bool MessageSource::Matches(absl::Span<const uint8_t> bytes) const {
  if (bytes.size() < 4)
    return bytes.empty() || std::memcmp(bytes.data(), PoolAt(*this), bytes.size()) == 0;
  return PlanOf(bytes) == plan &&
         std::memcmp(bytes.data() + 4, PoolAt(*this) + 4, bytes.size() - 4) == 0;
}

std::optional<uint32_t> PlanOf(absl::Span<const uint8_t> message) {
  if (message.size() < 4) return std::nullopt;
  uint32_t plan = 0;
  std::memcpy(&plan, message.data(), 4);
  return plan;
}

}  // namespace anywire::sim
