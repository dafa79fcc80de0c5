// The protocol machine: many calls on one connection, without I/O, clock or threads.
//
//   commands (open, send, ...) ──┐              ┌──> frames, written into a FrameSink
//   received frames ─────────────┼──> Protocol ─┼──> events, appended to a list
//   the time ────────────────────┘              └──> the next wake-up
//
// `Protocol` is what the runtime sees of any call protocol; `wire_protocol.h` makes ours
// (runtime/wire/PROTOCOL.md). Another protocol (gRPC over HTTP/2) is another implementation, so
// nothing here speaks of frames' contents.
//
// One machine serves one end of one connection, as the client or as the server; a command of the
// other role is a mistake and aborts. It is not synchronised: its owner calls one function at a
// time. It never calls up, except CallFactory and Payload::write where noted; what happens to calls
// comes back as events, in the order in which it happened, which the owner hands on after it has
// left its lock.
//
// A call, seen from above, is a small state machine of its own:
//
//   client   commands: Open Send* HalfClose       server   events: Incoming Message* HalfClose
//            events: InitialMetadata? Message*             commands: SendInitialMetadata? Send*
//                    Finished                                        Finish
//
// Each call ends with exactly one Finished event on the client. On the server Finished comes only
// when the call is over before its handler finished it (cancelled, deadline, connection lost);
// after it, commands for the call do nothing. Release says that the owner is done with a call, and
// is due once for every call on either side, but for those opened with release_at_end.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_PROTOCOL_H_
#define ANYWIRE_RUNTIME_PROTOCOL_PROTOCOL_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "anywire/delivery.h"
#include "anywire/frame.h"
#include "anywire/message_memory.h"
#include "anywire/metadata.h"

namespace anywire::protocol {

using Instant = std::chrono::steady_clock::time_point;

// Names a call on its machine. Slots are reused, generations make the name unique; a command with a
// name that is out of date does nothing.
struct CallId {
  uint32_t slot = 0;
  uint32_t generation = 0;
  friend bool operator==(CallId, CallId) = default;
};

// What one end accepts. A breach by the peer of a limit that belongs to one call ends that call
// with the status named; a breach of a connection's rule ends the connection.
struct Limits {
  // Bytes; RESOURCE_EXHAUSTED, from the announced size, before memory is spent.
  size_t max_receive_message_size = 4 << 20;
  size_t max_send_message_size = 64 << 20;  // bytes; RESOURCE_EXHAUSTED, not sent
  size_t max_metadata_size = 16 << 10;      // Metadata::ByteSize of one block; RESOURCE_EXHAUSTED
  size_t max_metadata_entries = 100;        // RESOURCE_EXHAUSTED
  // Server: calls accepted at once. A call counts until Finish or Release. A client waits for a
  // place. Since a cancelled call ends on the wire at once while its handler may still run, as many
  // cancelled calls again may be unfinished; past that, and for a client that opens too many,
  // RESOURCE_EXHAUSTED, not processed. At most 65,535.
  uint32_t max_concurrent_calls = 1024;
  // Client: opened and waiting for a place; RESOURCE_EXHAUSTED, not sent.
  size_t max_waiting_calls = 65536;
  // Message bytes of one call that wait for its reader; a message also counts 64 bytes for itself.
  // At least 16 KiB.
  size_t call_window = 256 << 10;
  // Message bytes of all calls in memory and in flight towards us. Raised to 256 KiB, to four times
  // max_receive_message_size and to four times call_window where those are more. Half of it is for
  // messages of up to half a call window: so many calls may have readers that never read before
  // others are held up, by default 30; two large messages that are not read may hold up other large
  // ones.
  size_t connection_buffer = 16 << 20;
  // Message bytes of all calls that wait, in memory of the connection, for room or credit to be
  // sent. Raised to twice max_send_message_size, so that one message leaves room for others. Above
  // it RESOURCE_EXHAUSTED: a call is not opened, a reply becomes a failure, Send is refused. Memory
  // of as many bytes more may be held by messages of which the last pieces are with the transport,
  // and by udp's until the peer has acknowledged them; further ones are copied piece by piece.
  size_t max_queued_bytes = 128 << 20;
  // Names the server remembers for a connection; further ones are sent in full.
  size_t max_methods = 4096;
  // To the peer's hello; UNAVAILABLE. Server: also from the first fragment of a call's beginning to
  // the last; UNAVAILABLE, not processed.
  std::chrono::nanoseconds handshake_timeout = std::chrono::seconds(5);
  // Silence, with calls open, before a ping.
  std::chrono::nanoseconds keepalive_time = std::chrono::seconds(20);
  // From the ping to giving up: UNAVAILABLE.
  std::chrono::nanoseconds keepalive_timeout = std::chrono::seconds(10);
};

// How large frames are, in bytes.
struct FrameSizes {
  // The transport takes frames of up to `largest`, at least 1,024.
  // NOLINTNEXTLINE(google-explicit-constructor): most have nothing to say of pieces.
  FrameSizes(size_t largest_frame, size_t largest_piece = 16 << 10)
      : largest(largest_frame), piece(std::min(largest_frame, largest_piece)) {}
  size_t largest;
  // A message that does not fit one of these goes in several of them, so that the frames of other
  // calls pass between.
  size_t piece;
};

// A message to send. `write` fills exactly `size` bytes and is called at most once, before the
// command returns.
struct Payload {
  // Free bytes before a message that has been written ahead, where the machine may put what stands
  // before it in its frame.
  static constexpr size_t kHeadroom = 64;

  // Writes the message now, into memory that the machine may take: a large one takes long, and the
  // owner of the machine holds no lock yet.
  void WriteAhead() const {
    if (ahead != nullptr) return;
    ahead = NewMessageMemory(kHeadroom + size);
    write(object, ahead.get() + kHeadroom, size);
  }
  void WriteTo(uint8_t* to) const {
    if (size == 0) return;
    if (ahead == nullptr) return write(object, to, size);
    std::memcpy(to, ahead.get() + kHeadroom, size);
  }

  size_t size = 0;
  const void* object = nullptr;
  void (*write)(const void* object, uint8_t* to, size_t size) = nullptr;
  mutable MessageMemory ahead = nullptr;  // null: not written ahead, or taken
};

// A received message. Either a view into the received frames (as long as they live) or memory of
// its own.
struct ReceivedMessage {
  absl::Span<const uint8_t> bytes;
  MessageMemory owned;  // set: `bytes` points here
  // Copies the bytes unless they are owned already, so that the message outlives the frames.
  void Own();
};

// The end of a call.
struct Final {
  absl::Status status;  // with payloads; carries Delivery (see delivery.h)
  Metadata trailing;
};

// Something happened to a call. One event may say several things; they happened in the order of the
// bits.
struct Event {
  enum Bits : uint8_t {
    kIncoming = 1,         // server: a new call, with `metadata` and `deadline`
    kInitialMetadata = 2,  // client: in `metadata`
    kMessage = 4,          // `message`
    kHalfClose = 8,        // server: the client sends no more messages
    kWritable = 16,        // the message of a Send that returned kQueued has left; Send again
    // Client: the one end. Server: over early. In `final`; null (client) means OK, no trailers.
    kFinished = 32,
  };
  Event(uint8_t bits, CallId call, void* tag, ReceivedMessage&& message)
      : bits(bits), call(call), tag(tag), message(std::move(message)) {}

  uint8_t bits;
  CallId call;
  void* tag;  // as given to Open, or by CallFactory
  ReceivedMessage message;
  Instant deadline = Instant::max();
  std::unique_ptr<Metadata> metadata;  // kIncoming, kInitialMetadata; null: none
  std::unique_ptr<Final> final;
};

// What a server's machine asks of its owner while it reads frames.
class CallFactory {
 public:
  virtual ~CallFactory() = default;
  // The method with this full name ("package.Service/Method"; any bytes, from the peer), or null
  // when there is none (the machine then answers UNIMPLEMENTED). Asked whenever a name comes in
  // full: for the first calls of a method on a connection. The same answer for the same name each
  // time; it is handed to NewCall. Must not call the machine.
  virtual const void* FindMethod(absl::string_view full_name) = 0;
  // The tag for a new call. Must not call the machine.
  virtual void* NewCall(CallId call, const void* method) = 0;
};

// A method as a client names it. `index` is small, dense and the same for every use of the name in
// the process; the machine keeps a table by it.
struct MethodName {
  absl::string_view full_name;  // "package.Service/Method"; outlives the machine
  uint32_t index = 0;
};

enum class SendResult {
  // The whole message has been written to the sink; Send again at will.
  kSent,
  // The machine holds it; kWritable follows. Send before that is a mistake of the caller (kOver).
  kQueued,
  // The call takes no more messages: finished, half-closed, cancelled or unknown.
  kOver,
  // Above max_send_message_size; or it would have to wait, and is above max_queued_bytes with what
  // waits already. Nothing happened: the caller ends the call, with RESOURCE_EXHAUSTED.
  kTooLarge,
  kQueueFull,
};

class Protocol {
 public:
  virtual ~Protocol() = default;

  using Events = std::vector<Event>;

  // ---- client commands
  struct OpenRequest {
    void* tag = nullptr;
    MethodName method;
    Instant deadline = Instant::max();
    const Metadata* metadata = nullptr;  // null: none; copied
    const Payload* message = nullptr;    // the first, if it is known; a unary call is one frame
    bool half_close = false;             // no more messages follow
    // The Finished event releases the call: it is the last with its tag, and Release is not due.
    bool release_at_end = false;
  };
  // Begins a call. An error means that there is no call (nothing to Release) and carries
  // Delivery::kNotSent: INVALID_ARGUMENT (metadata), RESOURCE_EXHAUSTED (a limit; max_queued_bytes
  // too for a message that might have left at once), UNAVAILABLE (the connection is ending),
  // DEADLINE_EXCEEDED. With `message`, `queued` is set when the machine
  // keeps it and kWritable will follow.
  virtual absl::StatusOr<CallId> Open(const OpenRequest& request, Instant now, bool* queued) = 0;
  virtual void HalfClose(CallId call) = 0;

  // ---- server commands
  // At most once and before the first Send; the metadata is written together with the first message
  // or the finish if that follows at once. INVALID_ARGUMENT or RESOURCE_EXHAUSTED leave the call as
  // it was.
  virtual absl::Status SendInitialMetadata(CallId call, const Metadata& metadata) = 0;
  // Ends the call, after the messages sent before (a queued one too); what has not left by the
  // call's deadline is dropped, and the call DEADLINE_EXCEEDED. With `message` (a last
  // message, or the reply) a unary success is one frame; only with an OK status. A message that
  // cannot be sent for its size makes the call RESOURCE_EXHAUSTED; metadata that breaks the rules
  // makes it INTERNAL. Of the status, the text is cut at 16 KiB, and payloads beyond 16 or beyond
  // 32 KiB in all are left out. A status with Delivery::kNotProcessed (see WithDelivery) tells the
  // client that no handler has seen the call.
  virtual void Finish(CallId call, const absl::Status& status, const Metadata* trailing,
                      const Payload* message) = 0;
  // Finish and Release in one step, for an owner to whom the call's end is its last word.
  virtual void FinishAndRelease(CallId call, const absl::Status& status, const Metadata* trailing,
                                const Payload* message) = 0;
  // No new calls from now on: they are refused as UNAVAILABLE, not processed, and the client is
  // told to go elsewhere.
  virtual void Drain() = 0;

  // ---- both
  virtual SendResult Send(CallId call, const Payload& message) = 0;
  // Ends the call now, with the status as its Finished event (if it had none yet); the peer is
  // told.
  virtual void Cancel(CallId call, absl::Status status, Events& events) = 0;
  // The reader has taken one message, of `bytes` bytes: its memory may be filled again. Once for
  // each message delivered (an empty one too, since each counts 64 bytes beside its own), in their
  // order; not needed, and without effect, for the message delivered together with the end of its
  // direction (kHalfClose, kFinished) and after Release.
  virtual void Consumed(CallId call, size_t bytes) = 0;
  // The owner has forgotten the call: its tag appears in no later event. A call that is not over
  // (client: no Finished event yet; server: no Finish) is cancelled. What Finish left to send is
  // still sent.
  virtual void Release(CallId call, Events& events) = 0;

  // ---- the connection
  // Frames in the order received. An error is the end of the connection: the peer's breach of the
  // protocol (DATA_LOSS), its goodbye (UNAVAILABLE), a version or feature that does not match
  // (FAILED_PRECONDITION). The calls have been ended in `events`; write what Pump still gives (a
  // goodbye that names the reason), then abort the connection. Writes nothing: what there is to
  // answer waits for Pump.
  virtual absl::Status OnFrames(absl::Span<const ReceivedFrame> frames, Instant now,
                                Events& events) = 0;
  // The time has come that NextWakeup named (or any other time). An error as above.
  virtual absl::Status OnTime(Instant now, Events& events) = 0;
  // The connection is gone: every call ends.
  virtual void OnConnectionLost(const absl::Status& why, Events& events) = 0;
  // Writes what waits to be sent, fairly among calls, as far as the sink has room. Commands write
  // at once where nothing is ahead of them; Pump is for the rest: call it after commands and input
  // whenever wants_pump(), and when the sink has room again. wants_pump() stays true after a Pump
  // that ran out of room.
  virtual void Pump(Instant now, Events& events) = 0;
  virtual bool wants_pump() const = 0;

  // When OnTime is due; Instant::max(): never. Deadlines are kept to about a millisecond, never
  // early. The instant may turn out to have no work any more (the call that had this deadline is
  // over); OnTime then does nothing but find the next.
  virtual Instant NextWakeup() const = 0;
  // The calls that are not released or still have something to send; and of them the ones not over
  // (client: no Finished event yet; server: no Finish, or Finish not yet written). A draining
  // server may go when open_call_count() is 0.
  virtual size_t call_count() const = 0;
  virtual size_t open_call_count() const = 0;
  // Client: the server drains; open no further calls here. Calls that are open go on.
  virtual bool peer_is_draining() const = 0;
};

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_PROTOCOL_H_
