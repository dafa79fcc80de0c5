#include "tests/sim/world.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "runtime/protocol/wire_client.h"
#include "runtime/protocol/wire_server.h"
#include "tests/sim/agenda.h"
#include "tests/sim/checker.h"
#include "tests/sim/client_app.h"
#include "tests/sim/link.h"
#include "tests/sim/plan.h"
#include "tests/sim/random.h"
#include "tests/sim/server_app.h"
#include "tests/sim/side.h"

namespace anywire::sim {
namespace {

using protocol::Limits;
using protocol::WireMachine;

// Nothing in a scenario takes longer than this; what has not ended by then never will.
constexpr Duration kLiveness = std::chrono::hours(2);
constexpr uint64_t kSteps = 2000000;

// The contract of Limits::connection_buffer.
size_t Buffer(const Limits& limits) {
  return std::max({limits.connection_buffer, size_t{256} << 10, 4 * limits.call_window,
                   4 * (limits.max_receive_message_size + 64)});
}

class World {
 public:
  explicit World(uint64_t seed)
      : random_(seed),
        scenario_(MakeScenario(random_)),
        checker_(scenario_),
        client_side_(agenda_, random_, checker_, "client"),
        server_side_(agenda_, random_, checker_, "server"),
        up_(
            agenda_, random_, scenario_.up,
            [this](absl::Span<const ReceivedFrame> frames) { server_side_.OnFrames(frames); },
            [this] { client_side_.OnWritable(); }),
        down_(
            agenda_, random_, scenario_.down,
            [this](absl::Span<const ReceivedFrame> frames) { client_side_.OnFrames(frames); },
            [this] { server_side_.OnWritable(); }),
        server_app_(agenda_, random_, checker_, scenario_, server_side_),
        client_(up_, scenario_.up.max_frame_size, scenario_.client_limits, agenda_.now()),
        server_(down_, scenario_.down.max_frame_size, scenario_.server_limits, agenda_.now(),
                server_app_),
        client_app_(agenda_, random_, checker_, scenario_, client_side_, client_) {
    server_app_.Start(server_);
    client_side_.on_error = [this](const absl::Status& why) { Cut(why); };
    server_side_.on_error = client_side_.on_error;
    client_side_.Start(client_, [this](protocol::Event& event) { client_app_.OnEvent(event); });
    server_side_.Start(server_, [this](protocol::Event& event) { server_app_.OnEvent(event); });
    if (scenario_.drain_after) {
      agenda_.After(*scenario_.drain_after, [this] {
        checker_.Drained();
        server_.Drain();
        server_side_.AfterUse();
      });
    }
    if (scenario_.cut_after) {
      agenda_.After(*scenario_.cut_after, [this] { Cut(absl::UnavailableError("cut")); });
    }
  }

  Result Run() {
    const Instant end = agenda_.now() + kLiveness;
    uint64_t steps = 0;
    while (agenda_.Step()) {
      CheckMemory(client_, scenario_.client_limits, client_app_.unread(), "client");
      CheckMemory(server_, scenario_.server_limits, server_app_.unread(), "server");
      if (!checker_.failures().empty()) break;
      if (agenda_.now() > end || ++steps > kSteps) {
        checker_.Fail("it does not come to rest");
        break;
      }
    }
    if (checker_.failures().empty()) CheckRest();
    Result result;
    result.failures = checker_.failures();
    result.calls = scenario_.plans.size();
    result.ends = checker_.ends();
    result.frames = up_.frames() + down_.frames();
    return result;
  }

 private:
  void Cut(const absl::Status& why) {
    if (client_side_.lost()) return;
    checker_.Cut();
    up_.Cut();
    down_.Cut();
    client_side_.Lose(why);
    server_side_.Lose(why);
  }

  void CheckMemory(const WireMachine& machine, const Limits& limits, size_t unread,
                   const char* name) {
    const WireMachine::Account account = machine.account();
    const size_t buffer = Buffer(limits);
    const size_t to_come = account.peer_may_send + account.peer_may_exceed;
    if (account.held + to_come > buffer || unread > account.held) {
      checker_.Fail(absl::StrCat(name, ": ", account.held, " bytes held (", unread, " unread) and ",
                                 to_come, " more may come; the limit is ", buffer));
    }
  }

  void CheckRest() {
    checker_.AtEnd();
    if (client_app_.unreleased() != 0) checker_.Fail("callers wait for ever");
    if (server_app_.unreleased() != 0) checker_.Fail("handlers wait for ever");
    CheckNothingLeft(client_, "client");
    CheckNothingLeft(server_, "server");
    if (client_side_.lost()) return;
    // What one may send and what the other has granted is the same again.
    CheckCredit(client_, server_, "up");
    CheckCredit(server_, client_, "down");
  }

  void CheckNothingLeft(const WireMachine& machine, const char* name) {
    if (machine.call_count() != 0 || machine.open_call_count() != 0) {
      checker_.Fail(absl::StrCat(name, ": ", machine.call_count(), " calls are left, ",
                                 machine.open_call_count(), " of them open"));
    }
    if (machine.wants_pump()) checker_.Fail(absl::StrCat(name, ": something is left to write"));
    if (machine.account().held != 0) {
      checker_.Fail(absl::StrCat(name, ": ", machine.account().held, " bytes are left"));
    }
  }

  void CheckCredit(const WireMachine& sender, const WireMachine& receiver, const char* direction) {
    if (sender.account().may_send != static_cast<int64_t>(receiver.account().peer_may_send)) {
      checker_.Fail(absl::StrCat(direction, ": ", sender.account().may_send, " may be sent, but ",
                                 receiver.account().peer_may_send, " is granted"));
    }
    if (sender.account().may_exceed != static_cast<int64_t>(receiver.account().peer_may_exceed)) {
      checker_.Fail(absl::StrCat(direction, ": ", sender.account().may_exceed,
                                 " of excess may be sent, but ", receiver.account().peer_may_exceed,
                                 " is granted"));
    }
  }

  Random random_;
  Agenda agenda_;
  const Scenario scenario_;
  Checker checker_;
  Side client_side_, server_side_;
  Link up_, down_;
  ServerApp server_app_;
  protocol::WireClient client_;
  protocol::WireServer server_;
  ClientApp client_app_;
};

}  // namespace

Result RunWorld(uint64_t seed) { return World(seed).Run(); }

}  // namespace anywire::sim
