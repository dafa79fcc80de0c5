#include "tests/sim/client_app.h"

#include <string>
#include <utility>

#include "runtime/wire/frame_kinds.h"

namespace anywire::sim {
namespace {

using protocol::Event;
using protocol::Payload;
using protocol::SendResult;

constexpr absl::string_view kMethods[] = {"sim.Service/Zero", "sim.Service/One",
                                          "sim.Service/Two",  "sim.Service/Three",
                                          "sim.Service/Four", "sim.Service/Five"};
constexpr absl::string_view kUnknownMethods[] = {"other.Service/Zero", "other.Service/One",
                                                 "other.Service/Two",  "other.Service/Three",
                                                 "other.Service/Four", "other.Service/Five"};

void WriteMessage(const void* object, uint8_t* to, size_t size) {
  static_cast<const MessageSource*>(object)->Write(to, size);
}

}  // namespace

ClientApp::ClientApp(Agenda& agenda, Random& random, Checker& checker, const Scenario& scenario,
                     Side& side, protocol::WireClient& machine)
    : agenda_(agenda), random_(random), checker_(checker), side_(side), machine_(machine) {
  for (const Plan& plan : scenario.plans) {
    if (plan.left_out) continue;
    Caller& caller = callers_.emplace_back();
    caller.plan = &plan;
    ++unopened_;
    agenda_.After(plan.open_after, [this, &caller] { Open(caller); });
  }
}

void ClientApp::Open(Caller& caller) {
  const Plan& plan = *caller.plan;
  --unopened_;
  const MessageSource source{plan.number, false, 0};
  Payload payload;
  protocol::Protocol::OpenRequest request;
  request.tag = &caller;
  request.method.index = plan.method + (plan.known_method ? 0 : 6);
  request.method.full_name = (plan.known_method ? kMethods : kUnknownMethods)[plan.method];
  if (plan.deadline) request.deadline = agenda_.now() + *plan.deadline;
  if (!plan.metadata.empty()) request.metadata = &plan.metadata;
  if (plan.open_with_message) {
    payload = {plan.requests[0], &source, WriteMessage};
    request.message = &payload;
  }
  request.half_close = plan.half_close_at_open;
  request.release_at_end = plan.release_at_end;
  bool queued = false;
  const absl::StatusOr<protocol::CallId> id = machine_.Open(request, agenda_.now(), &queued);
  if (!id.ok()) {
    checker_.OpenRefused(plan, id.status(), agenda_.now());
    side_.AfterUse();
    return;
  }
  caller.id = *id;
  caller.open = true;
  caller.half_closed = plan.half_close_at_open;
  ++unreleased_;
  checker_.Opened(plan, agenda_.now());
  if (plan.cancel_after) {
    agenda_.After(*plan.cancel_after,
                  [this, &caller] { Cancel(caller, absl::CancelledError("plan")); });
  }
  if (plan.release_after) {
    agenda_.After(*plan.release_after, [this, &caller] { Release(caller); });
  }
  if (plan.open_with_message) {
    ++caller.sent;
    checker_.RequestSent(plan);
    caller.waiting = queued;
  }
  if (!caller.waiting) Sent(caller);
  side_.AfterUse();
}

void ClientApp::Sent(Caller& caller) {
  if (caller.plan->send_pause.count() == 0) {
    SendNext(caller);
  } else {
    agenda_.After(caller.plan->send_pause, [this, &caller] {
      SendNext(caller);
      side_.AfterUse();
    });
  }
}

void ClientApp::SendNext(Caller& caller) {
  const Plan& plan = *caller.plan;
  if (caller.released || caller.ended) return;
  if (caller.sent == plan.requests.size()) return HalfClose(caller);
  const MessageSource source{plan.number, false, static_cast<uint32_t>(caller.sent)};
  const SendResult result =
      machine_.Send(caller.id, {plan.requests[caller.sent], &source, WriteMessage});
  switch (result) {
    case SendResult::kOver:
      // Only an end that is on its way in an event explains it.
      return;
    case SendResult::kQueueFull:
    case SendResult::kTooLarge:
      checker_.RequestTooLarge(plan);
      return Cancel(caller, absl::ResourceExhaustedError("plan"));
    case SendResult::kSent:
    case SendResult::kQueued:
      break;
  }
  ++caller.sent;
  checker_.RequestSent(plan);
  if (result == SendResult::kSent) return Sent(caller);
  caller.waiting = true;
  if (plan.half_close_at_once && caller.sent == plan.requests.size()) HalfClose(caller);
}

void ClientApp::HalfClose(Caller& caller) {
  if (caller.half_closed) return;
  caller.half_closed = true;
  machine_.HalfClose(caller.id);
}

void ClientApp::Cancel(Caller& caller, absl::Status status) {
  if (caller.released || caller.ended) return;
  checker_.Cancelled(*caller.plan);
  machine_.Cancel(caller.id, std::move(status), side_.events());
  side_.AfterUse();
}

void ClientApp::Released(Caller& caller) {
  caller.released = true;
  --unreleased_;
  unread_ -= std::exchange(caller.unread, 0);
  checker_.ClientReleased(*caller.plan);
}

void ClientApp::Release(Caller& caller) {
  if (caller.released) return;
  Released(caller);
  machine_.Release(caller.id, side_.events());
  side_.AfterUse();
}

void ClientApp::OnEvent(Event& event) {
  Caller& caller = *static_cast<Caller*>(event.tag);
  const Plan& plan = *caller.plan;
  // Said before the release, and handed on after it.
  if (caller.released) return;
  if (caller.open && event.call != caller.id) checker_.Fail("an event with another call's tag");
  const bool finished = event.bits & Event::kFinished;
  if (event.bits & Event::kInitialMetadata) {
    checker_.InitialMetadataReceived(plan, *event.metadata);
  }
  if (event.bits & Event::kMessage) {
    checker_.ReplyReceived(plan, event.message.bytes);
    const size_t size = event.message.bytes.size();
    if (!finished && !plan.never_reads) {
      const size_t counted = size + wire::kMessageOverhead;
      caller.unread += counted;
      unread_ += counted;
      agenda_.After(plan.read_pause, [this, &caller, size, counted] {
        if (caller.released) return;
        caller.unread -= counted;
        unread_ -= counted;
        machine_.Consumed(caller.id, size);
        side_.AfterUse();
      });
    }
  }
  if (event.bits & Event::kWritable) {
    if (!caller.waiting) checker_.Fail("writable, though nothing was queued");
    caller.waiting = false;
    Sent(caller);
  }
  if (finished) {
    checker_.Finished(plan, event.final.get(), agenda_.now());
    caller.ended = true;
    if (plan.release_at_end) {
      Released(caller);
    } else if (random_.OneIn(2)) {
      Release(caller);
    } else {
      agenda_.After(Duration(random_.Below(1000000)), [this, &caller] { Release(caller); });
    }
  }
}

}  // namespace anywire::sim
