// What the client's and the server's machine have in common: the windows, the connection's own
// stream, and writing.
//
// wire_machine.cc has the commands and the input of both; frame_writer.cc what turns a call's state
// into frames.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_WIRE_MACHINE_H_
#define ANYWIRE_RUNTIME_PROTOCOL_WIRE_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "anywire/frame.h"
#include "runtime/protocol/call.h"
#include "runtime/protocol/call_table.h"
#include "runtime/protocol/connection_control.h"
#include "runtime/protocol/protocol.h"
#include "runtime/protocol/receive_windows.h"
#include "runtime/protocol/send_windows.h"
#include "runtime/protocol/timing_wheel.h"
#include "runtime/wire/call_frames.h"
#include "runtime/wire/metadata_block.h"

namespace anywire::protocol {

class WireMachine : public Protocol {
 public:
  WireMachine(const WireMachine&) = delete;
  WireMachine& operator=(const WireMachine&) = delete;
  ~WireMachine() override;

  // Each role overrides its own commands; those of the other are mistakes and abort.
  absl::StatusOr<CallId> Open(const OpenRequest& request, Instant now, bool* queued) override;
  void HalfClose(CallId id) override;
  absl::Status SendInitialMetadata(CallId id, const Metadata& metadata) override;
  void Finish(CallId id, const absl::Status& status, const Metadata* trailing,
              const Payload* message) override;
  void FinishAndRelease(CallId id, const absl::Status& status, const Metadata* trailing,
                        const Payload* message) override;
  void Drain() override;

  SendResult Send(CallId id, const Payload& message) final;
  void Consumed(CallId id, size_t bytes) final;
  absl::Status OnTime(Instant now, Events& events) final;
  void OnConnectionLost(const absl::Status& why, Events& events) final;
  void Pump(Instant now, Events& events) final;
  bool wants_pump() const final;
  // The timers of calls that are over may still be set.
  Instant NextWakeup() const final { return ended() ? Instant::max() : timers_.NextDue(); }
  size_t call_count() const final { return calls_.size(); }
  size_t open_call_count() const final { return open_calls_; }
  bool peer_is_draining() const final { return peer_is_draining_; }

  // For tests of the memory contract, in bytes of messages and what each counts for itself.
  struct Account {
    size_t held = 0;             // in memory, or to come to complete what is
    size_t peer_may_send = 0;    // of the connection's window
    size_t peer_may_exceed = 0;  // of the excess window
    int64_t may_send = 0;        // by the peer's credit
    int64_t may_exceed = 0;      // by its excess credit
    size_t queued = 0;           // in memory, waiting to be sent
    size_t shared = 0;           // in memory that the transport may hold
  };
  Account account() const {
    return {received_.held(),
            received_.peer_may_send(),
            received_.peer_may_exceed(),
            send_.connection_credit(),
            send_.excess_credit(),
            queued_bytes_,
            shared_bytes()};
  }

 protected:
  WireMachine(bool is_client, FrameSink& sink, FrameSizes frame_sizes, const Limits& limits,
              const wire::Hello& hello, Instant now);

  // The loop of OnFrames; `Machine` is the derived class, whose OnCallFrame gives the rule broken
  // or null.
  template <class Machine>
  absl::Status ReadFrames(Machine& machine, absl::Span<const ReceivedFrame> frames, Instant now,
                          Events& events);

  // ---- what the two do differently
  // The deadline of a call has passed.
  virtual void OnDeadline(Call& call, Events& events) = 0;
  // Says that the call ends with the connection.
  virtual void EndWithConnection(Call& call, const absl::Status& why, Events& events) = 0;
  // A hello or a drain has come.
  virtual void OnNews(const ConnectionControl::News&, Events&) {}
  // Client alone: writes the OPEN of a call that waited. False: the sink has no room.
  virtual bool WriteOpen(Call& call, Instant now, Events& events);
  // Client alone: a stream is free.
  virtual void OnStreamFree(uint32_t stream);

  // ---- writing (frame_writer.cc)
  // Room for a call's frame, unless something must go before it.
  absl::Span<uint8_t> NewFrame(uint32_t stream, size_t size) {
    if (control_.pending()) return {};
    return sink_.NewFrame(stream, size);
  }
  // The next piece of a message, of `size` bytes, unless something must go before it. It shares the
  // message's memory, or is copied when too much is shared already. False: there is no room.
  bool AddPiece(uint32_t stream, absl::Span<const uint8_t> head, OutgoingMessage& out, size_t size);
  // Writes a frame of `head` bytes, which `write_head` fills, and the message if there is one,
  // whole. False: there is no room.
  template <typename WriteHead>
  bool WriteMessageFrame(uint32_t stream, size_t head, const Payload* message,
                         WriteHead write_head) {
    const size_t size = message != nullptr ? message->size : 0;
    if (ABSL_PREDICT_FALSE(message != nullptr && message->ahead != nullptr)) {
      return WriteWhole(stream, head, size, message->ahead, write_head);
    }
    const absl::Span<uint8_t> frame = NewFrame(stream, head + size);
    if (frame.data() == nullptr) return false;
    write_head(frame.data());
    if (size > 0) message->write(message->object, frame.data() + head, size);
    return true;
  }
  // The same of a message that is in memory, behind room for the head; the sink may take it.
  template <typename WriteHead>
  bool WriteWhole(uint32_t stream, size_t head, size_t size, MessageMemory& memory,
                  WriteHead write_head) {
    if (head <= Payload::kHeadroom && memory != nullptr && !control_.pending()) {
      const size_t offset = Payload::kHeadroom - head;
      write_head(memory.get() + offset);
      return sink_.AddFrame(stream, memory, offset, head + size);
    }
    const absl::Span<uint8_t> frame = NewFrame(stream, head + size);
    if (frame.data() == nullptr) return false;
    write_head(frame.data());
    if (size > 0) std::memcpy(frame.data() + head, memory.get() + Payload::kHeadroom, size);
    return true;
  }
  // Whether a message can be written by its command, whole and in a frame with `head` bytes before
  // it.
  bool FitsNow(const Call& call, size_t head, size_t size) const {
    return size <= piece_size_ && head + size <= piece_size_ && send_.CoversWhole(call, size) &&
           waiting_credit_.empty() && (waiting_excess_.empty() || !send_.HasExcess(size));
  }
  // Whether the call could write a frame before anything that waits.
  static bool NothingAhead(const Call& call) {
    return call.opened && !call.out.present && !call.fragmenting && !call.end_wanted;
  }
  // Writes a DATA frame from a command: the initial metadata if they wait, the message if there is
  // one, the end if it is that. False: that is not possible now.
  bool WriteDataNow(Call& call, const Payload* message, bool end);
  // Whether the message may wait beside those that do. RESOURCE_EXHAUSTED if not.
  bool MayQueue(size_t size) const { return size <= limits_.max_queued_bytes - queued_bytes_; }
  // Whether the transport may hold on to the message's memory. What a peer leaves unacknowledged is
  // bounded so, and refuses nobody a place in the queue.
  bool MayShare(size_t size) const { return size <= limits_.max_queued_bytes - shared_bytes(); }
  // In messages that share their memory with the transport, on their way from the queue or past it.
  size_t shared_bytes() const {
    return shared_account_ == nullptr ? 0 : shared_account_->load(std::memory_order_relaxed);
  }
  ABSL_ATTRIBUTE_COLD absl::Status QueueIsFull(size_t size) const;
  // Puts the message, which may wait, into memory of the call, to be sent when it can be.
  void Store(const Payload& payload, OutgoingMessage& out);
  // Gives the call a turn, if it has something to write and is not waiting for something else.
  void Queue(Call& call);
  void Dequeue(Call& call) {
    if (call.queue != SendQueue::kNone) LeaveQueue(call);
  }
  void QueueControl(Call& call) {
    if (!ControlList::Contains(call)) control_calls_.PushBack(call);
  }
  // Writes a frame without a message, at once or in fragments. False: the sink has no room for any
  // of it.
  bool WriteHead(Call& call, absl::string_view frame);
  // The call sends nothing more of its own: forgets what waits, except a frame that is on its way
  // in fragments.
  ABSL_ATTRIBUTE_NOINLINE void DropUnsent(Call& call);
  // Our last frame of the call is written.
  void OnSendEnded(Call& call);

  // ---- both
  void FreeStream(Call& call);
  void RecycleIfDone(Call& call) {
    if (call.released && call.stream == 0 && call.queue == SendQueue::kNone) calls_.Recycle(call);
  }
  // One more frame in pieces. Null, or the rule broken; when it is whole, `*frame` has it.
  const char* OnFragment(Call& call, wire::Bytes bytes, bool last, bool* too_large,
                         std::string* frame);
  // What has come of it is not wanted, nor what will: but for its first byte, which is `next` if
  // nothing has come.
  void DropFragments(Call& call, uint8_t next);
  // Whether a frame of this kind may come while another is coming in fragments.
  static bool MayInterleave(uint8_t kind) {
    return kind == wire::kFragment || kind == wire::kLastFragment || kind == wire::kCredit;
  }
  const char* OnCallCredit(Call& call, wire::Bytes bytes);
  // A piece of a message for a reader that is there (or not: `wanted`).
  const char* OnMessagePiece(Call& call, uint64_t size, wire::Bytes bytes, uint8_t flags,
                             ReceivedMessage* message, ReceiveWindows::Outcome* outcome) {
    ReceiveWindows::Piece piece;
    piece.size = size;
    piece.bytes = bytes;
    piece.partial = flags & wire::kPartial;
    piece.last = flags & wire::kEnd;
    piece.wanted = !call.over && !call.released;
    return received_.OnPiece(call, piece, message, outcome);
  }

  // The connection ends: every call with it. With `goodbye` the peer is told why.
  ABSL_ATTRIBUTE_COLD absl::Status EndConnection(const absl::Status& why, bool goodbye,
                                                 Events& events);
  ABSL_ATTRIBUTE_NOINLINE absl::Status RunTimers(Instant now, Events& events);

  bool ended() const { return !end_.ok(); }
  wire::MetadataLimits metadata_limits() const {
    return {limits_.max_metadata_size, limits_.max_metadata_entries};
  }

  static Event& AddEvent(const Call& call, uint8_t bits, Events& events,
                         ReceivedMessage&& message = {}) {
    return events.emplace_back(bits, call.id, call.tag, std::move(message));
  }

  const bool is_client_;
  bool peer_is_draining_ = false;
  FrameSink& sink_;
  const size_t max_frame_size_;
  const size_t piece_size_;  // largest frame with a piece of a message
  const Limits limits_;
  TimingWheel timers_;
  size_t queued_bytes_ = 0;       // in the outgoing messages of all calls
  SharedAccount shared_account_;  // null: none have been shared yet
  CallTable calls_;
  SendWindows send_;
  ControlList control_calls_;  // have RESET or CREDIT to write
  ReceiveWindows received_;
  SendList ready_;           // have something to write
  SendList waiting_stream_;  // client: wait for a stream, first come first served
  SendList waiting_credit_;  // wait for the connection's credit, first come first served
  SendList waiting_excess_;  // the same for excess credit
  ConnectionControl control_;
  size_t open_calls_ = 0;

 private:
  enum class Wrote {
    kFrame,    // and there may be more
    kNothing,  // there is nothing to write, or it waits for credit
    kNoRoom,
  };
  // A frame of one number. False: the sink has no room.
  bool WriteNumber(uint32_t stream, uint8_t kind, uint64_t number);
  ABSL_ATTRIBUTE_NOINLINE void LeaveQueue(Call& call);
  bool WriteCallControl(Call& call);
  Wrote WriteNext(Call& call, Instant now, Events& events);
  Wrote WriteFragment(Call& call);
  Wrote WritePiece(Call& call, Events& events);
  Wrote WriteEnd(Call& call);
  void OnHeadWritten(Call& call, uint8_t first);
  static bool EndsPlainly(const Call& call);
  bool BeginMessage(Call& call);
  void StartMessage(Call& call);
  void AdmitWaiting();
  ABSL_ATTRIBUTE_NOINLINE absl::Status OnControlFrame(absl::Span<const uint8_t> bytes, Instant now,
                                                      Events& events);

  Instant latest_;             // the latest time that the timers have heard of
  absl::Status end_;           // why the connection ended; OK while it lives
  size_t fragment_bytes_ = 0;  // in the `fragments` of all calls
};

template <class Machine>
absl::Status WireMachine::ReadFrames(Machine& machine, absl::Span<const ReceivedFrame> frames,
                                     Instant now, Events& events) {
  if (timers_.MayBeDue(now) || ended()) {
    if (absl::Status status = RunTimers(now, events); !status.ok()) return status;
  }
  control_.OnReceived(now);
  for (const ReceivedFrame& frame : frames) {
    if (frame.bytes.empty()) {
      return EndConnection(absl::DataLossError("an empty frame"), true, events);
    }
    if (frame.stream == 0) {
      absl::Status status = OnControlFrame(frame.bytes, now, events);
      if (!status.ok()) return status;
      continue;
    }
    if (const char* wrong = machine.OnCallFrame(frame.stream, frame.bytes, now, events)) {
      return EndConnection(absl::DataLossError(wrong), true, events);
    }
  }
  return absl::OkStatus();
}

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_WIRE_MACHINE_H_
