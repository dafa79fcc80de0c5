#include "runtime/protocol/wire_machine.h"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "anywire/delivery.h"
#include "runtime/wire/frame_kinds.h"

namespace anywire::protocol {
namespace {

// Frames in fragments: of one call beside its metadata, and of all calls of a connection.
constexpr size_t kFragmentsBesideMetadata = 64 << 10;
constexpr size_t kFragmentsOfConnection = 1 << 20;

// With max_queued_bytes raised to what it is at least.
Limits Raised(Limits limits) {
  constexpr size_t kMost = size_t{1} << 48;  // no message is larger
  limits.max_queued_bytes =
      std::max(limits.max_queued_bytes, 2 * std::min(limits.max_send_message_size, kMost));
  return limits;
}

[[noreturn]] void WrongRole(const char* function) {
  std::fprintf(stderr, "anywire: %s is not for this end of a connection\n", function);
  std::abort();
}

}  // namespace

WireMachine::WireMachine(bool is_client, FrameSink& sink, FrameSizes frame_sizes,
                         const Limits& limits, const wire::Hello& hello, Instant now)
    : is_client_(is_client),
      sink_(sink),
      max_frame_size_(frame_sizes.largest),
      piece_size_(frame_sizes.piece),
      limits_(Raised(limits)),
      timers_(now),
      received_(limits, control_calls_),
      control_(
          sink, timers_, limits,
          [&hello, this] {
            wire::Hello full = hello;
            full.call_window = received_.call_window();
            full.connection_window = received_.connection_window();
            full.excess_window = received_.excess_window();
            return full;
          }(),
          now) {
  assert(frame_sizes.largest >= 1024);
  control_.Write();
}

WireMachine::~WireMachine() = default;

// ---- commands

SendResult WireMachine::Send(CallId id, const Payload& message) {
  Call* const call = calls_.Find(id);
  if (call == nullptr || call->over || call->end_wanted || call->out.present || ended()) {
    return SendResult::kOver;
  }
  if (message.size > limits_.max_send_message_size) return SendResult::kTooLarge;
  if (NothingAhead(*call) && WriteDataNow(*call, &message, false)) return SendResult::kSent;
  if (!MayQueue(message.size)) return SendResult::kQueueFull;
  call->metadata_sent = true;
  Store(message, call->out);
  Queue(*call);
  return SendResult::kQueued;
}

void WireMachine::Consumed(CallId id, size_t bytes) {
  if (Call* const call = calls_.Find(id)) received_.OnConsumed(*call, bytes);
}

// ---- the other role's

absl::StatusOr<CallId> WireMachine::Open(const OpenRequest&, Instant, bool*) { WrongRole("Open"); }
void WireMachine::HalfClose(CallId) { WrongRole("HalfClose"); }
absl::Status WireMachine::SendInitialMetadata(CallId, const Metadata&) {
  WrongRole("SendInitialMetadata");
}
void WireMachine::Finish(CallId, const absl::Status&, const Metadata*, const Payload*) {
  WrongRole("Finish");
}
void WireMachine::FinishAndRelease(CallId, const absl::Status&, const Metadata*, const Payload*) {
  WrongRole("FinishAndRelease");
}
void WireMachine::Drain() { WrongRole("Drain"); }
bool WireMachine::WriteOpen(Call&, Instant, Events&) { WrongRole("WriteOpen"); }
void WireMachine::OnStreamFree(uint32_t) { WrongRole("OnStreamFree"); }

// ---- input

absl::Status WireMachine::OnControlFrame(absl::Span<const uint8_t> bytes, Instant now,
                                         Events& events) {
  ConnectionControl::News news;
  if (absl::Status status = control_.OnFrame(bytes, now, &news); !status.ok()) {
    const bool peer_left = status.code() == absl::StatusCode::kUnavailable;
    return EndConnection(status, !peer_left, events);
  }
  if (news.credit > 0) {
    if (!send_.AddConnectionCredit(news.credit)) {
      return EndConnection(absl::DataLossError("CREDIT: more than the connection's window"), true,
                           events);
    }
    AdmitWaiting();
  }
  if (news.excess_credit > 0) {
    if (!send_.AddExcessCredit(news.excess_credit)) {
      return EndConnection(absl::DataLossError("EXCESS CREDIT: more than the excess window"), true,
                           events);
    }
    AdmitWaiting();
  }
  if (news.hello) {
    const wire::Hello& hello = control_.peer_hello();
    const int64_t more =
        send_.OnHello(hello.call_window, hello.connection_window, hello.excess_window);
    for (const std::unique_ptr<Call>& call : calls_.all()) {
      if (call->stream == 0) continue;
      call->send_credit += more;
      Queue(*call);
    }
    AdmitWaiting();
  }
  peer_is_draining_ = peer_is_draining_ || news.draining;
  if (news.hello || news.draining) OnNews(news, events);
  return absl::OkStatus();
}

const char* WireMachine::OnFragment(Call& call, wire::Bytes bytes, bool last, bool* too_large,
                                    std::string* frame) {
  bytes.remove_prefix(1);
  if (bytes.empty()) return "an empty fragment";
  if (call.fragments_dropped) return nullptr;
  const size_t limit = 2 * limits_.max_metadata_size + kFragmentsBesideMetadata;
  *too_large = call.fragments.size() + bytes.size() > limit ||
               fragment_bytes_ + bytes.size() > kFragmentsOfConnection;
  if (*too_large) {
    DropFragments(call, bytes[0]);
    return nullptr;
  }
  call.fragments.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  fragment_bytes_ += bytes.size();
  if (last) {
    fragment_bytes_ -= call.fragments.size();
    *frame = std::move(call.fragments);
    call.fragments.clear();
  }
  return nullptr;
}

void WireMachine::DropFragments(Call& call, uint8_t next) {
  fragment_bytes_ -= call.fragments.size();
  call.fragments_dropped = true;
  const char first = call.fragments.empty() ? static_cast<char>(next) : call.fragments.front();
  std::string(1, first).swap(call.fragments);  // an assignment would keep the memory
}

const char* WireMachine::OnCallCredit(Call& call, wire::Bytes bytes) {
  uint64_t amount = 0;
  if (const char* wrong = wire::ReadCredit(bytes, &amount)) return wrong;
  // It may have been on its way when the call ended here.
  if (call.send_ended || (is_client_ && call.over)) return nullptr;
  if (!send_.AddCallCredit(call, amount)) return "CREDIT: more than the call's window";
  Queue(call);
  return nullptr;
}

// ---- time and the end

absl::Status WireMachine::OnTime(Instant now, Events& events) { return RunTimers(now, events); }

absl::Status WireMachine::RunTimers(Instant now, Events& events) {
  // Threads look at the clock before they have the machine: time does not go back here for that. A
  // timer set anew for a time that has been passed already would be due again at once, for ever.
  now = latest_ = std::max(latest_, now);
  while (TimingWheel::Timer* const timer = timers_.PopDue(now)) {
    if (!control_.IsMine(timer)) {
      Call& call = *static_cast<Call*>(timer->owner);
      if (call.deadline <= now) {
        OnDeadline(call, events);
      } else {
        timers_.Set(call.timer, call.deadline);
      }
      continue;
    }
    const absl::Status status = control_.OnTimer(timer, now, open_calls_ > 0);
    if (!status.ok()) return EndConnection(status, true, events);
  }
  return end_;
}

void WireMachine::OnConnectionLost(const absl::Status& why, Events& events) {
  EndConnection(why, false, events).IgnoreError();
}

absl::Status WireMachine::EndConnection(const absl::Status& why, bool goodbye, Events& events) {
  if (ended()) return end_;
  end_ = why;
  const absl::Status of_calls =
      absl::UnavailableError(absl::StrCat("the connection ended: ", why.message()));
  for (const std::unique_ptr<Call>& slot : calls_.all()) {
    Call& call = *slot;
    if (call.stream == 0 && call.queue == SendQueue::kNone) continue;
    if (!call.over) EndWithConnection(call, of_calls, events);
    call.fragmenting = false;
    call.fragments_dropped = false;
    call.fragments.clear();
    DropUnsent(call);
    call.end_wanted = false;
    received_.DropIncoming(call);
    received_.OnEnded(call);
    call.receive_ended = true;
    if (call.stream != 0 && !call.send_ended) {
      call.send_ended = true;
      timers_.Clear(call.timer);
      if (!is_client_) --open_calls_;
    }
    if (call.stream != 0) FreeStream(call);
    RecycleIfDone(call);
  }
  control_.StopTimers();
  if (goodbye) {
    control_.SayGoodbye(why);
  } else {
    control_.Cease();
  }
  return end_;
}

}  // namespace anywire::protocol
