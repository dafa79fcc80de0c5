// The client's callers: each does what its plan says.
#ifndef ANYWIRE_TESTS_SIM_CLIENT_APP_H_
#define ANYWIRE_TESTS_SIM_CLIENT_APP_H_

#include <cstddef>
#include <deque>

#include "runtime/protocol/wire_client.h"
#include "tests/sim/agenda.h"
#include "tests/sim/checker.h"
#include "tests/sim/plan.h"
#include "tests/sim/random.h"
#include "tests/sim/side.h"

namespace anywire::sim {

class ClientApp {
 public:
  ClientApp(Agenda& agenda, Random& random, Checker& checker, const Scenario& scenario, Side& side,
            protocol::WireClient& machine);

  void OnEvent(protocol::Event& event);
  // Calls that the callers have not let go of.
  size_t unreleased() const { return unreleased_; }
  // Whether no call is left, nor to come.
  bool done() const { return unreleased_ == 0 && unopened_ == 0; }
  // Message bytes that readers have not taken yet, each message with what it counts for itself.
  size_t unread() const { return unread_; }

 private:
  struct Caller {
    const Plan* plan = nullptr;
    protocol::CallId id;
    bool open = false;
    bool released = false;
    bool waiting = false;  // for kWritable
    bool half_closed = false;
    bool ended = false;
    size_t sent = 0;
    size_t unread = 0;
  };

  void Open(Caller& caller);
  void SendNext(Caller& caller);
  void Sent(Caller& caller);
  void HalfClose(Caller& caller);
  void Cancel(Caller& caller, absl::Status status);
  // The machine has let go of the call, or is about to.
  void Released(Caller& caller);
  void Release(Caller& caller);

  Agenda& agenda_;
  Random& random_;
  Checker& checker_;
  Side& side_;
  protocol::WireClient& machine_;
  std::deque<Caller> callers_;
  size_t unopened_ = 0;
  size_t unreleased_ = 0;
  size_t unread_ = 0;
};

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_CLIENT_APP_H_
