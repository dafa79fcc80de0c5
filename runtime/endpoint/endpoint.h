// An endpoint joins one protocol machine to one connection, and decides which thread does the work.
//
// The machine is pure and the connection is passive; the endpoint has the lock between them and
// three roles, each held by at most one thread at a time:
//
//   reader       receives frames and gives them to the machine. A thread that waits for an answer
//                of its own (Await) takes the role and blocks in the transport, so a blocking call
//                is one send and one receive with no other thread involved. When nobody waits, the
//                loop's thread has the role by watching the connection; it takes it over lazily,
//                so that a row of blocking calls costs no system call for handing it to and fro.
//   dispatcher   hands events to the calls (CallSink), outside the lock, in order.
//   transmitter  moves published frames, outside the lock; what other threads write meanwhile
//                leaves with the next round.
//
// A thread waits for frames in the transport only while nobody dispatches and no event waits, since
// it cannot be woken from there: whatever completes its operation is then either in frames that it
// will receive itself, or due at a time that it knows. For room to send it waits there too, but
// looks up every few milliseconds.
//
// A command made on the dispatcher's thread (a handler's reply, a callback's next call) is
// transmitted with others, at the end of the batch of events it was made in; a long batch is
// transmitted in parts.
#ifndef ANYWIRE_RUNTIME_ENDPOINT_ENDPOINT_H_
#define ANYWIRE_RUNTIME_ENDPOINT_ENDPOINT_H_

#include <atomic>
#include <chrono>
#include <memory>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "anywire/event_loop.h"
#include "anywire/mutex.h"
#include "anywire/operation.h"
#include "anywire/spin.h"
#include "anywire/transport.h"
#include "runtime/endpoint/driver_pool.h"
#include "runtime/protocol/protocol.h"

namespace anywire {

namespace test {
class EndpointPeek;
}

// The upper half of a call: the machine's tag.
class CallSink {
 public:
  // Called one at a time per connection, without the lock, on whatever thread dispatches. May run
  // commands. A view in `event.message` lives until the return. Destroying the sink inside is
  // allowed once the call is released.
  virtual void OnEvent(protocol::Event& event) = 0;

 protected:
  ~CallSink() = default;
};

// An operation that a thread waits for (Endpoint::Await).
class BlockingOperation final : public Operation {
 public:
  void Done(bool ok) override;
  bool blocking() const override { return true; }
  bool ok() const { return ok_; }
  // Waits for it on the calling thread, where no connection of the caller's needs driving for it.
  void Wait();

 private:
  friend class Endpoint;
  friend class test::EndpointPeek;
  // Parked: its thread sleeps on state_. Promoted: it has been woken to take the reader's role.
  enum State : uint32_t { kPending, kParked, kPromoted, kDone };
  void SleepWhileParked() const;
  bool done() const { return state_.load(std::memory_order_acquire) == kDone; }
  std::atomic<uint32_t> state_{kPending};
  bool ok_ = false;
  BlockingOperation* next_parked_ = nullptr;
};

// For the machine of an endpoint on this connection.
inline protocol::FrameSizes FrameSizesOf(const Connection& connection) {
  return {connection.info().max_frame_size, connection.info().piece_size};
}

class Endpoint final : private Connection::Events, public std::enable_shared_from_this<Endpoint> {
 public:
  using Events = protocol::Protocol::Events;
  using MakeProtocol = absl::AnyInvocable<std::unique_ptr<protocol::Protocol>(Connection&)>;

  enum class Role : uint8_t { kClient, kServer };

  // Joins `connection` (whose loop `loop` is) with the machine that `make_protocol` makes, and
  // begins. Any thread. `on_lost` runs once, on the loop's thread, when the connection has ended
  // and every call has been told. `drivers` and `spin` may be null; they outlive the endpoint. The
  // endpoint may be released on any thread, inside its own calls too: it is destroyed on the
  // loop's, later. Who calls a function of it holds a reference until that returns.
  static std::shared_ptr<Endpoint> Start(EventLoop& loop, std::unique_ptr<Connection> connection,
                                         Role role, DriverPool* drivers, SpinLimit* spin,
                                         MakeProtocol make_protocol,
                                         absl::AnyInvocable<void(const absl::Status&)> on_lost);
  ~Endpoint() override;

  // Runs `command(protocol, events)` under the lock, where it may call the machine's commands (and
  // nothing of the endpoint), and then sees to what came of it. Any thread. The command's result is
  // returned.
  template <typename Command>
  auto Run(Command&& command) ABSL_LOCKS_EXCLUDED(mutex_);

  // Run, by a thread that will wait for what it starts: it hands on the events that come of it
  // itself, instead of waking the loop to tell it. The caller has a ScopedBorrow.
  template <typename Command>
  auto RunAndDispatch(Command&& command) ABSL_LOCKS_EXCLUDED(mutex_);

  // Due before the Run whose command sends `payload`: writes it here, without the lock, if it is a
  // large one that the command could not write to where it travels anyway.
  void WriteAhead(const protocol::Payload& payload) const {
    if (ABSL_PREDICT_FALSE(payload.size > ahead_above_)) payload.WriteAhead();
  }

  // Waits on the calling thread until `operation` is done, driving the connection where nobody else
  // does. `cancellable`: something besides the peer and the clock may complete it; the wait then
  // looks up every 100 ms. The caller has made sure that it may block: see OnRuntimeThread.
  void Await(BlockingOperation& operation, bool cancellable) ABSL_LOCKS_EXCLUDED(mutex_);
  // Run, and Await if the command's result, an absl::Status, is OK. `now`: about. The caller has a
  // ScopedBorrow.
  template <typename Command>
  absl::Status RunAndAwait(Command&& command, BlockingOperation& operation, bool cancellable,
                           Instant now) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same for an operation that room in the transport may complete. The thread sends, and reads
  // what gives it leave to; to the loop, which is told of room, it leaves the connection when the
  // peer takes nothing for a while.
  void AwaitRoom(BlockingOperation& operation) ABSL_LOCKS_EXCLUDED(mutex_);

  // Brackets the time in which some operation that is not a BlockingOperation waits for this
  // connection. The loop's thread then reads, since user code may not run on a thread that is
  // inside a blocking call. Begin before the Run that starts the operation.
  void BeginAsync() { async_.fetch_add(1, std::memory_order_relaxed); }
  void EndAsync() { async_.fetch_sub(1, std::memory_order_relaxed); }

  // Completes `operation` here if that is allowed on this thread, else on the loop's; those of one
  // thread in their order.
  void Complete(Operation& operation, bool ok);

  // Whether this thread is inside a dispatch or an event loop, so that waiting here might be
  // waiting for oneself.
  static bool OnRuntimeThread();
  // The endpoint that is calling CallSink::OnEvent on this thread, or null.
  static Endpoint* Dispatching();

  // For the time of a blocking call: this thread may be borrowed to run the handlers of a server in
  // the same process, and so must hold no lock that they take.
  class ScopedBorrow {
   public:
    ScopedBorrow();
    ~ScopedBorrow();
    ScopedBorrow(const ScopedBorrow&) = delete;
    ScopedBorrow& operator=(const ScopedBorrow&) = delete;

   private:
    const bool previous_;
  };

  // Ends the connection; calls end with `why`. Any thread.
  void Close(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mutex_);

  const ConnectionInfo& info() const { return connection_->info(); }
  EventLoop& loop() const { return loop_; }
  // Whether no new calls should be opened here: lost, or the peer drains.
  bool retired() const { return retired_.load(std::memory_order_relaxed); }

 private:
  friend class test::EndpointPeek;
  using Instant = protocol::Instant;

  // Who receives.
  enum class Reader : uint8_t {
    kNobody,    // client only: until the alarm gives the connection to the loop
    kWatching,  // the loop, when the connection has something
    kThread,    // a thread is in Drive now
  };

  // How long a connection stays without a reader before its loop watches it again.
  static constexpr std::chrono::milliseconds kReturnToLoop{20};
  // How long the peer's last words are waited for once nothing can be sent any more.
  static constexpr std::chrono::seconds kEndAfterSendFailure{1};
  // How often a blocked thread looks up when somebody else may complete its operation and the peer
  // stays silent.
  static constexpr std::chrono::milliseconds kLookUp{100};
  // The same for one that waits for room to send, since it reads nothing meanwhile.
  static constexpr std::chrono::milliseconds kLookUpFromRoom{10};

  class LoopAlarm;

  struct ThisThread {
    // Whose events are handed on, the innermost if there are several.
    Endpoint* dispatching = nullptr;
    int depth = 0;  // dispatches and transmissions under way, of any endpoints
    bool borrowed = false;
  };
  static thread_local constinit ThisThread this_thread_;

  Endpoint(EventLoop& loop, std::unique_ptr<Connection> connection, Role role, DriverPool* drivers,
           SpinLimit* spin, absl::AnyInvocable<void(const absl::Status&)> on_lost);

  void OnReadable() override;
  void OnWritable() override;
  void OnAlarm(Instant now);

  // ---- the reader (endpoint_reader.cc)
  // The reader's work, with reader_ at kThread. Receives and handles until `stop(frames_received,
  // now)`, which is asked with the lock held, or somebody else dispatches; waits in each Receive
  // until `wait_until()`. Passes the role on at the end. Releases and retakes the lock.
  template <typename WaitUntil, typename Stop>
  void Drive(WaitUntil wait_until, Stop stop) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DriveDedicated() ABSL_LOCKS_EXCLUDED(mutex_);
  // Receives, with the reader's role: polls for a while where that is worth it, then waits.
  absl::StatusOr<absl::Span<const ReceivedFrame>> Receive(Instant wait_until) {
    const bool may_poll = spin_limit_ != nullptr && wait_until > Instant();
    return may_poll ? PollAndReceive(wait_until) : connection_->Receive(wait_until);
  }
  absl::StatusOr<absl::Span<const ReceivedFrame>> PollAndReceive(Instant wait_until);
  // Whether a thread that waits may take the reader's role now.
  bool MayRead() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return role_ == Role::kClient && reader_ != Reader::kThread && !dispatching_ && !lost_ &&
           async_.load(std::memory_order_relaxed) == 0;
  }
  // Await. Releases and retakes the lock.
  void AwaitLocked(BlockingOperation& operation, bool cancellable, Instant now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What was received goes to the machine, and its events to the calls. Releases and retakes the
  // lock.
  void Handle(const absl::StatusOr<absl::Span<const ReceivedFrame>>& frames, Instant now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The machine's part of it. `claimed`: this thread hands the events on.
  absl::Status Read(absl::Span<const ReceivedFrame> frames, Instant now, bool claimed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ABSL_ATTRIBUTE_NOINLINE absl::Status ReadNothing(Instant now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Gives the reader's role to whoever should have it next.
  void PassReader(Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Wakes a parked thread to take the role, if it is free for one and none has been woken for it
  // already.
  ABSL_ATTRIBUTE_NOINLINE void Promote() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Sleeps until `operation` is done or promoted. Releases and retakes the lock.
  ABSL_ATTRIBUTE_NOINLINE void Park(BlockingOperation& operation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Watch(bool on) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (watched_ == on) return;
    watched_ = on;
    connection_->WatchReadable(on);
  }
  // Whether OnReadable may receive on this thread.
  bool MayReceiveHere() const;
  // After a turn of the loop: a connection that goes to and fro gets a thread that waits in it (see
  // DriverPool).
  bool ShouldDedicate(size_t frames, Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // ---- the dispatcher and the transmitter (endpoint.cc)
  // Hands on the events that wait; nobody else is doing so. Releases and retakes the lock.
  void Dispatch() noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether there may be something to send, and by this thread.
  bool MayTransmit() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return unsent_ && !transmitting_ && send_failed_.ok() && !lost_;
  }
  // Sends until there is nothing left that can be. With `operation`, waits for room on the way for
  // a while from `now`, as long as that is not done. Releases and retakes the lock.
  void Transmit(const BlockingOperation* operation = nullptr, Instant now = Instant())
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TransmitPublished(Instant wait_until = Instant::min())
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ABSL_ATTRIBUTE_COLD void OnSendFailed(const absl::Status& why)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What is left to say on a lost connection, and its end. Releases and retakes the lock.
  ABSL_ATTRIBUTE_COLD void SendLastWords() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Both until there is nothing left of either for this thread.
  void TransmitAndDispatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Sees to what a command or input left behind. Takes the lock held and leaves it released.
  void Settle() ABSL_UNLOCK_FUNCTION(mutex_) {
    // The end of the batch sees to it all.
    if (this_thread_.dispatching == this) return mutex_.Unlock();
    SettleNow();
  }
  void SettleNow() ABSL_UNLOCK_FUNCTION(mutex_);
  ABSL_ATTRIBUTE_NOINLINE void DispatchOnLoop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The connection is over.
  ABSL_ATTRIBUTE_COLD void Lose(const absl::Status& why, Instant now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Says so to the owner, once, when no thread is telling calls of it any more.
  ABSL_ATTRIBUTE_COLD void TellLost() ABSL_LOCKS_EXCLUDED(mutex_);
  ABSL_ATTRIBUTE_COLD void PostTellLost();

  EventLoop& loop_;
  const std::unique_ptr<Connection> connection_;
  const size_t ahead_above_;  // bytes of a message
  const Role role_;
  DriverPool* const drivers_;
  SpinLimit* const spin_limit_;  // null: never polls
  SpinBudget spin_;              // the reader's
  const std::unique_ptr<EventLoop::Alarm> alarm_;
  std::atomic<int> async_{0};
  std::atomic<bool> retired_{false};
  std::atomic<int> posted_completions_{0};
  std::atomic<bool> readable_posted_{false};

  Mutex mutex_;
  std::unique_ptr<protocol::Protocol> protocol_ ABSL_GUARDED_BY(mutex_);
  Events events_ ABSL_GUARDED_BY(mutex_);
  Events batch_;  // the dispatcher's
  Reader reader_ ABSL_GUARDED_BY(mutex_) = Reader::kNobody;
  bool watched_ ABSL_GUARDED_BY(mutex_) = false;
  bool dispatching_ ABSL_GUARDED_BY(mutex_) = false;
  bool dispatch_posted_ ABSL_GUARDED_BY(mutex_) = false;
  bool transmitting_ ABSL_GUARDED_BY(mutex_) = false;
  bool awaiting_room_ ABSL_GUARDED_BY(mutex_) = false;  // transmitting_, and waits in it
  // Something may have come to be sent since the last look: the machine has been commanded, what it
  // has read made it want to send, or the connection has room.
  bool unsent_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status send_failed_ ABSL_GUARDED_BY(mutex_);
  Instant give_up_at_ ABSL_GUARDED_BY(mutex_) = Instant::max();
  bool lost_ ABSL_GUARDED_BY(mutex_) = false;
  int streak_ ABSL_GUARDED_BY(mutex_) = 0;  // turns of the loop in a row with one frame each
  Instant last_driven_ ABSL_GUARDED_BY(mutex_);
  BlockingOperation* parked_ ABSL_GUARDED_BY(mutex_) = nullptr;
  BlockingOperation* promoted_ ABSL_GUARDED_BY(mutex_) = nullptr;  // until its thread has looked
  absl::AnyInvocable<void(const absl::Status&)> on_lost_ ABSL_GUARDED_BY(mutex_);
  absl::Status lost_why_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace anywire

#include "runtime/endpoint/endpoint_run.h"

#endif  // ANYWIRE_RUNTIME_ENDPOINT_ENDPOINT_H_
