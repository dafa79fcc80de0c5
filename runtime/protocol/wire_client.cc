#include "runtime/protocol/wire_client.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "anywire/delivery.h"
#include "runtime/wire/frame_kinds.h"

namespace anywire::protocol {
namespace {

// Rounded up, so that the server gives up no earlier than the client.
uint64_t MicrosecondsLeft(Instant deadline, Instant now) {
  if (deadline <= now) return 1;
  return static_cast<uint64_t>(
      std::chrono::ceil<std::chrono::microseconds>(deadline - now).count());
}

absl::Status NotSent(absl::Status status) {
  return WithDelivery(std::move(status), Delivery::kNotSent);
}

uint8_t ResetCode(const absl::Status& status) {
  const int code = static_cast<int>(status.code());
  return code >= 1 && code <= 16 ? static_cast<uint8_t>(code)
                                 : static_cast<uint8_t>(absl::StatusCode::kCancelled);
}

absl::Status DeadlineExceeded() { return absl::DeadlineExceededError("deadline exceeded"); }

}  // namespace

WireClient::WireClient(FrameSink& sink, FrameSizes frame_sizes, const Limits& limits, Instant now)
    : WireMachine(true, sink, frame_sizes, limits, wire::Hello(), now),
      max_streams_(wire::kAssumedConcurrentCalls) {}

// ---- opening

absl::Status WireClient::CheckOpen(const OpenRequest& request, Instant now) const {
  if (ended()) return absl::UnavailableError("the connection has ended");
  if (peer_is_draining_) return absl::UnavailableError("the server is draining");
  if (request.deadline <= now) return DeadlineExceeded();
  if (request.message != nullptr && request.message->size > limits_.max_send_message_size) {
    return MessageTooLarge(request.message->size);
  }
  if (request.message != nullptr && !MayQueue(request.message->size)) {
    return QueueIsFull(request.message->size);
  }
  if (request.metadata != nullptr && !request.metadata->empty()) {
    absl::Status status = wire::CheckMetadata(*request.metadata, metadata_limits());
    if (!status.ok()) return status;
  }
  const size_t name = request.method.full_name.size();
  if (name == 0 || name > wire::kMaxMethodNameSize) {
    return absl::InvalidArgumentError(absl::StrCat("a method name of ", name, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status WireClient::MessageTooLarge(size_t size) const {
  return absl::ResourceExhaustedError(absl::StrCat("a message of ", size, " bytes; at most ",
                                                   limits_.max_send_message_size, " may be sent"));
}

absl::Status WireClient::TooManyWaiting() const {
  return absl::ResourceExhaustedError(
      absl::StrCat("all of the ", max_streams_,
                   " calls that the server takes at once are in use, "
                   "and ",
                   waiting_stream_.size(), " wait for one to end"));
}

absl::StatusOr<CallId> WireClient::Open(const OpenRequest& request, Instant now, bool* queued) {
  *queued = false;
  if (absl::Status status = CheckOpen(request, now); !status.ok())
    return NotSent(std::move(status));
  const uint32_t stream = waiting_stream_.empty() ? TakeStream() : 0;
  if (stream == 0 && waiting_stream_.size() >= limits_.max_waiting_calls) {
    return NotSent(TooManyWaiting());
  }

  Call& call = calls_.New();
  call.tag = request.tag;
  call.release_at_end = request.release_at_end;
  call.end_wanted = request.half_close;
  call.send_credit = send_.initial_credit();
  ++open_calls_;
  control_.OnCallOpened(now);
  call.deadline = request.deadline;
  timers_.SetNoLaterThan(call.timer, request.deadline);
  if (stream != 0) calls_.Bind(call, stream);
  if (request.metadata != nullptr && !request.metadata->empty()) {
    OpenWithMetadata(call, request, now, queued);
  } else if (stream == 0 || !WriteOpenNow(call, request, "", now)) {
    OpenLater(call, request, "", queued);
  }
  return call.id;
}

void WireClient::OpenWithMetadata(Call& call, const OpenRequest& request, Instant now,
                                  bool* queued) {
  std::string metadata = wire::EncodeMetadata(*request.metadata);
  if (call.stream == 0 || !WriteOpenNow(call, request, metadata, now)) {
    OpenLater(call, request, std::move(metadata), queued);
  }
}

void WireClient::OpenLater(Call& call, const OpenRequest& request, std::string metadata,
                           bool* queued) {
  Unwritten& unwritten = call.MutableUnwritten();
  unwritten.metadata = std::move(metadata);
  unwritten.method_name = request.method.full_name;
  unwritten.method_index = request.method.index;
  if (request.message != nullptr) {
    Store(*request.message, call.out);
    *queued = true;
  }
  if (call.stream != 0) {
    Queue(call);
  } else {
    call.send_credit = 0;  // until it has a stream
    waiting_stream_.PushBack(call);
    call.queue = SendQueue::kStream;
  }
}

void WireClient::NameMethod(Call& call, uint32_t index, absl::string_view name,
                            wire::OpenFrame* open) {
  const ClientMethods::Use use = methods_.Find(index);
  open->method = use.id;
  if (use.known) return;
  open->flags |= wire::kLiteral;
  open->name = name;
  call.method_index = index;
}

void WireClient::OnOpenWritten(Call& call, const wire::OpenFrame& open) {
  call.opened = true;
  call.teaches = (open.flags & wire::kLiteral) && open.method != 0;
}

bool WireClient::WriteOpenNow(Call& call, const OpenRequest& request, absl::string_view metadata,
                              Instant now) {
  wire::OpenFrame open;
  NameMethod(call, request.method.index, request.method.full_name, &open);
  if (request.deadline != Instant::max()) {
    open.flags |= wire::kDeadline;
    open.deadline_us = MicrosecondsLeft(request.deadline, now);
  }
  if (!metadata.empty()) {
    open.flags |= wire::kMetadata;
    open.metadata = metadata;
  }
  if (request.message != nullptr) open.flags |= wire::kMessage;
  if (request.half_close) open.flags |= wire::kEnd;
  const size_t head = wire::OpenHeadSize(open);
  const size_t size = request.message != nullptr ? request.message->size : 0;
  if (request.message != nullptr ? !FitsNow(call, head, size) : head > max_frame_size_)
    return false;
  if (!WriteMessageFrame(call.stream, head, request.message,
                         [&open](uint8_t* to) { wire::WriteOpenHead(open, to); })) {
    return false;
  }
  if (request.message != nullptr) send_.TakeWhole(call, size);
  OnOpenWritten(call, open);
  if (request.half_close) OnSendEnded(call);
  return true;
}

bool WireClient::WriteOpen(Call& call, Instant now, Events& events) {
  const Unwritten& unwritten = *call.unwritten;
  OutgoingMessage& out = call.out;
  wire::OpenFrame open;
  NameMethod(call, unwritten.method_index, unwritten.method_name, &open);
  if (call.deadline != Instant::max()) {
    open.flags |= wire::kDeadline;
    open.deadline_us = MicrosecondsLeft(call.deadline, now);
  }
  if (!unwritten.metadata.empty()) {
    open.flags |= wire::kMetadata;
    open.metadata = unwritten.metadata;
  }
  // A message comes along when it can go whole; otherwise it follows in pieces.
  size_t head = wire::OpenHeadSize(open);
  const bool with_message = out.present && FitsNow(call, head, out.size);
  if (with_message) open.flags |= wire::kMessage;
  if (call.end_wanted && (with_message || !out.present)) open.flags |= wire::kEnd;
  if (head > max_frame_size_) {
    // Fragments teach no method: the server may find them too large to keep.
    if (open.flags & wire::kLiteral) open.method = 0;
    head = wire::OpenHeadSize(open);
    std::string frame(head, '\0');
    wire::WriteOpenHead(open, reinterpret_cast<uint8_t*>(frame.data()));
    return WriteHead(call, frame);
  }
  const size_t size = with_message ? out.size : 0;
  MessageMemory none;
  if (!WriteWhole(call.stream, head, size, with_message ? out.memory : none,
                  [&open](uint8_t* to) { wire::WriteOpenHead(open, to); })) {
    return false;
  }
  OnOpenWritten(call, open);
  call.unwritten = nullptr;
  if (with_message) {
    send_.TakeWhole(call, size);
    out = OutgoingMessage();
    AddEvent(call, Event::kWritable, events);
  }
  if (open.flags & wire::kEnd) OnSendEnded(call);
  return true;
}

uint32_t WireClient::TakeStream() {
  if (!free_streams_.empty()) {
    const uint32_t stream = free_streams_.back();
    free_streams_.pop_back();
    return stream;
  }
  return used_streams_ < max_streams_ ? ++used_streams_ : 0;
}

void WireClient::OnStreamFree(uint32_t stream) {
  if (stream <= max_streams_) free_streams_.push_back(stream);
  if (!waiting_stream_.empty()) StartWaiting();
}

void WireClient::StartWaiting() {
  while (Call* const call = waiting_stream_.front()) {
    const uint32_t stream = TakeStream();
    if (stream == 0) return;
    Dequeue(*call);
    calls_.Bind(*call, stream);
    call->send_credit = send_.initial_credit();
    Queue(*call);
  }
}

// ---- other commands

void WireClient::HalfClose(CallId id) {
  Call* const call = calls_.Find(id);
  if (call == nullptr || call->over || call->end_wanted || ended()) return;
  if (NothingAhead(*call) && WriteDataNow(*call, nullptr, true)) return;
  call->end_wanted = true;
  Queue(*call);
}

void WireClient::Cancel(CallId id, absl::Status status, Events& events) {
  Call* const call = calls_.Find(id);
  if (call == nullptr || call->over) return;
  if (status.ok()) status = absl::CancelledError("cancelled");
  Abandon(*call, std::move(status), events);
}

void WireClient::Release(CallId id, Events& events) {
  Call* const call = calls_.Find(id);
  if (call == nullptr) return;
  calls_.Release(*call);
  received_.OnReleased(*call);
  if (!call->over) {
    Abandon(*call, absl::CancelledError("released"), events);
  } else {
    RecycleIfDone(*call);
  }
}

// ---- ends

Event& WireClient::EndCall(Call& call, Events& events, uint8_t bits, ReceivedMessage&& message) {
  call.over = true;
  --open_calls_;
  call.deadline = Instant::max();
  Event& event = AddEvent(call, bits | Event::kFinished, events, std::move(message));
  if (call.release_at_end) {
    calls_.Release(call);
    received_.OnReleased(call);
  }
  return event;
}

void WireClient::Abandon(Call& call, absl::Status status, Events& events) {
  const uint8_t code = ResetCode(status);
  const bool unsent = !call.opened && !call.fragmenting;
  if (call.released) {
    call.over = true;
    --open_calls_;
    call.deadline = Instant::max();
  } else {
    Event& event = EndCall(call, events);
    event.final = std::make_unique<Final>();
    event.final->status = unsent ? NotSent(std::move(status)) : std::move(status);
  }
  DropUnsent(call);
  received_.DropIncoming(call);
  if (unsent) {
    if (call.stream != 0) {
      FreeStream(call);
    } else {
      RecycleIfDone(call);
    }
    return;
  }
  call.reset_wanted = code;
  if (!call.fragmenting) QueueControl(call);
}

void WireClient::OnDeadline(Call& call, Events& events) {
  Abandon(call, DeadlineExceeded(), events);
}

void WireClient::EndWithConnection(Call& call, const absl::Status& why, Events& events) {
  if (call.released) {
    call.over = true;
    --open_calls_;
    call.deadline = Instant::max();
    return;
  }
  const bool unsent = !call.opened && !call.fragmenting;
  EndCall(call, events).final =
      std::make_unique<Final>(Final{unsent ? NotSent(why) : why, Metadata()});
}

void WireClient::OnReceiveEnded(Call& call) {
  call.receive_ended = true;
  received_.OnEnded(call);
  if (call.send_ended) {
    FreeStream(call);
    return;
  }
  DropUnsent(call);
  // Our direction needs its end too.
  call.reset_wanted = static_cast<uint8_t>(absl::StatusCode::kCancelled);
  QueueControl(call);
}

void WireClient::OnNews(const ConnectionControl::News& news, Events& events) {
  if (news.hello) {
    const wire::Hello& hello = control_.peer_hello();
    max_streams_ = static_cast<uint32_t>(hello.max_concurrent_calls);
    methods_.set_limit(hello.max_methods);
    // Streams above the server's limit may have been used before its hello; they are not used
    // again.
    free_streams_.erase(std::remove_if(free_streams_.begin(), free_streams_.end(),
                                       [this](uint32_t stream) { return stream > max_streams_; }),
                        free_streams_.end());
    StartWaiting();
  }
  if (news.draining) {
    while (Call* const call = waiting_stream_.front()) {
      Abandon(*call, absl::UnavailableError("the server is draining"), events);
    }
  }
}

// ---- frames

absl::Status WireClient::OnFrames(absl::Span<const ReceivedFrame> frames, Instant now,
                                  Events& events) {
  return ReadFrames(*this, frames, now, events);
}

const char* WireClient::OnCallFrame(uint64_t stream, wire::Bytes bytes, Instant, Events& events) {
  Call* const call = calls_.OnStream(stream);
  if (call == nullptr || (!call->opened && !call->fragmenting)) {
    return "a frame on a stream without a call";
  }
  if (call->receive_ended) return "a frame after the server's last";
  if (call->teaches) {
    methods_.Learned(call->method_index);
    call->teaches = false;
  }
  const uint8_t first = bytes[0];
  if (!call->fragments.empty() && !MayInterleave(first)) return "a frame between fragments";
  switch (first) {
    case wire::kCredit:
      return OnCallCredit(*call, bytes);
    case wire::kFragment:
    case wire::kLastFragment:
      return OnFragmentFrame(*call, bytes, events);
    default:
      return OnWholeFrame(*call, bytes, events);
  }
}

const char* WireClient::OnWholeFrame(Call& call, wire::Bytes bytes, Events& events) {
  if (wire::IsData(bytes[0])) return OnData(call, bytes, events);
  if (wire::IsFinish(bytes[0])) return OnFinish(call, bytes, events);
  return "an unknown frame from the server";
}

const char* WireClient::OnFragmentFrame(Call& call, wire::Bytes bytes, Events& events) {
  const bool last = bytes[0] == wire::kLastFragment;
  bool too_large = false;
  std::string frame;
  if (const char* wrong = OnFragment(call, bytes, last, &too_large, &frame)) return wrong;
  if (too_large && !call.over) {
    Abandon(call, absl::ResourceExhaustedError("the server sent too much metadata"), events);
  }
  if (!last) return nullptr;
  if (!call.fragments_dropped) {
    const wire::Bytes whole(reinterpret_cast<const uint8_t*>(frame.data()), frame.size());
    if (wire::IsData(whole[0]) ? (whole[0] & wire::kMessage) != 0
                               : !wire::IsFinish(whole[0]) || (whole[0] & wire::kMessage)) {
      return "fragments of a frame that has none";
    }
    return OnWholeFrame(call, whole, events);
  }
  const uint8_t first = static_cast<uint8_t>(call.fragments[0]);
  call.fragments.clear();
  call.fragments_dropped = false;
  if (wire::IsFinish(first) || (wire::IsData(first) && (first & wire::kEnd))) OnReceiveEnded(call);
  return nullptr;
}

const char* WireClient::OnMetadata(Call& call, absl::string_view block,
                                   std::unique_ptr<Metadata>* metadata, Events& events) {
  if (call.metadata_received) return "initial metadata twice";
  if (call.message_received) return "initial metadata after a message";
  call.metadata_received = true;
  if (call.over) return nullptr;
  auto result = std::make_unique<Metadata>();
  absl::Status fault;
  if (!wire::DecodeMetadata(block, metadata_limits(), result.get(), &fault)) {
    return "malformed metadata";
  }
  if (fault.ok()) {
    *metadata = std::move(result);
    return nullptr;
  }
  const std::string text = absl::StrCat("the server's ", fault.message());
  Abandon(call,
          fault.code() == absl::StatusCode::kResourceExhausted ? absl::ResourceExhaustedError(text)
                                                               : absl::InternalError(text),
          events);
  return nullptr;
}

const char* WireClient::OnData(Call& call, wire::Bytes bytes, Events& events) {
  wire::DataFrame data;
  if (const char* wrong = wire::ReadData(bytes, !call.in.present, &data)) return wrong;
  std::unique_ptr<Metadata> metadata;
  if (data.flags & wire::kMetadata) {
    if (const char* wrong = OnMetadata(call, data.metadata, &metadata, events)) return wrong;
  }
  ReceivedMessage message;
  uint8_t bits = metadata != nullptr ? Event::kInitialMetadata : 0;
  if (data.flags & wire::kMessage) {
    call.message_received = true;
    ReceiveWindows::Outcome outcome;
    if (const char* wrong =
            OnMessagePiece(call, data.message_size, data.message, data.flags, &message, &outcome)) {
      return wrong;
    }
    if (outcome == ReceiveWindows::Outcome::kComplete) bits |= Event::kMessage;
    if (outcome == ReceiveWindows::Outcome::kTooLarge) {
      Abandon(call,
              absl::ResourceExhaustedError(
                  absl::StrCat("the server's message has ", data.message_size, " bytes; at most ",
                               limits_.max_receive_message_size, " are accepted")),
              events);
    }
  }
  const bool end = data.flags & wire::kEnd;
  if (end && call.in.present) return "an end inside a message";
  if (!call.over && (bits != 0 || end)) {
    Event& event = end ? EndCall(call, events, bits, std::move(message))
                       : AddEvent(call, bits, events, std::move(message));
    if (metadata != nullptr) event.metadata = std::move(metadata);
  }
  if (end) OnReceiveEnded(call);
  return nullptr;
}

const char* WireClient::OnFinish(Call& call, wire::Bytes bytes, Events& events) {
  wire::FinishFrame finish;
  if (const char* wrong = wire::ReadFinish(bytes, &finish)) return wrong;
  std::unique_ptr<Metadata> initial;
  if (finish.flags & wire::kMetadata) {
    if (const char* wrong = OnMetadata(call, finish.initial_metadata, &initial, events)) {
      return wrong;
    }
  }
  ReceivedMessage message;
  uint8_t bits = initial != nullptr ? Event::kInitialMetadata : 0;
  if (finish.flags & wire::kMessage) {
    ReceiveWindows::Outcome outcome;
    if (const char* wrong = OnMessagePiece(call, finish.message.size(), finish.message, wire::kEnd,
                                           &message, &outcome)) {
      return wrong;
    }
    if (outcome == ReceiveWindows::Outcome::kComplete) bits |= Event::kMessage;
    if (outcome == ReceiveWindows::Outcome::kTooLarge) {
      finish.status = absl::ResourceExhaustedError(
          absl::StrCat("the server's message has ", finish.message.size(), " bytes; at most ",
                       limits_.max_receive_message_size, " are accepted"));
    }
  }
  // A failure may cut a message off; success may not.
  if (finish.status.ok() && call.in.present) return "an end inside a message";
  auto final = std::make_unique<Final>();
  if (finish.flags & wire::kTrailing) {
    absl::Status fault;
    if (!wire::DecodeMetadata(finish.trailing_metadata, metadata_limits(), &final->trailing,
                              &fault)) {
      return "malformed metadata";
    }
    if (!fault.ok()) {
      // The server's own failure says more than that its metadata could not be taken.
      final->trailing.Clear();
      if (finish.status.ok()) {
        const std::string text = absl::StrCat("the server's ", fault.message());
        finish.status = fault.code() == absl::StatusCode::kResourceExhausted
                            ? absl::ResourceExhaustedError(text)
                            : absl::InternalError(text);
      }
    }
  }
  if (finish.flags & wire::kNotProcessed) {
    finish.status = WithDelivery(std::move(finish.status), Delivery::kNotProcessed);
  }
  final->status = std::move(finish.status);
  if (!call.over) {
    Event& event = EndCall(call, events, bits, std::move(message));
    event.metadata = std::move(initial);
    if (!final->status.ok() || !final->trailing.empty()) event.final = std::move(final);
  }
  OnReceiveEnded(call);
  return nullptr;
}

}  // namespace anywire::protocol
