// What one call is going to do, decided before it begins: so that the checker knows what must come
// of it.
#ifndef ANYWIRE_TESTS_SIM_PLAN_H_
#define ANYWIRE_TESTS_SIM_PLAN_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "anywire/metadata.h"
#include "tests/sim/agenda.h"
#include "tests/sim/link.h"
#include "tests/sim/random.h"

namespace anywire::sim {

struct Plan {
  uint32_t number = 0;
  bool left_out = false;  // no call is made
  Duration open_after{0};

  // ---- the client
  uint32_t method = 0;
  bool known_method = true;
  Metadata metadata;        // names the plan unless by_message
  bool by_message = false;  // the first request names the plan
  bool breaks_metadata_limit = false;
  std::vector<size_t> requests;
  bool open_with_message = true;
  bool half_close_at_open = false;
  bool half_close_at_once = false;  // after the last message, though that has not left
  Duration send_pause{0};
  std::optional<Duration> deadline;
  std::optional<Duration> cancel_after;
  std::optional<Duration> release_after;  // without waiting for the end
  bool release_at_end = false;
  Duration read_pause{0};
  bool never_reads = false;

  // ---- the server
  enum class Style { kAfterHalfClose, kAtOnce, kReplyToEach, kNever };
  Style style = Style::kAfterHalfClose;
  std::vector<size_t> replies;
  std::optional<Metadata> initial_metadata;
  std::optional<Metadata> trailing_metadata;
  absl::Status status;
  bool last_reply_with_finish = true;
  bool finish_at_once = true;  // though a message has not left
  bool release_instead_of_finish = false;
  Duration server_send_pause{0};
  Duration server_read_pause{0};
  bool server_never_reads = false;
};

// All of one run: sizes are chosen about the limits of it.
struct Scenario {
  protocol::Limits client_limits;
  protocol::Limits server_limits;
  Link::Options up, down;
  std::vector<Plan> plans;
  std::optional<Duration> drain_after;
  std::optional<Duration> cut_after;
};

// What a scenario is made for.
struct ScenarioOptions {
  // Deadlines and cancellations are up to four times so much later, that some calls are not over
  // before anything has come of them.
  Duration round_trip{0};
  bool may_be_cut = true;
};
Scenario MakeScenario(Random& random, const ScenarioOptions& options = {});

// Messages that check themselves. The first four bytes name the plan where there are that many.
struct MessageSource {
  uint32_t plan = 0;
  bool reply = false;
  uint32_t index = 0;

  void Write(uint8_t* to, size_t size) const;
  bool Matches(absl::Span<const uint8_t> bytes) const;
};
std::optional<uint32_t> PlanOf(absl::Span<const uint8_t> message);

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_PLAN_H_
