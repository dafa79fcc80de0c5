#include "runtime/protocol/wire_server.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "runtime/wire/frame_kinds.h"

namespace anywire::protocol {
namespace {

uint32_t MaxCalls(const Limits& limits) {
  return std::clamp(limits.max_concurrent_calls, uint32_t{1}, wire::kMaxStreams);
}

wire::Hello ServerHello(const Limits& limits) {
  wire::Hello hello;
  hello.max_concurrent_calls = MaxCalls(limits);
  hello.max_methods = std::min(limits.max_methods, size_t{1} << 20);
  return hello;
}

Instant DeadlineAt(uint64_t microseconds, Instant now) {
  constexpr uint64_t kTenYears = uint64_t{10} * 366 * 86400 * 1000000;
  if (microseconds > kTenYears) return Instant::max();
  return now + std::chrono::microseconds(microseconds);
}

bool IsNotProcessed(const absl::Status& status) {
  return !status.ok() && DeliveryOf(status) == Delivery::kNotProcessed;
}

}  // namespace

WireServer::WireServer(FrameSink& sink, FrameSizes frame_sizes, const Limits& limits, Instant now,
                       CallFactory& factory)
    : WireMachine(false, sink, frame_sizes, limits, ServerHello(limits), now),
      factory_(factory),
      methods_(std::min(limits.max_methods, size_t{1} << 20)),
      max_calls_(MaxCalls(limits)) {}

// ---- commands

absl::Status WireServer::SendInitialMetadata(CallId id, const Metadata& metadata) {
  Call* const call = calls_.Find(id);
  if (call == nullptr || call->over || ended()) return absl::OkStatus();
  if (call->metadata_sent) {
    return absl::FailedPreconditionError("initial metadata goes once and before the first message");
  }
  if (absl::Status status = wire::CheckMetadata(metadata, metadata_limits()); !status.ok()) {
    return status;
  }
  call->metadata_sent = true;
  if (metadata.empty()) return absl::OkStatus();
  call->MutableUnwritten().metadata = wire::EncodeMetadata(metadata);
  call->metadata_wanted = true;
  Queue(*call);
  return absl::OkStatus();
}

void WireServer::Finish(CallId id, const absl::Status& status, const Metadata* trailing,
                        const Payload* message) {
  if (Call* const call = calls_.Find(id)) FinishCall(*call, status, trailing, message);
}

void WireServer::FinishAndRelease(CallId id, const absl::Status& status, const Metadata* trailing,
                                  const Payload* message) {
  Call* const call = calls_.Find(id);
  if (call == nullptr) return;
  // First the release: the end that is written may be all that is left of the call.
  const bool over = call->over;
  calls_.Release(*call);
  received_.OnReleased(*call);
  FinishCall(*call, status, trailing, message);
  if (over) RecycleIfDone(*call);
}

void WireServer::FinishCall(Call& call, const absl::Status& status, const Metadata* trailing,
                            const Payload* message) {
  StopRunning(call);
  if (call.over || ended()) return;
  received_.DropIncoming(call);
  call.over = true;  // the deadline holds until the client has its end
  const bool plain = status.ok() && (trailing == nullptr || trailing->empty()) &&
                     (message == nullptr || message->size <= limits_.max_send_message_size);
  if (plain && NothingAhead(call) && WriteDataNow(call, message, true)) return;
  FinishOtherwise(call, plain, status, trailing, message);
}

void WireServer::FinishOtherwise(Call& call, bool plain, const absl::Status& status,
                                 const Metadata* trailing, const Payload* message) {
  absl::Status result = status;
  std::string trailers;
  if (trailing != nullptr && !trailing->empty()) {
    const absl::Status fault = wire::CheckMetadata(*trailing, metadata_limits());
    if (fault.ok()) {
      trailers = wire::EncodeMetadata(*trailing);
    } else {
      result = absl::InternalError(absl::StrCat("the handler's trailing ", fault.message()));
    }
  }
  if (message != nullptr && result.ok() && message->size > limits_.max_send_message_size) {
    result = absl::ResourceExhaustedError(
        absl::StrCat("the handler's message has ", message->size, " bytes; at most ",
                     limits_.max_send_message_size, " may be sent"));
  }
  if (!result.ok()) message = nullptr;
  if (!plain) {
    if (NothingAhead(call) && WriteFinishNow(call, result, trailers, message)) return;
  }
  if (message != nullptr && !MayQueue(message->size)) {
    return SendFinish(call, QueueIsFull(message->size), false);
  }
  if (!plain) {
    call.MutableUnwritten().finish =
        wire::EncodeFinish(result, IsNotProcessed(result), "", trailers, false);
  }
  if (message != nullptr) {
    Store(*message, call.out.present ? call.MutableUnwritten().last_message : call.out);
  }
  call.end_wanted = true;
  Queue(call);
}

bool WireServer::WriteFinishNow(Call& call, const absl::Status& status, absl::string_view trailers,
                                const Payload* message) {
  const absl::string_view metadata =
      call.metadata_wanted ? absl::string_view(call.unwritten->metadata) : absl::string_view();
  const std::string head =
      wire::EncodeFinish(status, IsNotProcessed(status), metadata, trailers, message != nullptr);
  const size_t size = message != nullptr ? message->size : 0;
  if (message != nullptr ? !FitsNow(call, head.size(), size) : head.size() > max_frame_size_) {
    return false;
  }
  if (!WriteMessageFrame(call.stream, head.size(), message,
                         [&head](uint8_t* to) { wire::WriteBytes(head, to); })) {
    return false;
  }
  if (message != nullptr) send_.TakeWhole(call, size);
  call.metadata_wanted = false;
  OnSendEnded(call);
  return true;
}

void WireServer::Drain() {
  if (draining_ || ended()) return;
  draining_ = true;
  control_.SayDraining();
}

void WireServer::Release(CallId id, Events& events) {
  Call* const call = calls_.Find(id);
  if (call == nullptr) return;
  StopRunning(*call);
  calls_.Release(*call);
  received_.OnReleased(*call);
  if (!call->over) {
    Abandon(*call, absl::CancelledError("the server gave the call up"), events);
  } else {
    RecycleIfDone(*call);
  }
}

void WireServer::Cancel(CallId id, absl::Status status, Events& events) {
  Call* const call = calls_.Find(id);
  if (call == nullptr || call->over) return;
  Abandon(*call, status.ok() ? absl::CancelledError("cancelled") : status, events);
}

// ---- ends

void WireServer::StopRunning(Call& call) {
  if (!call.running) return;
  call.running = false;
  --running_;
  if (call.cancelled) --running_cancelled_;
}

void WireServer::SendFinish(Call& call, const absl::Status& status, bool not_processed) {
  if (call.send_ended) return;
  if (call.fragmenting && wire::IsFinish(static_cast<uint8_t>(call.unwritten->fragmented[0]))) {
    return;
  }
  call.MutableUnwritten().finish = wire::EncodeFinish(status, not_processed, "", "", false);
  call.end_wanted = true;
  Queue(call);
}

void WireServer::Refuse(Call& call, const absl::Status& status) {
  call.over = true;
  call.deadline = Instant::max();
  calls_.Release(call);
  SendFinish(call, status, true);
}

void WireServer::Abandon(Call& call, const absl::Status& status, Events& events) {
  if (!call.over) {
    call.over = true;
    call.deadline = Instant::max();
    if (call.running) {
      call.cancelled = true;
      ++running_cancelled_;
    }
    if (!call.released) {
      AddEvent(call, Event::kFinished, events).final =
          std::make_unique<Final>(Final{status, Metadata()});
    }
  }
  DropUnsent(call);
  received_.DropIncoming(call);
  SendFinish(call, status, false);
}

void WireServer::OnDeadline(Call& call, Events& events) {
  if (call.opened) return Abandon(call, absl::DeadlineExceededError("deadline exceeded"), events);
  DropFragments(call, 0);
  Refuse(call, absl::UnavailableError("the call's OPEN did not come whole in time"));
}

void WireServer::EndWithConnection(Call& call, const absl::Status& why, Events& events) {
  call.over = true;
  call.deadline = Instant::max();
  if (call.running) {
    call.cancelled = true;
    ++running_cancelled_;
  }
  if (call.released) return;
  if (!call.opened) return calls_.Release(call);  // its OPEN has not come whole: nobody owns it
  AddEvent(call, Event::kFinished, events).final = std::make_unique<Final>(Final{why, Metadata()});
}

void WireServer::OnReceiveEnded(Call& call) {
  call.receive_ended = true;
  received_.OnEnded(call);
  if (call.send_ended) FreeStream(call);
}

// ---- frames

absl::Status WireServer::OnFrames(absl::Span<const ReceivedFrame> frames, Instant now,
                                  Events& events) {
  return ReadFrames(*this, frames, now, events);
}

const char* WireServer::OnCallFrame(uint64_t stream, wire::Bytes bytes, Instant now,
                                    Events& events) {
  const uint8_t first = bytes[0];
  Call* call = calls_.OnStream(stream);
  if (call == nullptr) {
    // On their way when the call ended here.
    if (first == wire::kReset || first == wire::kCredit) return nullptr;
    const bool fragment = first == wire::kFragment;
    if (!wire::IsOpen(first) && !fragment) return "a frame on a stream without a call";
    if (stream > std::max(max_calls_, wire::kAssumedConcurrentCalls)) {
      return "a stream above the limit";
    }
    call = &calls_.New();
    calls_.Bind(*call, static_cast<uint32_t>(stream));
    call->send_credit = send_.initial_credit();
    ++open_calls_;
    control_.OnCallOpened(now);
    if (!fragment) return OnOpen(*call, bytes, false, now, events);
    call->deadline = now + control_.handshake_timeout();  // for all of the fragments
    timers_.SetNoLaterThan(call->timer, call->deadline);
  }
  if (!call->fragments.empty() && !MayInterleave(first)) return "a frame between fragments";
  switch (first) {
    case wire::kReset:
      return OnReset(*call, bytes, events);
    case wire::kCredit:
      return OnCallCredit(*call, bytes);
    case wire::kFragment:
    case wire::kLastFragment:
      return OnFragmentFrame(*call, bytes, now, events);
    default:
      if (wire::IsData(first)) return OnData(*call, bytes, events);
      return wire::IsOpen(first) ? "a call on a busy stream" : "an unknown frame from the client";
  }
}

const char* WireServer::OnFragmentFrame(Call& call, wire::Bytes bytes, Instant now,
                                        Events& events) {
  if (call.opened || call.over) {
    if (!call.fragments_dropped) return "fragments of a frame that has none";
  }
  const bool last = bytes[0] == wire::kLastFragment;
  bool too_large = false;
  std::string frame;
  if (const char* wrong = OnFragment(call, bytes, last, &too_large, &frame)) return wrong;
  const std::string& kept = last && !call.fragments_dropped ? frame : call.fragments;
  if (!wire::IsOpen(static_cast<uint8_t>(kept[0])) || (kept[0] & wire::kMessage)) {
    return "fragments of a frame that has none";
  }
  if (too_large) Refuse(call, absl::ResourceExhaustedError("too much metadata"));
  if (!last) return nullptr;
  if (call.fragments_dropped) {
    const bool end = call.fragments[0] & wire::kEnd;
    call.fragments.clear();
    call.fragments_dropped = false;
    call.opened = true;
    if (end) OnReceiveEnded(call);
    return nullptr;
  }
  return OnOpen(call, {reinterpret_cast<const uint8_t*>(frame.data()), frame.size()}, true, now,
                events);
}

const char* WireServer::FindByName(const wire::OpenFrame& open, bool in_fragments,
                                   const void** method) {
  *method = factory_.FindMethod(open.name);
  if (open.method == 0) return nullptr;
  if (in_fragments) return "OPEN: a method id in fragments";
  return methods_.Learn(open.method, *method) ? nullptr : "OPEN: bad method id";
}

absl::Status WireServer::TooManyCalls() const {
  return absl::ResourceExhaustedError(
      absl::StrCat("the server takes ", max_calls_, " calls at once on a connection"));
}

absl::Status WireServer::UnknownMethod(const wire::OpenFrame& open) {
  // The name goes back to whoever sent it.
  constexpr size_t kLongestEcho = 256;
  if (!(open.flags & wire::kLiteral)) return absl::UnimplementedError("unknown method");
  return absl::UnimplementedError(
      absl::StrCat("unknown method ", absl::CHexEscape(open.name.substr(0, kLongestEcho))));
}

absl::Status WireServer::MessageTooLarge(uint64_t size) const {
  return absl::ResourceExhaustedError(absl::StrCat("a message of ", size, " bytes; at most ",
                                                   limits_.max_receive_message_size,
                                                   " are accepted"));
}

absl::Status WireServer::TakeMetadata(const wire::OpenFrame& open,
                                      std::unique_ptr<Metadata>* metadata,
                                      const char** wrong) const {
  *metadata = std::make_unique<Metadata>();
  absl::Status fault;
  if (!wire::DecodeMetadata(open.metadata, metadata_limits(), metadata->get(), &fault)) {
    *wrong = "malformed metadata";
  }
  return fault;
}

absl::Status WireServer::CheckOpen(const wire::OpenFrame& open, const void* method,
                                   std::unique_ptr<Metadata>* metadata, const char** wrong) {
  if (draining_) return absl::UnavailableError("the server is draining");
  if (running_ - running_cancelled_ >= max_calls_ || running_ >= 2 * size_t{max_calls_}) {
    return TooManyCalls();
  }
  if (method == nullptr) return UnknownMethod(open);
  if ((open.flags & wire::kDeadline) && open.deadline_us == 0) {
    return absl::DeadlineExceededError("deadline exceeded");
  }
  if (open.flags & wire::kMetadata) {
    if (absl::Status fault = TakeMetadata(open, metadata, wrong); !fault.ok()) return fault;
  }
  if ((open.flags & wire::kMessage) && open.message_size > limits_.max_receive_message_size) {
    return MessageTooLarge(open.message_size);
  }
  return absl::OkStatus();
}

const char* WireServer::OnOpen(Call& call, wire::Bytes bytes, bool in_fragments, Instant now,
                               Events& events) {
  wire::OpenFrame open;
  if (const char* wrong = wire::ReadOpen(bytes, &open)) return wrong;
  const void* method = nullptr;
  if (const char* wrong = FindMethod(open, in_fragments, &method)) return wrong;
  std::unique_ptr<Metadata> metadata;
  const char* wrong = nullptr;
  const absl::Status refusal = CheckOpen(open, method, &metadata, &wrong);
  if (wrong != nullptr) return wrong;
  if (!refusal.ok()) Refuse(call, refusal);
  ReceivedMessage message;
  uint8_t bits = Event::kIncoming;
  if (open.flags & wire::kMessage) {
    ReceiveWindows::Outcome outcome;
    wrong = OnMessagePiece(call, open.message_size, open.message, open.flags, &message, &outcome);
    if (wrong != nullptr) return wrong;
    if (outcome == ReceiveWindows::Outcome::kComplete) bits |= Event::kMessage;
  }

  // Only now, when nothing of the frame can be a breach any more, does anybody hear of the call.
  call.opened = true;
  const bool end = open.flags & wire::kEnd;
  if (refusal.ok()) {
    const Instant deadline =
        open.flags & wire::kDeadline ? DeadlineAt(open.deadline_us, now) : Instant::max();
    call.deadline = deadline;
    timers_.SetNoLaterThan(call.timer, deadline);
    call.running = true;
    ++running_;
    call.tag = factory_.NewCall(call.id, method);
    Event& event =
        AddEvent(call, end ? bits | Event::kHalfClose : bits, events, std::move(message));
    if (metadata != nullptr) event.metadata = std::move(metadata);
    event.deadline = deadline;
  }
  if (end) OnReceiveEnded(call);
  return nullptr;
}

const char* WireServer::OnData(Call& call, wire::Bytes bytes, Events& events) {
  if (!call.opened) return "a frame between fragments";
  if (call.receive_ended) return "a frame after the client's last";
  wire::DataFrame data;
  if (const char* wrong = wire::ReadData(bytes, !call.in.present, &data)) return wrong;
  if (data.flags & wire::kMetadata) return "metadata from the client after OPEN";
  ReceivedMessage message;
  uint8_t bits = 0;
  if (data.flags & wire::kMessage) {
    ReceiveWindows::Outcome outcome;
    if (const char* wrong =
            OnMessagePiece(call, data.message_size, data.message, data.flags, &message, &outcome)) {
      return wrong;
    }
    if (outcome == ReceiveWindows::Outcome::kComplete) bits |= Event::kMessage;
    if (outcome == ReceiveWindows::Outcome::kTooLarge) {
      Abandon(call, MessageTooLarge(data.message_size), events);
    }
  }
  const bool end = data.flags & wire::kEnd;
  if (end && call.in.present) return "an end inside a message";
  if (end) bits |= Event::kHalfClose;
  if (bits != 0 && !call.over && !call.released) {
    AddEvent(call, bits, events, std::move(message));
  }
  if (end) OnReceiveEnded(call);
  return nullptr;
}

const char* WireServer::OnReset(Call& call, wire::Bytes bytes, Events& events) {
  absl::StatusCode code;
  if (const char* wrong = wire::ReadReset(bytes, &code)) return wrong;
  if (!call.opened) return "a frame between fragments";
  if (!call.send_ended) {
    Abandon(call,
            code == absl::StatusCode::kDeadlineExceeded
                ? absl::DeadlineExceededError("deadline exceeded at the client")
                : absl::CancelledError("cancelled by the client"),
            events);
  }
  OnReceiveEnded(call);
  return nullptr;
}

}  // namespace anywire::protocol
