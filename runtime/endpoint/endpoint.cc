#include "runtime/endpoint/endpoint.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "anywire/call_scope.h"

namespace anywire {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How long a connection without a reader stays with nobody before its loop watches it again.
constexpr auto kReturnToLoop = milliseconds(20);
// How often a blocked thread looks up when somebody may cancel its call and the peer stays silent.
constexpr auto kCancelTick = milliseconds(100);
// A connection gets a driver after this many single requests, none later than this after the one before ...
constexpr int kDedicateAfter = 32;
constexpr auto kDedicateGap = milliseconds(1);
// ... and keeps it until it has been silent for this long.
constexpr auto kDedicatedLinger = milliseconds(50);

// The endpoint whose events this thread hands on, the innermost if there are several.
thread_local constinit const Endpoint* dispatching = nullptr;
thread_local constinit bool borrowed = false;

}  // namespace

void BlockingOperation::Done(bool ok) {
  ok_ = ok;
  if (state_.exchange(kDone, std::memory_order_acq_rel) == kParked) state_.notify_one();
}

void BlockingOperation::Wait() {
  uint32_t expected = kPending;
  if (state_.compare_exchange_strong(expected, kParked, std::memory_order_acq_rel)) {
    state_.wait(kParked, std::memory_order_acquire);
  }
}

class Endpoint::LoopAlarm final : public EventLoop::Alarm {
 public:
  LoopAlarm(EventLoop& loop, Endpoint& endpoint) : Alarm(loop), endpoint_(endpoint) {}
  void OnAlarm(Instant now) override { endpoint_.OnAlarm(now); }

 private:
  Endpoint& endpoint_;
};

Endpoint::ScopedBorrow::ScopedBorrow() : previous_(borrowed) { borrowed = true; }
Endpoint::ScopedBorrow::~ScopedBorrow() { borrowed = previous_; }

Endpoint::Endpoint(EventLoop& loop, std::unique_ptr<Connection> connection, Role role,
                   DriverPool* drivers, absl::AnyInvocable<void(const absl::Status&)> on_lost)
    : loop_(loop),
      connection_(std::move(connection)),
      role_(role),
      drivers_(drivers),
      alarm_(std::make_unique<LoopAlarm>(loop, *this)),
      on_lost_(std::move(on_lost)) {}

Endpoint::~Endpoint() = default;

std::shared_ptr<Endpoint> Endpoint::Start(EventLoop& loop, std::unique_ptr<Connection> connection,
                                          Role role, DriverPool* drivers,
                                          MakeProtocol make_protocol,
                                          absl::AnyInvocable<void(const absl::Status&)> on_lost) {
  std::shared_ptr<Endpoint> endpoint(
      new Endpoint(loop, std::move(connection), role, drivers, std::move(on_lost)),
      [](Endpoint* last) {
        // The connection and the alarm belong to the loop's thread.
        std::unique_ptr<Endpoint> owner(last);
        EventLoop& loop = owner->loop_;
        if (!loop.IsCurrent()) loop.Post([owner = std::move(owner)] {});
      });
  endpoint->connection_->Start(*endpoint);
  endpoint->mutex_.Lock();
  endpoint->last_driven_ = Clock::now();
  endpoint->protocol_ = make_protocol(*endpoint->connection_);
  endpoint->PassReader(endpoint->last_driven_);
  endpoint->Settle();
  return endpoint;
}

bool Endpoint::OnRuntimeThread() {
  return dispatching != nullptr || EventLoop::Current() != nullptr;
}

bool Endpoint::dispatching_here() const { return dispatching == this; }

void Endpoint::Complete(Operation& operation, bool ok) {
  if (operation.blocking() || !borrowed) {
    operation.Done(ok);
  } else {
    loop_.Post([&operation, ok] { operation.Done(ok); });
  }
}

void Endpoint::Watch(bool on) {
  if (watched_ == on) return;
  watched_ = on;
  connection_->WatchReadable(on);
}

void Endpoint::OnReadable() {
  const std::shared_ptr<Endpoint> self = weak_from_this().lock();
  if (self == nullptr) return;
  // A server may answer on the thread of a client in its own process, if that waits for the answer anyway. What comes
  // back to a client is for its loop: callbacks do not run inside the calls that caused them.
  const bool here = loop_.IsCurrent() || (role_ == Role::kServer && (borrowed || dispatching != nullptr));
  if (!here) {
    loop_.Post([self] { self->OnReadable(); });
    return;
  }
  mutex_.Lock();
  if (reader_ != Reader::kWatching || lost_) {
    mutex_.Unlock();
    return;
  }
  reader_ = Reader::kThread;
  bool dedicate = false;
  Drive([](Instant) { return Instant::min(); },
        [this, &dedicate](size_t frames, Instant now) ABSL_NO_THREAD_SAFETY_ANALYSIS {
          dedicate = ShouldDedicate(frames, now);
          return true;
        });
  if (dedicate) drivers_->TryRun([self] { self->DriveDedicated(); });
}

bool Endpoint::ShouldDedicate(size_t frames, Instant now) {
  const bool to_and_fro = frames == 1 && now - last_driven_ < kDedicateGap;
  streak_ = to_and_fro ? streak_ + 1 : 0;
  if (streak_ < kDedicateAfter) return false;
  streak_ = 0;
  return role_ == Role::kServer && drivers_ != nullptr && connection_->info().waiting_is_cheaper &&
         loop_.IsCurrent();
}

void Endpoint::DriveDedicated() {
  mutex_.Lock();
  if (reader_ != Reader::kWatching || lost_) {
    mutex_.Unlock();
    return;
  }
  Watch(false);
  reader_ = Reader::kThread;
  Drive([](Instant now) { return now + kDedicatedLinger; },
        [](size_t frames, Instant) { return frames == 0; });
}

void Endpoint::Await(BlockingOperation& operation, bool cancellable) {
  using State = BlockingOperation::State;
  const ScopedBorrow borrow;
  while (operation.state_.load(std::memory_order_acquire) != State::kDone) {
    mutex_.Lock();
    if (operation.state_.load(std::memory_order_acquire) == State::kDone) {
      mutex_.Unlock();
      return;
    }
    if (reader_ != Reader::kThread && !lost_ && async_.load(std::memory_order_relaxed) == 0 &&
        role_ == Role::kClient) {
      Watch(false);
      reader_ = Reader::kThread;
      Drive(
          [this, cancellable](Instant now) ABSL_NO_THREAD_SAFETY_ANALYSIS {
            const Instant wakeup = protocol_->NextWakeup();
            return cancellable ? std::min(wakeup, now + kCancelTick) : wakeup;
          },
          [this, &operation](size_t, Instant) {
            return operation.state_.load(std::memory_order_acquire) == State::kDone ||
                   async_.load(std::memory_order_relaxed) != 0;
          });
      continue;
    }
    // Somebody else reads; that thread completes the operation, or passes its role to this one.
    uint32_t expected = State::kPending;
    if (!operation.state_.compare_exchange_strong(expected, State::kParked,
                                                  std::memory_order_acq_rel)) {
      mutex_.Unlock();
      return;
    }
    operation.next_parked_ = parked_;
    parked_ = &operation;
    mutex_.Unlock();
    operation.state_.wait(State::kParked, std::memory_order_acquire);
    mutex_.Lock();
    for (BlockingOperation** link = &parked_; *link != nullptr; link = &(*link)->next_parked_) {
      if (*link == &operation) {
        *link = operation.next_parked_;
        break;
      }
    }
    mutex_.Unlock();
    expected = State::kPromoted;
    operation.state_.compare_exchange_strong(expected, State::kPending, std::memory_order_acq_rel);
  }
}

template <typename WaitUntil, typename Stop>
void Endpoint::Drive(WaitUntil wait_until, Stop stop) {
  Instant now = last_driven_;
  for (;;) {
    const Instant until = wait_until(now);
    mutex_.Unlock();
    const absl::StatusOr<absl::Span<const ReceivedFrame>> frames = connection_->Receive(until);
    now = Clock::now();
    mutex_.Lock();
    Handle(frames, now);
    const bool stopping = stop(frames.ok() ? frames->size() : 0, now);
    last_driven_ = now;
    if (stopping || lost_) break;
    Transmit();
    alarm_->SetNoLaterThan(protocol_->NextWakeup());
  }
  connection_->ReleaseFrames();
  PassReader(now);
  Settle();
}

void Endpoint::PassReader(Instant now) {
  if (role_ == Role::kServer || async_.load(std::memory_order_relaxed) != 0) {
    reader_ = Reader::kWatching;
    if (!lost_) Watch(true);
    return;
  }
  reader_ = Reader::kNobody;
  while (parked_ != nullptr && !lost_) {
    BlockingOperation* const next = parked_;
    parked_ = next->next_parked_;
    uint32_t expected = BlockingOperation::kParked;
    if (next->state_.compare_exchange_strong(expected, BlockingOperation::kPromoted,
                                             std::memory_order_acq_rel)) {
      next->state_.notify_one();
      break;
    }
  }
  if (!lost_) alarm_->SetNoLaterThan(now + kReturnToLoop);
}

void Endpoint::Handle(const absl::StatusOr<absl::Span<const ReceivedFrame>>& frames, Instant now) {
  if (lost_) return;
  if (!frames.ok()) {
    Lose(frames.status(), now);
  } else {
    absl::Status status;
    if (!frames->empty()) {
      const size_t before = events_.size();
      status = protocol_->OnFrames(*frames, now, events_);
      if (dispatching_) {
        // Another thread will hand these on, when the frames may be gone.
        for (size_t i = before; i < events_.size(); ++i) events_[i].message.Own();
      }
    }
    if (status.ok() && now >= protocol_->NextWakeup()) status = protocol_->OnTime(now, events_);
    if (!status.ok()) Lose(status, now);
  }
  if (!dispatching_) Dispatch();
}

void Endpoint::Dispatch() {
  dispatching_ = true;
  while (!events_.empty()) {
    batch_.swap(events_);
    mutex_.Unlock();
    {
      const Endpoint* const outer = std::exchange(dispatching, this);
      const ScopedCallScope no_scope(nullptr);
      for (protocol::Event& event : batch_) static_cast<CallSink*>(event.tag)->OnEvent(event);
      batch_.clear();
      dispatching = outer;
    }
    mutex_.Lock();
  }
  dispatching_ = false;
}

void Endpoint::Settle() {
  if (dispatching_here() && dispatching_) {
    // The end of the batch sees to it all.
    mutex_.Unlock();
    return;
  }
  const Instant wakeup = protocol_->NextWakeup();
  Transmit();
  if (!events_.empty() && !dispatching_ && !dispatch_posted_) {
    dispatch_posted_ = true;
    loop_.Post([self = shared_from_this()]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      self->mutex_.Lock();
      self->dispatch_posted_ = false;
      if (!self->dispatching_) self->Dispatch();
      self->Settle();
    });
  }
  if (protocol_->peer_is_draining()) retired_.store(true, std::memory_order_relaxed);
  if (reader_ == Reader::kNobody && async_.load(std::memory_order_relaxed) != 0 && !lost_) {
    reader_ = Reader::kWatching;
    Watch(true);
  }
  mutex_.Unlock();
  alarm_->SetNoLaterThan(wakeup);
}

void Endpoint::Transmit() {
  if (transmitting_ || lost_) return;
  for (;;) {
    if (protocol_->wants_pump()) protocol_->Pump(Clock::now(), events_);
    if (!connection_->Publish()) return;
    transmitting_ = true;
    mutex_.Unlock();
    const absl::Status status = connection_->Transmit();
    mutex_.Lock();
    // After a failure nothing is sent any more. What the peer sent before it went is still to be read, and then the
    // reader meets the end: make sure that there is one.
    if (!status.ok()) {
      if (reader_ == Reader::kNobody && !lost_) {
        reader_ = Reader::kWatching;
        Watch(true);
      }
      return;
    }
    transmitting_ = false;
  }
}

void Endpoint::OnWritable() {
  const std::shared_ptr<Endpoint> self = weak_from_this().lock();
  if (self == nullptr) return;
  mutex_.Lock();
  if (!lost_ && protocol_->wants_pump()) protocol_->Pump(Clock::now(), events_);
  Settle();
}

void Endpoint::OnAlarm(Instant now) {
  const std::shared_ptr<Endpoint> self = weak_from_this().lock();
  if (self == nullptr) return;
  mutex_.Lock();
  if (!lost_ && now >= protocol_->NextWakeup()) {
    const absl::Status status = protocol_->OnTime(now, events_);
    if (!status.ok()) Lose(status, now);
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
  // What the machine still has to say, its reason for instance.
  if (protocol_->wants_pump()) protocol_->Pump(now, events_);
  if (!transmitting_ && connection_->Publish()) {
    transmitting_ = true;
    mutex_.Unlock();
    (void)connection_->Transmit();
    mutex_.Lock();
    transmitting_ = false;
    if (lost_) return;
  }
  lost_ = true;
  retired_.store(true, std::memory_order_relaxed);
  protocol_->OnConnectionLost(why, events_);
  Watch(false);
  connection_->Abort();
  loop_.Post([self = shared_from_this(), why]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    self->mutex_.Lock();
    if (!self->dispatching_) self->Dispatch();
    auto on_lost = std::move(self->on_lost_);
    self->on_lost_ = nullptr;
    self->Settle();
    if (on_lost) on_lost(why);
  });
}

void Endpoint::Close(const absl::Status& why) {
  mutex_.Lock();
  Lose(why, Clock::now());
  Settle();
}

}  // namespace anywire
