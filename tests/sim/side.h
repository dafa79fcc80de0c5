// One machine in the simulated world, kept as its owner must keep it: pumped when it wants to be,
// woken when it asks, its events handed on in order.
#ifndef ANYWIRE_TESTS_SIM_SIDE_H_
#define ANYWIRE_TESTS_SIM_SIDE_H_

#include <cstddef>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "anywire/frame.h"
#include "runtime/protocol/wire_machine.h"
#include "tests/sim/agenda.h"
#include "tests/sim/checker.h"
#include "tests/sim/random.h"

namespace anywire::sim {

class Side {
 public:
  Side(Agenda& agenda, Random& random, Checker& checker, std::string name)
      : agenda_(agenda), random_(random), checker_(checker), name_(std::move(name)) {}

  void Start(protocol::WireMachine& machine, std::function<void(protocol::Event& event)> on_event) {
    machine_ = &machine;
    on_event_ = std::move(on_event);
    AfterUse();
  }

  // What a command may add events to; AfterUse hands them on.
  protocol::Protocol::Events& events() { return events_; }
  // After every use of the machine.
  void AfterUse();

  void OnFrames(absl::Span<const ReceivedFrame> frames);
  void OnWritable();
  // The connection is gone.
  void Lose(const absl::Status& why);
  bool lost() const { return lost_; }
  // An error of OnFrames or OnTime means that the connection is over; set by whoever joins the two
  // ends.
  std::function<void(const absl::Status&)> on_error;

 private:
  void HandOn();
  void Wake();

  Agenda& agenda_;
  Random& random_;
  Checker& checker_;
  const std::string name_;
  protocol::WireMachine* machine_ = nullptr;
  std::function<void(protocol::Event& event)> on_event_;
  protocol::Protocol::Events events_;
  bool handing_on_ = false;
  bool pump_planned_ = false;
  bool no_room_ = false;
  bool lost_ = false;
  Instant wake_at_ = Instant::max();
};

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_SIDE_H_
