#include "runtime/endpoint/endpoint.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "anywire/call_scope.h"
#include "anywire/futex.h"

namespace anywire {
namespace {

// What a long batch of events gives cause to send leaves in parts, so that the peer works on it
// while the rest is dealt with. Less than this costs more in system calls than it brings.
constexpr size_t kEventsBetweenTransmits = 32;

// Where the connection would send a message from any memory, it is written with the lock held only
// if that takes no longer than a few microseconds.
constexpr size_t kWrittenLocked = 64 << 10;

size_t AheadAbove(const Connection& connection) {
  const size_t piece_size = connection.info().piece_size;
  return connection.takes_memory() ? std::min(kWrittenLocked, piece_size) : piece_size;
}

}  // namespace

thread_local constinit Endpoint::ThisThread Endpoint::this_thread_;

void BlockingOperation::Done(bool ok) {
  ok_ = ok;
  if (state_.exchange(kDone, std::memory_order_acq_rel) == kParked) FutexWakeOne(&state_);
}

void BlockingOperation::SleepWhileParked() const {
  while (state_.load(std::memory_order_acquire) == kParked) FutexWait(state_, kParked);
}

void BlockingOperation::Wait() {
  uint32_t expected = kPending;
  if (state_.compare_exchange_strong(expected, kParked, std::memory_order_acq_rel)) {
    SleepWhileParked();
  }
}

class Endpoint::LoopAlarm final : public EventLoop::Alarm {
 public:
  LoopAlarm(EventLoop& loop, Endpoint& endpoint) : Alarm(loop), endpoint_(endpoint) {}
  void OnAlarm(Instant now) override { endpoint_.OnAlarm(now); }

 private:
  Endpoint& endpoint_;
};

Endpoint::ScopedBorrow::ScopedBorrow() : previous_(this_thread_.borrowed) {
  this_thread_.borrowed = true;
}
Endpoint::ScopedBorrow::~ScopedBorrow() { this_thread_.borrowed = previous_; }

Endpoint::Endpoint(EventLoop& loop, std::unique_ptr<Connection> connection, Role role,
                   DriverPool* drivers, SpinLimit* spin,
                   absl::AnyInvocable<void(const absl::Status&)> on_lost)
    : loop_(loop),
      connection_(std::move(connection)),
      ahead_above_(AheadAbove(*connection_)),
      role_(role),
      drivers_(drivers),
      spin_limit_(spin != nullptr && spin->max().count() > 0 ? spin : nullptr),
      spin_(spin != nullptr ? spin->max() : std::chrono::nanoseconds(0)),
      alarm_(std::make_unique<LoopAlarm>(loop, *this)),
      on_lost_(std::move(on_lost)) {}

Endpoint::~Endpoint() = default;

std::shared_ptr<Endpoint> Endpoint::Start(EventLoop& loop, std::unique_ptr<Connection> connection,
                                          Role role, DriverPool* drivers, SpinLimit* spin,
                                          MakeProtocol make_protocol,
                                          absl::AnyInvocable<void(const absl::Status&)> on_lost) {
  std::shared_ptr<Endpoint> endpoint(
      new Endpoint(loop, std::move(connection), role, drivers, spin, std::move(on_lost)),
      [](Endpoint* last) {
        // The connection and the alarm belong to the loop's thread, and a connection must not end
        // inside its own Events, in which the last reference may well be dropped.
        EventLoop& loop = last->loop_;
        loop.Post([owner = std::unique_ptr<Endpoint>(last)] {});
      });
  endpoint->mutex_.Lock();
  endpoint->connection_->Start(*endpoint);  // events that come now wait for the lock
  endpoint->last_driven_ = std::chrono::steady_clock::now();
  endpoint->protocol_ = make_protocol(*endpoint->connection_);
  endpoint->unsent_ = true;  // the hello
  endpoint->PassReader(endpoint->last_driven_);
  endpoint->Settle();
  return endpoint;
}

bool Endpoint::OnRuntimeThread() {
  return this_thread_.dispatching != nullptr || EventLoop::Current() != nullptr;
}

Endpoint* Endpoint::Dispatching() { return this_thread_.dispatching; }

void Endpoint::Complete(Operation& operation, bool ok) {
  // What has been posted goes first.
  if (operation.blocking() ||
      (!this_thread_.borrowed && posted_completions_.load(std::memory_order_acquire) == 0)) {
    operation.Done(ok);
    return;
  }
  posted_completions_.fetch_add(1, std::memory_order_acq_rel);
  loop_.Post([self = shared_from_this(), &operation, ok] {
    self->posted_completions_.fetch_sub(1, std::memory_order_acq_rel);
    operation.Done(ok);
  });
}

void Endpoint::Dispatch() noexcept {
  dispatching_ = true;
  while (!events_.empty()) {
    batch_.swap(events_);
    mutex_.Unlock();
    {
      Endpoint* const outer = std::exchange(this_thread_.dispatching, this);
      ++this_thread_.depth;
      const ScopedCallScope no_scope(nullptr);
      size_t handled = 0;
      for (protocol::Event& event : batch_) {
        static_cast<CallSink*>(event.tag)->OnEvent(event);
        if (++handled % kEventsBetweenTransmits == 0 && handled < batch_.size()) {
          mutex_.Lock();
          Transmit();
          mutex_.Unlock();
        }
      }
      batch_.clear();
      --this_thread_.depth;
      this_thread_.dispatching = outer;
    }
    mutex_.Lock();
  }
  dispatching_ = false;
  if (lost_ && on_lost_) PostTellLost();
}

void Endpoint::PostTellLost() {
  loop_.Post([self = shared_from_this()] { self->TellLost(); });
}

void Endpoint::DispatchOnLoop() {
  if (dispatch_posted_) return;
  dispatch_posted_ = true;
  loop_.Post([self = shared_from_this()]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    self->mutex_.Lock();
    self->dispatch_posted_ = false;
    if (!self->dispatching_) self->Dispatch();
    self->Settle();
  });
}

void Endpoint::Transmit(const BlockingOperation* operation, Instant now) {
  for (bool again = false; MayTransmit() && (operation == nullptr || !operation->done());
       again = true) {
    unsent_ = false;
    if (protocol_->wants_pump()) protocol_->Pump(std::chrono::steady_clock::now(), events_);
    if (operation != nullptr && !events_.empty() && !dispatching_) {
      Dispatch();  // what the pump brought must not wait for room
      unsent_ = true;
      continue;
    }
    if (!connection_->Publish()) return;
    Instant wait_until = Instant::min();
    if (operation != nullptr) {
      // Others may complete it meanwhile.
      if (again) now = std::chrono::steady_clock::now();
      wait_until = std::min(protocol_->NextWakeup(), now + kLookUpFromRoom);
    }
    const absl::Status status = TransmitPublished(wait_until);
    if (lost_) return SendLastWords();
    if (!status.ok()) OnSendFailed(status);
  }
}

absl::Status Endpoint::TransmitPublished(Instant wait_until) {
  const bool waits = wait_until > Instant();
  transmitting_ = true;
  awaiting_room_ = waits;
  mutex_.Unlock();
  ++this_thread_.depth;
  absl::Status status = waits ? connection_->TransmitUntil(wait_until) : connection_->Transmit();
  --this_thread_.depth;
  mutex_.Lock();
  transmitting_ = awaiting_room_ = false;
  return status;
}

// Nothing can be sent any more. What the peer sent before it went is still to be read, and then the
// reader meets the end: so there has to be one. If that does not come, it was we who failed.
void Endpoint::OnSendFailed(const absl::Status& why) {
  send_failed_ = why;
  retired_.store(true, std::memory_order_relaxed);
  give_up_at_ = std::chrono::steady_clock::now() + kEndAfterSendFailure;
  alarm_->SetNoLaterThan(give_up_at_);
  if (reader_ == Reader::kNobody) {
    reader_ = Reader::kWatching;
    Watch(true);
  }
}

void Endpoint::TransmitAndDispatch() {
  for (;;) {
    Transmit();
    // What the pump brought: a message that had waited has left, for instance.
    if (events_.empty() || dispatching_) return;
    Dispatch();
  }
}

void Endpoint::SettleNow() {
  if (MayTransmit()) Transmit();
  if (retired() && protocol_->peer_is_draining()) {
    // A server that drains waits for its clients to go, so that it need not cut off what is on its
    // way to them.
    if (role_ == Role::kClient && protocol_->open_call_count() == 0 && !transmitting_) {
      Lose(absl::UnavailableError("the server shuts down"), last_driven_);
    }
  }
  if (!events_.empty() && !dispatching_) DispatchOnLoop();
  if (reader_ == Reader::kNobody && !lost_) {
    if (async_.load(std::memory_order_relaxed) != 0) {
      reader_ = Reader::kWatching;
      Watch(true);
    } else if (parked_ != nullptr) {
      Promote();
    }
  }
  const Instant wakeup = protocol_->NextWakeup();
  mutex_.Unlock();
  alarm_->SetNoLaterThan(wakeup);
}

// Transmit may be under way, here or on another thread; then it goes round once more.
void Endpoint::OnWritable() {
  const std::shared_ptr<Endpoint> self = weak_from_this().lock();
  if (self == nullptr) return;
  mutex_.Lock();
  unsent_ = true;
  Settle();
}

void Endpoint::OnAlarm(Instant now) {
  const std::shared_ptr<Endpoint> self = weak_from_this().lock();
  if (self == nullptr) return;
  mutex_.Lock();
  if (!lost_ && now >= protocol_->NextWakeup()) {
    const absl::Status status = protocol_->OnTime(now, events_);
    unsent_ = true;
    if (!status.ok()) Lose(status, now);
  }
  if (now >= give_up_at_) {
    Lose(send_failed_, now);
  } else {
    alarm_->SetNoLaterThan(give_up_at_);
  }
  if (reader_ == Reader::kNobody && !lost_) {
    if (now - last_driven_ >= kReturnToLoop) {
      reader_ = Reader::kWatching;
      Watch(true);
    } else {
      alarm_->SetNoLaterThan(last_driven_ + kReturnToLoop);
    }
  }
  if (!dispatching_) Dispatch();
  Settle();
}

void Endpoint::Lose(const absl::Status& why, Instant now) {
  if (lost_) return;
  lost_ = true;
  lost_why_ = why;
  retired_.store(true, std::memory_order_relaxed);
  Watch(false);
  // What the machine still has to say, its reason for instance, before it hears of the loss.
  if (protocol_->wants_pump()) protocol_->Pump(now, events_);
  protocol_->OnConnectionLost(why, events_);
  // A thread that is transmitting does this when it is through. One that waits for room is not
  // before the connection ends, and there is none for last words.
  if (!transmitting_) {
    SendLastWords();
  } else if (awaiting_room_) {
    connection_->Abort();
  }
  PostTellLost();
}

void Endpoint::SendLastWords() {
  if (send_failed_.ok() && connection_->Publish()) TransmitPublished().IgnoreError();
  connection_->Abort();
}

void Endpoint::TellLost() {
  mutex_.Lock();
  if (dispatching_) {
    mutex_.Unlock();  // that thread posts this again
    return;
  }
  Dispatch();
  auto on_lost = std::exchange(on_lost_, nullptr);
  const absl::Status why = lost_why_;
  Settle();
  if (on_lost) on_lost(why);
}

void Endpoint::Close(const absl::Status& why) {
  mutex_.Lock();
  Lose(why, std::chrono::steady_clock::now());
  Settle();
}

}  // namespace anywire
