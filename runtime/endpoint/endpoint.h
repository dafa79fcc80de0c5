// An endpoint joins one protocol machine to one connection, and decides which thread does the work.
//
// The machine is pure and the connection is passive; the endpoint has the lock between them and three roles, each held by
// at most one thread at a time:
//
//   reader       receives frames and gives them to the machine. A thread that waits for an answer of its own (Await) takes
//                the role and blocks in the transport, so a blocking call is one send and one receive with no other thread
//                involved. When nobody waits, the loop's thread has the role by watching the connection; it takes it over
//                lazily, so that a row of blocking calls costs no system call for handing it to and fro.
//   dispatcher   hands events to the calls (CallSink), outside the lock, in order.
//   transmitter  moves published frames, outside the lock; what other threads write meanwhile leaves with the next round.
//
// A command made on the dispatcher's thread (a handler's reply, a callback's next call) is transmitted once, at the end of
// the batch of events it was made in.
#ifndef ANYWIRE_RUNTIME_ENDPOINT_ENDPOINT_H_
#define ANYWIRE_RUNTIME_ENDPOINT_ENDPOINT_H_

#include <atomic>
#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "anywire/event_loop.h"
#include "anywire/operation.h"
#include "anywire/transport.h"
#include "runtime/protocol/protocol.h"

namespace anywire {

// The upper half of a call: the machine's tag.
class CallSink {
 public:
  // Called one at a time per connection, without the lock, on whatever thread dispatches. May run commands. A view in
  // `event.message` lives until the return. Destroying the sink inside is allowed once the call is released.
  virtual void OnEvent(protocol::Event& event) = 0;

 protected:
  ~CallSink() = default;
};

// An operation that a thread waits for (Endpoint::Await).
class BlockingOperation final : public Operation {
 public:
  void Done(bool ok) override;
  bool ok() const { return ok_; }

 private:
  friend class Endpoint;
  enum State : uint32_t { kPending, kParked, kPromoted, kDone };
  std::atomic<uint32_t> state_{kPending};
  bool ok_ = false;
  BlockingOperation* next_parked_ = nullptr;
};

class Endpoint final : private Connection::Events, public std::enable_shared_from_this<Endpoint> {
 public:
  using Events = protocol::Protocol::Events;
  using MakeProtocol = absl::AnyInvocable<std::unique_ptr<protocol::Protocol>(Connection&)>;

  // Joins `connection` (whose loop `loop` is) with the machine that `make_protocol` makes, and begins. Any thread.
  // `on_lost` runs once, on any thread and without the lock, when the connection has ended and every call has been told.
  // The endpoint may be released on any thread: its last part is destroyed on the loop's.
  static std::shared_ptr<Endpoint> Start(EventLoop& loop, std::unique_ptr<Connection> connection,
                                         MakeProtocol make_protocol,
                                         absl::AnyInvocable<void(const absl::Status&)> on_lost);

  // Runs `command(protocol, events)` under the lock, where it may call the machine's commands (and nothing of the
  // endpoint), and then sees to what came of it. Any thread. The command's result is returned.
  template <typename Command>
  auto Run(Command&& command) ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits on the calling thread until `operation` is done, driving the connection where nobody else does.
  // `cancellable`: something besides the peer and the clock may complete it; the wait then looks up every 100 ms.
  // The caller has made sure that it may block: see OnRuntimeThread.
  void Await(BlockingOperation& operation, bool cancellable) ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether this thread is inside a dispatch or an event loop, so that waiting here might be waiting for oneself.
  static bool OnRuntimeThread();

  // Ends the connection; calls end with `why`. Any thread.
  void Close(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mutex_);

  const ConnectionInfo& info() const { return connection_->info(); }
  EventLoop& loop() const { return loop_; }
  // Whether no new calls should be opened here: lost, or the peer drains.
  bool retired() const { return retired_.load(std::memory_order_relaxed); }

 private:
  Endpoint(EventLoop& loop, std::unique_ptr<Connection> connection,
           absl::AnyInvocable<void(const absl::Status&)> on_lost);
  ~Endpoint() override;
  void Begin(MakeProtocol make_protocol);

  // Who receives.
  enum class Reader : uint8_t {
    kNobody,    // until the alarm gives the connection back to the loop
    kWatching,  // the loop, when the connection has something
    kThread,    // a thread is in ReceiveAndHandle now
  };

  class LoopAlarm;

  void OnReadable() override;
  void OnWritable() override;
  void OnAlarm(protocol::Instant now);

  // The reader's work: one Receive and all that follows from it. False once the connection is lost.
  bool ReceiveAndHandle(protocol::Instant wait_until) ABSL_LOCKS_EXCLUDED(mutex_);
  // Sees to what a command or input left behind: pump, dispatch, transmit, alarm. Takes the lock held, leaves it released.
  void Settle() ABSL_UNLOCK_FUNCTION(mutex_);
  // Hands on the events that wait. The caller becomes the dispatcher and has the lock again at the end.
  void Dispatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Transmit() ABSL_LOCKS_EXCLUDED(mutex_);
  void Lose(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Gives the reader's role to whoever should have it next.
  void PassReader() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Watch(bool on) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  EventLoop& loop_;
  const std::unique_ptr<Connection> connection_;
  std::unique_ptr<LoopAlarm> alarm_;

  absl::Mutex mutex_;
  std::unique_ptr<protocol::Protocol> protocol_ ABSL_GUARDED_BY(mutex_);
  Events events_ ABSL_GUARDED_BY(mutex_);
  Events batch_;  // the dispatcher's
  Reader reader_ ABSL_GUARDED_BY(mutex_) = Reader::kNobody;
  bool dispatching_ ABSL_GUARDED_BY(mutex_) = false;
  bool transmitting_ ABSL_GUARDED_BY(mutex_) = false;
  bool lost_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<bool> retired_{false};
  protocol::Instant last_driven_ ABSL_GUARDED_BY(mutex_);
  BlockingOperation* parked_ ABSL_GUARDED_BY(mutex_) = nullptr;
  absl::AnyInvocable<void(const absl::Status&)> on_lost_;
};

}  // namespace anywire

#include "runtime/endpoint/endpoint_run.h"

#endif  // ANYWIRE_RUNTIME_ENDPOINT_ENDPOINT_H_
