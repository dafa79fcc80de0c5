#include "tests/sim/server_app.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "runtime/wire/frame_kinds.h"

namespace anywire::sim {
namespace {

using protocol::Event;
using protocol::Payload;
using protocol::SendResult;

void WriteMessage(const void* object, uint8_t* to, size_t size) {
  static_cast<const MessageSource*>(object)->Write(to, size);
}

}  // namespace

const void* ServerApp::FindMethod(absl::string_view full_name) {
  return absl::StartsWith(full_name, "sim.Service/") ? this : nullptr;
}

void* ServerApp::NewCall(protocol::CallId call, const void* method) {
  if (method != this) checker_.Fail("a call with another method");
  Handler& handler = handlers_.emplace_back();
  handler.id = call;
  ++unreleased_;
  return &handler;
}

void ServerApp::Identify(Handler& handler, const Event& event) {
  if (handler.plan != nullptr) return;
  uint32_t number = 0;
  if (event.metadata != nullptr && event.metadata->Get("plan").has_value()) {
    if (!absl::SimpleAtoi(*event.metadata->Get("plan"), &number)) checker_.Fail("no plan number");
  } else if (event.bits & Event::kMessage) {
    const std::optional<uint32_t> named = PlanOf(event.message.bytes);
    if (!named) checker_.Fail("a first request that names no plan");
    number = named.value_or(0);
  } else {
    return;
  }
  if (number >= scenario_.plans.size()) return checker_.Fail("a plan that does not exist");
  handler.plan = &scenario_.plans[number];
  checker_.HandlerRan(*handler.plan);
}

void ServerApp::OnEvent(Event& event) {
  Handler& handler = *static_cast<Handler*>(event.tag);
  if (handler.released) return;
  if (handler.id != event.call) checker_.Fail("an event with another call's tag");
  if (handler.incoming == ((event.bits & Event::kIncoming) != 0)) {
    checker_.Fail("incoming is not a call's first event");
  }
  handler.incoming = true;
  Identify(handler, event);
  if (event.bits & Event::kMessage) OnMessage(handler, event);
  if (event.bits & Event::kHalfClose) {
    handler.half_closed = true;
    if (handler.plan != nullptr) checker_.HalfClosed(*handler.plan);
  }
  if (event.bits & Event::kWritable) {
    if (!handler.waiting) checker_.Fail("writable, though nothing was queued");
    handler.waiting = false;
  }
  if (event.bits & Event::kFinished) {
    if (handler.over) checker_.Fail("the end of a handler that had finished");
    handler.over = true;
    if (handler.plan != nullptr) checker_.HandlerToldOfEnd(*handler.plan, event.final->status);
    return ReleaseSoon(handler);
  }
  if (handler.plan != nullptr) StepLater(handler);
}

void ServerApp::OnMessage(Handler& handler, const Event& event) {
  if (handler.plan == nullptr) return;
  checker_.RequestReceived(*handler.plan, event.message.bytes);
  ++handler.requests;
  if ((event.bits & Event::kHalfClose) || handler.plan->server_never_reads) return;
  const size_t size = event.message.bytes.size();
  const size_t counted = size + wire::kMessageOverhead;
  handler.unread += counted;
  unread_ += counted;
  agenda_.After(handler.plan->server_read_pause, [this, &handler, size, counted] {
    if (handler.released) return;
    handler.unread -= counted;
    unread_ -= counted;
    machine_->Consumed(handler.id, size);
    side_.AfterUse();
  });
}

void ServerApp::StepLater(Handler& handler) {
  if (handler.busy) return;
  handler.busy = true;
  agenda_.After(handler.plan->server_send_pause, [this, &handler] {
    handler.busy = false;
    Step(handler);
    side_.AfterUse();
  });
}

bool ServerApp::MayReply(const Handler& handler) const {
  switch (handler.plan->style) {
    case Plan::Style::kAfterHalfClose:
      return handler.half_closed;
    case Plan::Style::kAtOnce:
      return true;
    case Plan::Style::kReplyToEach:
      return handler.half_closed || handler.requests > handler.sent;
    case Plan::Style::kNever:
      return false;
  }
  return false;
}

void ServerApp::Step(Handler& handler) {
  const Plan& plan = *handler.plan;
  if (handler.over || handler.released || handler.waiting || !MayReply(handler)) return;
  if (handler.sent == 0 && plan.initial_metadata) {
    // A second time it is refused, and nothing happens.
    machine_->SendInitialMetadata(handler.id, *plan.initial_metadata).IgnoreError();
  }
  const size_t left = plan.replies.size() - handler.sent;
  if (left == 0 || (left == 1 && plan.last_reply_with_finish)) return Finish(handler);
  SendReply(handler);
}

void ServerApp::SendReply(Handler& handler) {
  const Plan& plan = *handler.plan;
  const MessageSource source{plan.number, true, static_cast<uint32_t>(handler.sent)};
  const SendResult result =
      machine_->Send(handler.id, {plan.replies[handler.sent], &source, WriteMessage});
  if (result == SendResult::kOver) return;  // the event is on its way
  if (result == SendResult::kTooLarge || result == SendResult::kQueueFull) {
    checker_.ReplyTooLarge(plan);
    return FinishWith(handler, absl::ResourceExhaustedError("the reply is too large"), nullptr);
  }
  ++handler.sent;
  checker_.ReplySent(plan);
  handler.waiting = result == SendResult::kQueued;
  if (!handler.waiting) return StepLater(handler);
  const size_t left = plan.replies.size() - handler.sent;
  if (plan.finish_at_once && left <= (plan.last_reply_with_finish ? 1 : 0) && MayReply(handler)) {
    Finish(handler);
  }
}

void ServerApp::Finish(Handler& handler) {
  const Plan& plan = *handler.plan;
  if (plan.release_instead_of_finish) {
    checker_.ServerGaveUp(plan);
    return Release(handler);
  }
  const MessageSource source{plan.number, true, static_cast<uint32_t>(handler.sent)};
  if (handler.sent == plan.replies.size()) return FinishWith(handler, plan.status, nullptr);
  const Payload payload{plan.replies[handler.sent], &source, WriteMessage};
  ++handler.sent;
  checker_.ReplySent(plan);
  FinishWith(handler, plan.status, &payload);
}

void ServerApp::FinishWith(Handler& handler, const absl::Status& status, const Payload* message) {
  const Plan& plan = *handler.plan;
  handler.over = true;
  checker_.ServerFinished(plan, status);
  const Metadata* const trailing = plan.trailing_metadata ? &*plan.trailing_metadata : nullptr;
  if (random_.OneIn(2)) {
    machine_->FinishAndRelease(handler.id, status, trailing, message);
    return NoteRelease(handler);
  }
  machine_->Finish(handler.id, status, trailing, message);
  ReleaseSoon(handler);
}

void ServerApp::ReleaseSoon(Handler& handler) {
  if (random_.OneIn(2)) return Release(handler);
  agenda_.After(Duration(random_.Below(1000000)), [this, &handler] { Release(handler); });
}

void ServerApp::Release(Handler& handler) {
  if (handler.released) return;
  NoteRelease(handler);
  machine_->Release(handler.id, side_.events());
  side_.AfterUse();
}

void ServerApp::NoteRelease(Handler& handler) {
  handler.released = true;
  --unreleased_;
  unread_ -= std::exchange(handler.unread, 0);
}

}  // namespace anywire::sim
