// The server's handlers: each does what the plan of its call says, once it knows which call it has.
#ifndef ANYWIRE_TESTS_SIM_SERVER_APP_H_
#define ANYWIRE_TESTS_SIM_SERVER_APP_H_

#include <cstddef>
#include <deque>

#include "runtime/protocol/wire_server.h"
#include "tests/sim/agenda.h"
#include "tests/sim/checker.h"
#include "tests/sim/plan.h"
#include "tests/sim/random.h"
#include "tests/sim/side.h"

namespace anywire::sim {

class ServerApp final : public protocol::CallFactory {
 public:
  ServerApp(Agenda& agenda, Random& random, Checker& checker, const Scenario& scenario, Side& side)
      : agenda_(agenda), random_(random), checker_(checker), scenario_(scenario), side_(side) {}
  void Start(protocol::WireServer& machine) { machine_ = &machine; }

  const void* FindMethod(absl::string_view full_name) override;
  void* NewCall(protocol::CallId call, const void* method) override;

  void OnEvent(protocol::Event& event);
  size_t unreleased() const { return unreleased_; }
  size_t unread() const { return unread_; }

 private:
  struct Handler {
    protocol::CallId id;
    const Plan* plan = nullptr;  // null: not known yet
    bool incoming = false;
    bool half_closed = false;
    bool waiting = false;  // for kWritable
    bool busy = false;     // a step is planned
    bool over = false;     // told so, or finished
    bool released = false;
    size_t requests = 0;
    size_t sent = 0;
    size_t unread = 0;
  };

  void Identify(Handler& handler, const protocol::Event& event);
  void OnMessage(Handler& handler, const protocol::Event& event);
  void Step(Handler& handler);
  void StepLater(Handler& handler);
  bool MayReply(const Handler& handler) const;
  void SendReply(Handler& handler);
  void Finish(Handler& handler);
  void FinishWith(Handler& handler, const absl::Status& status, const protocol::Payload* message);
  void Release(Handler& handler);
  void ReleaseSoon(Handler& handler);
  void NoteRelease(Handler& handler);

  Agenda& agenda_;
  Random& random_;
  Checker& checker_;
  const Scenario& scenario_;
  Side& side_;
  protocol::WireServer* machine_ = nullptr;
  std::deque<Handler> handlers_;
  size_t unreleased_ = 0;
  size_t unread_ = 0;
};

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_SERVER_APP_H_
