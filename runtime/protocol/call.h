// What the machine knows of one call. states.dot draws its life.
//
// A call has three lives which end in any order: its owner's (until Release), that of its stream's
// sending direction and that of its receiving direction (each until the frame that ends it). The
// object is used again when all are over.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_CALL_H_
#define ANYWIRE_RUNTIME_PROTOCOL_CALL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "anywire/message_memory.h"
#include "runtime/protocol/intrusive_list.h"
#include "runtime/protocol/protocol.h"
#include "runtime/protocol/timing_wheel.h"

namespace anywire::protocol {

// Bytes that count in the connection's account of messages that wait, for as long as this lives.
class QueuedBytes {
 public:
  QueuedBytes() = default;
  QueuedBytes(size_t* account, size_t size) : account_(account), size_(size) { *account_ += size_; }
  QueuedBytes(QueuedBytes&& other) noexcept
      : account_(other.account_), size_(std::exchange(other.size_, 0)) {}
  QueuedBytes& operator=(QueuedBytes&& other) noexcept {
    std::swap(account_, other.account_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~QueuedBytes() {
    if (size_ > 0) *account_ -= size_;
  }

 private:
  size_t* account_ = nullptr;
  size_t size_ = 0;
};

// Bytes of messages that share their memory with the transport. It may hold some when the machine
// is gone, and lets go of them on any thread.
using SharedAccount = std::shared_ptr<std::atomic<size_t>>;

// A message that waits to be sent, in memory of its own: behind Payload::kHeadroom free bytes.
struct OutgoingMessage {
  // Lets pieces of it, which go one by one, share the memory. It counts in `account` until the last
  // has gone.
  void Share(SharedAccount account) {
    struct Held {
      ~Held() { account->fetch_sub(size, std::memory_order_relaxed); }
      const MessageMemory memory;
      const SharedAccount account;
      const size_t size;
    };
    account->fetch_add(size, std::memory_order_relaxed);
    const std::shared_ptr<const Held> held(new Held{std::move(memory), std::move(account), size});
    shared = std::make_unique<const SharedMessageMemory>(held, held->memory.get());
  }

  MessageMemory memory;
  // Has taken its place. (Of every call there is one of these, and few need it.)
  std::unique_ptr<const SharedMessageMemory> shared;
  QueuedBytes queued;
  size_t size = 0;
  size_t sent = 0;
  size_t excess = 0;  // so much of the excess credit has been taken for it
  bool present = false;
  bool has_excess = false;  // all that it needs of that
  bool started = false;     // its share of the windows has been taken: it goes, or has begun to
  bool announced = false;   // its first frame has gone
};

// A message that has come in part.
struct IncomingMessage {
  bool present = false;
  bool dropped = false;  // nobody wants it; its sizes are still checked
  size_t size = 0;
  size_t received = 0;
  MessageMemory bytes;  // grows with what has been received, unless it is lent
};

// Where a call waits for its turn to send.
enum class SendQueue : uint8_t {
  kNone,
  kReady,             // has something that can be written now
  kStream,            // client: for a stream
  kConnectionCredit,  // its message needs more of the connection's window than there is
  kExcessCredit,      // the same of the excess window
};

// What few calls have: bytes of frames that could not be written at once.
struct Unwritten {
  // Client: the call's OPEN. Server: its initial metadata.
  std::string metadata;  // the block, or empty
  absl::string_view method_name;
  uint32_t method_index = 0;
  // Server: the encoded FINISH, when it is more than an END.
  std::string finish;
  // Server: the message that came with Finish while another was waiting.
  OutgoingMessage last_message;
  // A frame too large for one of the transport's: goes in fragments.
  std::string fragmented;
  size_t fragmented_sent = 0;
};

// The plain part of a call; a new one is a call that nothing has happened to.
struct CallState {
  void* tag = nullptr;
  uint32_t stream = 0;  // 0: none (yet, or no more)

  // The owner's side.
  bool released = false;
  bool release_at_end = false;  // client
  bool over = false;  // client: Finished has been said. Server: Finish was called, or Finished said

  // Sending.
  bool opened = false;      // client: OPEN is written. Server: OPEN has come in full
  bool send_ended = false;  // our last frame is written
  bool end_wanted = false;  // client: half-close. Server: Finish, OK unless `unwritten` has one
  bool metadata_wanted = false;  // server: `unwritten` has initial metadata
  bool metadata_sent = false;    // server: initial metadata has been given or can be given no more
  bool fragmenting = false;      // `unwritten->fragmented` is on its way: nothing may overtake it
  bool credit_wanted = false;
  uint8_t reset_wanted = 0;  // client: the status code, or 0
  SendQueue queue = SendQueue::kNone;
  int64_t send_credit = 0;  // what the peer lets us send on this call; see send_windows.h

  // Receiving.
  bool receive_ended = false;  // the peer's last frame has come
  bool metadata_received = false;
  bool message_received = false;
  bool teaches = false;               // client: OPEN had the method's name and an id
  bool running = false;               // server: has a handler that has not finished
  bool cancelled = false;             // server: running, but over for the client
  bool fragments_dropped = false;     // `fragments` too large or late: only the first byte is kept
  uint32_t method_index = 0;          // client: what it teaches
  Instant deadline = Instant::max();  // until the call is over
  size_t held = 0;                    // of the windows: delivered and not consumed
  size_t owed = 0;                    // of the call's window: consumed and not given back
  size_t excess_held = 0;             // the same of the excess window
};

struct Call : CallState {
  Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  CallId id;
  OutgoingMessage out;
  IncomingMessage in;
  std::string fragments;  // what has come of a frame in pieces
  std::unique_ptr<Unwritten> unwritten;
  // For the deadline; on the server, until `opened`, for an OPEN in fragments. It stays set when
  // the call is over: the next call in its place is due later, as a rule, and finds it set early
  // enough.
  TimingWheel::Timer timer;

  ListLink<Call> send_link;     // in the list that `queue` names
  ListLink<Call> control_link;  // has RESET or CREDIT to write

  Unwritten& MutableUnwritten() {
    if (unwritten == nullptr) unwritten = std::make_unique<Unwritten>();
    return *unwritten;
  }
};

using SendList = IntrusiveList<Call, &Call::send_link>;
using ControlList = IntrusiveList<Call, &Call::control_link>;

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_CALL_H_
