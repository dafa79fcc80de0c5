// The writing half of WireMachine: what a call's state has to say, in turn and as far as there is
// room and credit.
#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/protocol/wire_machine.h"
#include "runtime/wire/frame_kinds.h"

namespace anywire::protocol {

// ---- turns

bool WireMachine::wants_pump() const {
  return control_.pending() || !ready_.empty() || !control_calls_.empty() ||
         (!ended() && (received_.credit_wanted() || received_.excess_credit_wanted()));
}

void WireMachine::Pump(Instant now, Events& events) {
  if (control_.pending() && !control_.Write()) return;
  if (ended()) return;
  if (received_.credit_wanted()) {
    if (!WriteNumber(0, wire::kCredit, received_.owed())) return;
    received_.OnCreditWritten();
  }
  if (received_.excess_credit_wanted()) {
    if (!WriteNumber(0, wire::kExcessCredit, received_.excess_owed())) return;
    received_.OnExcessCreditWritten();
  }
  do {
    while (Call* const call = control_calls_.front()) {
      if (!WriteCallControl(*call)) return;
    }
    Call* const call = ready_.front();
    if (call == nullptr) return;
    Dequeue(*call);
    switch (WriteNext(*call, now, events)) {
      case Wrote::kFrame:
        Queue(*call);
        break;
      case Wrote::kNothing:
        break;
      case Wrote::kNoRoom:
        ready_.PushFront(*call);
        call->queue = SendQueue::kReady;
        return;
    }
  } while (true);
}

void WireMachine::Queue(Call& call) {
  if (call.queue != SendQueue::kNone || call.stream == 0) return;
  const bool has_something =
      call.fragmenting ||
      (!call.send_ended && (call.out.present || call.end_wanted || call.metadata_wanted ||
                            (is_client_ && !call.opened)));
  if (!has_something) return;
  ready_.PushBack(call);
  call.queue = SendQueue::kReady;
}

void WireMachine::AdmitWaiting() {
  while (Call* const call = waiting_credit_.front()) {
    if (!send_.ConnectionCovers(call->out.size)) break;
    Dequeue(*call);
    StartMessage(*call);
    Queue(*call);
  }
  while (Call* const call = waiting_excess_.front()) {
    if (!send_.ExcessCovers(call->out.size)) break;
    Dequeue(*call);
    call->out.excess = send_.TakeExcess(call->out.size);
    call->out.has_excess = true;
    Queue(*call);
  }
}

void WireMachine::StartMessage(Call& call) {
  send_.TakeShare(call, call.out.size);
  call.out.started = true;
}

// Excess comes first: who has it may wait for the connection's credit, which nobody holds who waits
// for excess.
bool WireMachine::BeginMessage(Call& call) {
  OutgoingMessage& out = call.out;
  if (out.started) return true;
  if (!send_.CallCovers(call, out.size)) return false;  // its CREDIT gives it another turn
  if (!out.has_excess && send_.HasExcess(out.size)) {
    if (!send_.ExcessCovers(out.size) || !waiting_excess_.empty()) {
      waiting_excess_.PushBack(call);
      call.queue = SendQueue::kExcessCredit;
      return false;
    }
    out.excess = send_.TakeExcess(out.size);
    out.has_excess = true;
  }
  if (!send_.ConnectionCovers(out.size) || !waiting_credit_.empty()) {
    waiting_credit_.PushBack(call);
    call.queue = SendQueue::kConnectionCredit;
    return false;
  }
  StartMessage(call);
  return true;
}

// ---- one call

WireMachine::Wrote WireMachine::WriteNext(Call& call, Instant now, Events& events) {
  if (call.fragmenting) return WriteFragment(call);
  if (call.send_ended) return Wrote::kNothing;
  if (is_client_ && !call.opened)
    return WriteOpen(call, now, events) ? Wrote::kFrame : Wrote::kNoRoom;
  if (call.metadata_wanted) {
    std::string frame(1, static_cast<char>(wire::kData | wire::kMetadata));
    frame += call.unwritten->metadata;
    if (!WriteHead(call, frame)) return Wrote::kNoRoom;
    call.metadata_wanted = false;
    return Wrote::kFrame;
  }
  if (call.out.present) return WritePiece(call, events);
  return call.end_wanted ? WriteEnd(call) : Wrote::kNothing;
}

bool WireMachine::EndsPlainly(const Call& call) {
  return call.end_wanted && (call.unwritten == nullptr || (call.unwritten->finish.empty() &&
                                                           !call.unwritten->last_message.present));
}

WireMachine::Wrote WireMachine::WritePiece(Call& call, Events& events) {
  if (!BeginMessage(call)) return Wrote::kNothing;
  OutgoingMessage& out = call.out;
  const bool first = !out.announced;
  const size_t allowed = send_.Allowed(out) - out.sent;
  if (allowed == 0 && !first) return Wrote::kNothing;  // the peer will refuse it

  wire::DataFrame data;
  data.flags = wire::kMessage;
  data.message_size = out.size;
  size_t size = out.size - out.sent;
  if (size > allowed || 1 + size > piece_size_) data.flags |= wire::kPartial;
  const bool last = !(data.flags & wire::kPartial);
  if (last && EndsPlainly(call)) data.flags |= wire::kEnd;
  const size_t head = wire::DataHeadSize(data, first);
  size = std::min({size, allowed, piece_size_ - head});

  const auto write_head = [&](uint8_t* to) { wire::WriteDataHead(data, first, to); };
  if (first && last) {
    if (!WriteWhole(call.stream, head, size, out.memory, write_head)) return Wrote::kNoRoom;
  } else {
    uint8_t head_bytes[Payload::kHeadroom];
    write_head(head_bytes);
    if (!AddPiece(call.stream, absl::MakeConstSpan(head_bytes, head), out, size)) {
      return Wrote::kNoRoom;
    }
  }
  out.announced = true;
  out.sent += size;
  if (!last) return Wrote::kFrame;

  out = OutgoingMessage();
  if (call.unwritten != nullptr && call.unwritten->last_message.present) {
    out = std::exchange(call.unwritten->last_message, OutgoingMessage());
  }
  if (!call.over && !call.released) AddEvent(call, Event::kWritable, events);
  if (data.flags & wire::kEnd) OnSendEnded(call);
  return Wrote::kFrame;
}

bool WireMachine::AddPiece(uint32_t stream, absl::Span<const uint8_t> head, OutgoingMessage& out,
                           size_t size) {
  if (control_.pending()) return false;
  if (out.shared == nullptr && MayShare(out.size)) {
    if (shared_account_ == nullptr) shared_account_ = std::make_shared<std::atomic<size_t>>(0);
    out.Share(shared_account_);
  }
  const size_t offset = Payload::kHeadroom + out.sent;
  if (out.shared != nullptr) return sink_.AddPiece(stream, head, *out.shared, offset, size);
  return WriteFrame(sink_, stream, head, absl::MakeConstSpan(out.memory.get() + offset, size));
}

WireMachine::Wrote WireMachine::WriteEnd(Call& call) {
  if (!EndsPlainly(call)) {
    return WriteHead(call, call.unwritten->finish) ? Wrote::kFrame : Wrote::kNoRoom;
  }
  const absl::Span<uint8_t> frame = NewFrame(call.stream, 1);
  if (frame.data() == nullptr) return Wrote::kNoRoom;
  frame[0] = wire::kData | wire::kEnd;
  OnSendEnded(call);
  return Wrote::kFrame;
}

bool WireMachine::WriteDataNow(Call& call, const Payload* message, bool end) {
  wire::DataFrame data;
  if (call.metadata_wanted) {
    data.flags |= wire::kMetadata;
    data.metadata = call.unwritten->metadata;
  }
  if (message != nullptr) data.flags |= wire::kMessage;
  if (end) data.flags |= wire::kEnd;
  const size_t head = wire::DataHeadSize(data, true);
  const size_t size = message != nullptr ? message->size : 0;
  if (message != nullptr ? !FitsNow(call, head, size) : head > max_frame_size_) return false;
  if (!WriteMessageFrame(call.stream, head, message,
                         [&data](uint8_t* to) { wire::WriteDataHead(data, true, to); })) {
    return false;
  }
  if (message != nullptr) send_.TakeWhole(call, size);
  call.metadata_wanted = false;
  call.metadata_sent = true;
  if (end) OnSendEnded(call);
  return true;
}

bool WireMachine::WriteNumber(uint32_t stream, uint8_t kind, uint64_t number) {
  const absl::Span<uint8_t> frame = sink_.NewFrame(stream, wire::NumberFrameSize(number));
  if (frame.data() == nullptr) return false;
  wire::WriteNumberFrame(kind, number, frame.data());
  return true;
}

bool WireMachine::WriteCallControl(Call& call) {
  if (call.credit_wanted) {
    if (!WriteNumber(call.stream, wire::kCredit, call.owed)) return false;
    call.owed = 0;
    call.credit_wanted = false;
  }
  if (call.reset_wanted != 0 && !call.fragmenting) {
    if (!WriteNumber(call.stream, wire::kReset, call.reset_wanted)) return false;
    call.reset_wanted = 0;
    control_calls_.Remove(call);
    if (!call.send_ended) OnSendEnded(call);
    return true;
  }
  control_calls_.Remove(call);
  return true;
}

// ---- frames larger than the transport's

bool WireMachine::WriteHead(Call& call, absl::string_view head) {
  if (head.size() <= max_frame_size_) {
    const absl::Span<uint8_t> frame = NewFrame(call.stream, head.size());
    if (frame.data() == nullptr) return false;
    std::memcpy(frame.data(), head.data(), head.size());
    OnHeadWritten(call, static_cast<uint8_t>(head[0]));
    return true;
  }
  Unwritten& unwritten = call.MutableUnwritten();
  unwritten.fragmented = std::string(head);
  unwritten.fragmented_sent = 0;
  call.fragmenting = true;
  Queue(call);
  return true;
}

WireMachine::Wrote WireMachine::WriteFragment(Call& call) {
  Unwritten& unwritten = *call.unwritten;
  const size_t left = unwritten.fragmented.size() - unwritten.fragmented_sent;
  const size_t size = std::min(left, piece_size_ - 1);
  const absl::Span<uint8_t> frame = NewFrame(call.stream, 1 + size);
  if (frame.data() == nullptr) return Wrote::kNoRoom;
  frame[0] = size == left ? wire::kLastFragment : wire::kFragment;
  std::memcpy(frame.data() + 1, unwritten.fragmented.data() + unwritten.fragmented_sent, size);
  unwritten.fragmented_sent += size;
  if (size < left) return Wrote::kFrame;
  const uint8_t first = static_cast<uint8_t>(unwritten.fragmented[0]);
  unwritten.fragmented = std::string();
  call.fragmenting = false;
  OnHeadWritten(call, first);
  if (call.reset_wanted != 0) QueueControl(call);
  return Wrote::kFrame;
}

void WireMachine::OnHeadWritten(Call& call, uint8_t first) {
  if (wire::IsOpen(first)) {
    call.opened = true;
    if (first & wire::kEnd) OnSendEnded(call);
  } else if (wire::IsFinish(first)) {
    OnSendEnded(call);
  }
}

// ---- ends

absl::Status WireMachine::QueueIsFull(size_t size) const {
  return absl::ResourceExhaustedError(
      absl::StrCat("a message of ", size, " bytes would wait to be sent beside ", queued_bytes_,
                   " that do; at most ", limits_.max_queued_bytes,
                   " may on a connection (limits.max_queued_bytes)"));
}

void WireMachine::Store(const Payload& payload, OutgoingMessage& out) {
  out = OutgoingMessage();
  out.present = true;
  out.size = payload.size;
  if (payload.size == 0) return;
  payload.WriteAhead();
  out.memory = std::move(payload.ahead);
  out.queued = QueuedBytes(&queued_bytes_, payload.size);
}

void WireMachine::LeaveQueue(Call& call) {
  switch (call.queue) {
    case SendQueue::kNone:
      return;
    case SendQueue::kReady:
      ready_.Remove(call);
      break;
    case SendQueue::kStream:
      waiting_stream_.Remove(call);
      break;
    case SendQueue::kConnectionCredit:
      waiting_credit_.Remove(call);
      break;
    case SendQueue::kExcessCredit:
      waiting_excess_.Remove(call);
      break;
  }
  call.queue = SendQueue::kNone;
}

void WireMachine::DropUnsent(Call& call) {
  Dequeue(call);
  if (call.out.present) {
    send_.GiveBack(call.out);
    call.out = OutgoingMessage();
  }
  call.metadata_wanted = false;
  if (call.fragmenting) {
    call.unwritten->last_message = OutgoingMessage();
    Queue(call);
  } else if (call.unwritten != nullptr) {
    call.unwritten = nullptr;
  }
  // The call that was dropped may have been the first in line, or have given back what the first
  // needs.
  AdmitWaiting();
}

void WireMachine::OnSendEnded(Call& call) {
  call.send_ended = true;
  call.end_wanted = true;
  if (!is_client_) {
    --open_calls_;
    call.deadline = Instant::max();
    // Nothing follows the server's last frame.
    call.credit_wanted = false;
    if (ControlList::Contains(call)) control_calls_.Remove(call);
  }
  if (call.receive_ended) FreeStream(call);
}

void WireMachine::FreeStream(Call& call) {
  Dequeue(call);
  if (ControlList::Contains(call)) control_calls_.Remove(call);
  call.reset_wanted = 0;
  const uint32_t stream = call.stream;
  calls_.Unbind(call);
  if (is_client_ && !ended()) OnStreamFree(stream);
  RecycleIfDone(call);
}

}  // namespace anywire::protocol
