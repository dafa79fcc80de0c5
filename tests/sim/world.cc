#include "tests/sim/world.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "runtime/protocol/wire_client.h"
#include "runtime/protocol/wire_server.h"
#include "tests/sim/client_app.h"
#include "tests/sim/link_path.h"
#include "tests/sim/server_app.h"
#include "tests/sim/side.h"

namespace anywire::sim {
namespace {

using protocol::Limits;
using protocol::WireMachine;

constexpr uint64_t kSteps = 2000000;

// The contract of Limits::connection_buffer.
size_t Buffer(const Limits& limits) {
  return std::max({limits.connection_buffer, size_t{256} << 10, 4 * limits.call_window,
                   4 * (limits.max_receive_message_size + 64)});
}

class World {
 public:
  World(Agenda& agenda, Random& random, const Scenario& scenario, Path& path,
        const WorldOptions& options)
      : agenda_(agenda),
        scenario_(scenario),
        path_(path),
        options_(options),
        checker_(scenario),
        client_side_(agenda, random, checker_, "client"),
        server_side_(agenda, random, checker_, "server"),
        server_app_(agenda, random, checker_, scenario, server_side_),
        client_(path.sink(End::kClient), path.max_frame_size(End::kClient), scenario.client_limits,
                agenda.now()),
        server_(path.sink(End::kServer), path.max_frame_size(End::kServer), scenario.server_limits,
                agenda.now(), server_app_),
        client_app_(agenda, random, checker_, scenario, client_side_, client_) {
    server_app_.Start(server_);
    path_.on_frames = [this](End to, absl::Span<const ReceivedFrame> frames) {
      side(to).OnFrames(frames);
    };
    path_.on_writable = [this](End end) { side(end).OnWritable(); };
    path_.on_lost = [this](End end, const absl::Status& why) { OnLost(end, why); };
    client_side_.on_error = [this](const absl::Status& why) { Cut(End::kClient, why); };
    server_side_.on_error = [this](const absl::Status& why) { Cut(End::kServer, why); };
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
      agenda_.After(*scenario_.cut_after,
                    [this] { Cut(End::kClient, absl::UnavailableError("cut")); });
    }
  }

  Result Run() {
    const Instant end = agenda_.now() + options_.bound;
    uint64_t steps = 0;
    path_.Advance();
    while (checker_.failures().empty() && !AtRest()) {
      const Instant next = path_.Next(agenda_);
      if (next == Instant::max()) break;  // nothing happens any more
      if (next > end || ++steps > kSteps) {
        checker_.Fail("it does not come to rest");
        break;
      }
      path_.DoNext(agenda_);
      CheckMemory(client_, scenario_.client_limits, client_app_.unread(), "client");
      CheckMemory(server_, scenario_.server_limits, server_app_.unread(), "server");
    }
    if (checker_.failures().empty()) CheckRest();
    Result result;
    result.failures = checker_.failures();
    result.calls = checker_.results();
    result.ends = checker_.ends();
    result.frames = path_.frames();
    result.client_lost = client_lost_;
    result.server_lost = server_lost_;
    return result;
  }

 private:
  // Whether nothing of interest is to come, though there may be timers.
  bool AtRest() const {
    return client_app_.done() && server_app_.unreleased() == 0 && !client_.wants_pump() &&
           !server_.wants_pump() && path_.is_empty();
  }

  Side& side(End end) { return end == End::kClient ? client_side_ : server_side_; }

  void Cut(End end, const absl::Status& why) {
    if (side(end).lost()) return;
    is_cut_ = true;
    path_.Abort(end, why);
  }

  void OnLost(End end, const absl::Status& why) {
    (end == End::kClient ? client_lost_ : server_lost_) = why;
    if (!is_cut_ && !options_.may_lose_path) {
      checker_.Fail(absl::StrCat("the path is lost: ", why.ToString()));
    }
    checker_.Cut();
    side(end).Lose(why);
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
    if (client_side_.lost() || server_side_.lost()) return;
    // What one may send and what the other has granted is the same again.
    CheckCredit(client_, server_, "up");
    CheckCredit(server_, client_, "down");
    is_cut_ = true;
    const std::vector<std::string> failures = path_.Close(options_.bound);
    if (options_.may_lose_path) return;
    for (const std::string& failure : failures) checker_.Fail(failure);
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

  Agenda& agenda_;
  const Scenario& scenario_;
  Path& path_;
  const WorldOptions options_;
  Checker checker_;
  Side client_side_, server_side_;
  ServerApp server_app_;
  protocol::WireClient client_;
  protocol::WireServer server_;
  ClientApp client_app_;
  bool is_cut_ = false;  // the path is lost by our own doing
  absl::Status client_lost_, server_lost_;
};

}  // namespace

Result RunWorld(uint64_t seed) {
  Random random(seed);
  Agenda agenda;
  const Scenario scenario = MakeScenario(random);
  LinkPath path(agenda, random, scenario.up, scenario.down);
  return RunWorld(agenda, random, scenario, path, {});
}

Result RunWorld(Agenda& agenda, Random& random, const Scenario& scenario, Path& path,
                const WorldOptions& options) {
  return World(agenda, random, scenario, path, options).Run();
}

}  // namespace anywire::sim
