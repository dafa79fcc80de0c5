// The reader's role: who receives, and how the role changes hands.
#include <algorithm>
#include <chrono>
#include <utility>

#include "anywire/futex.h"
#include "runtime/endpoint/endpoint.h"

namespace anywire {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A connection gets a driver after this many single requests, none later than this after the one
// before ...
constexpr int kDedicateAfter = 32;
constexpr auto kDedicateGap = milliseconds(1);
// ... and keeps it until it has been silent for this long.
constexpr auto kDedicatedLinger = milliseconds(50);

}  // namespace

// A server may answer on the thread of a client in its own process, if that waits for the answer
// anyway. Everything else is for the loop, and not inside of anything: neither handlers nor
// callbacks run inside the calls that caused them, whose callers may hold locks.
bool Endpoint::MayReceiveHere() const {
  if (this_thread_.depth == 0 && loop_.IsCurrent()) return true;
  return role_ == Role::kServer && this_thread_.borrowed && this_thread_.dispatching == nullptr;
}

void Endpoint::OnReadable() {
  const std::shared_ptr<Endpoint> self = weak_from_this().lock();
  if (self == nullptr) return;
  if (!MayReceiveHere()) {
    if (readable_posted_.exchange(true, std::memory_order_acq_rel)) return;
    loop_.Post([self] {
      self->readable_posted_.store(false, std::memory_order_release);
      self->OnReadable();
    });
    return;
  }
  mutex_.Lock();
  if (reader_ != Reader::kWatching || lost_) {
    mutex_.Unlock();
    return;
  }
  reader_ = Reader::kThread;
  bool dedicate = false;
  Drive([] { return Instant::min(); },
        [this, &dedicate](size_t frames, Instant now) ABSL_NO_THREAD_SAFETY_ANALYSIS {
          dedicate = ShouldDedicate(frames, now);
          return true;
        });
  Settle();
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
  if (reader_ == Reader::kWatching && !lost_) {
    Watch(false);
    reader_ = Reader::kThread;
    last_driven_ = Clock::now();
    Drive([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return last_driven_ + kDedicatedLinger; },
          [](size_t frames, Instant) { return frames == 0; });
  }
  Settle();
}

void Endpoint::Await(BlockingOperation& operation, bool cancellable) {
  const ScopedBorrow borrow;
  if (operation.done()) return;
  mutex_.Lock();
  AwaitLocked(operation, cancellable, Clock::now());
  Settle();
}

void Endpoint::AwaitLocked(BlockingOperation& operation, bool cancellable, Instant now) {
  while (!operation.done()) {
    if (!events_.empty() && !dispatching_) {
      Dispatch();
      continue;
    }
    // Whether this thread is about to block for something or to leave the role to somebody: what
    // the frames it has read gave cause to send must not wait for that.
    if (MayTransmit()) {
      Transmit(&operation, now);
      continue;
    }
    if (MayRead()) {
      Watch(false);
      reader_ = Reader::kThread;
      Drive(
          [this, cancellable]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
            const Instant wakeup = protocol_->NextWakeup();
            return cancellable ? std::min(wakeup, Clock::now() + kLookUp) : wakeup;
          },
          [this, &operation](size_t, Instant) {
            return operation.done() || async_.load(std::memory_order_relaxed) != 0;
          });
      now = last_driven_;
      continue;
    }
    // Somebody else reads or dispatches: that thread completes the operation, or wakes this one to
    // take the role. It may not know of the operation's deadline, but the loop does.
    alarm_->SetNoLaterThan(protocol_->NextWakeup());
    Park(operation);
    now = Clock::now();
  }
}

void Endpoint::AwaitRoom(BlockingOperation& operation) {
  const ScopedBorrow borrow;
  if (operation.done()) return;
  mutex_.Lock();
  while (!operation.done()) {
    if (!events_.empty() && !dispatching_) {
      Dispatch();
      continue;
    }
    if (MayTransmit()) {
      Transmit(&operation, Clock::now());
      continue;
    }
    if (awaiting_room_) break;  // another thread waits in it, and reads nothing meanwhile
    if (transmitting_ || !MayRead()) {
      // Another thread is at it, which completes the operation or wakes this one.
      alarm_->SetNoLaterThan(protocol_->NextWakeup());
      Park(operation);
      continue;
    }
    if (protocol_->wants_pump()) break;  // the transport is full still
    // All that may be sent has been: what gives leave for more is still to come.
    Watch(false);
    reader_ = Reader::kThread;
    Drive(
        [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
          return std::min(protocol_->NextWakeup(), Clock::now() + kLookUp);
        },
        [this, &operation](size_t, Instant) ABSL_NO_THREAD_SAFETY_ANALYSIS {
          // (unsent_: by another thread perhaps, which then completes the operation as well.)
          return operation.done() || async_.load(std::memory_order_relaxed) != 0 || unsent_;
        });
  }
  if (operation.done()) return Settle();
  BeginAsync();
  Settle();
  operation.Wait();
  EndAsync();
}

void Endpoint::Park(BlockingOperation& operation) {
  using State = BlockingOperation::State;
  uint32_t expected = State::kPending;
  if (!operation.state_.compare_exchange_strong(expected, State::kParked,
                                                std::memory_order_acq_rel)) {
    return;  // done
  }
  operation.next_parked_ = std::exchange(parked_, &operation);
  mutex_.Unlock();
  operation.SleepWhileParked();
  mutex_.Lock();
  for (BlockingOperation** link = &parked_; *link != nullptr; link = &(*link)->next_parked_) {
    if (*link != &operation) continue;
    *link = operation.next_parked_;
    break;
  }
  if (promoted_ == &operation) promoted_ = nullptr;
  expected = State::kPromoted;
  operation.state_.compare_exchange_strong(expected, State::kPending, std::memory_order_acq_rel);
}

void Endpoint::Promote() {
  if (reader_ != Reader::kNobody || dispatching_ || promoted_ != nullptr) return;
  while (parked_ != nullptr && promoted_ == nullptr) {
    BlockingOperation* const next = std::exchange(parked_, parked_->next_parked_);
    uint32_t expected = BlockingOperation::kParked;
    if (next->state_.compare_exchange_strong(expected, BlockingOperation::kPromoted,
                                             std::memory_order_acq_rel)) {
      promoted_ = next;
      FutexWakeOne(&next->state_);
    }
  }
}

void Endpoint::PassReader(Instant now) {
  // A loop that is watching already keeps the role until a thread comes for it.
  const bool to_loop =
      role_ == Role::kServer || watched_ || async_.load(std::memory_order_relaxed) != 0;
  reader_ = to_loop ? Reader::kWatching : Reader::kNobody;
  if (lost_) return;
  if (to_loop) {
    Watch(true);
  } else {
    if (parked_ != nullptr) Promote();
    alarm_->SetNoLaterThan(now + kReturnToLoop);
  }
}

absl::StatusOr<absl::Span<const ReceivedFrame>> Endpoint::PollAndReceive(Instant wait_until) {
  constexpr Instant kDoNotWait{};
  const std::chrono::nanoseconds spin = spin_.Take();
  if (spin.count() > 0 && spin_limit_->TryBegin()) {
    const Instant end = std::min(wait_until, Clock::now() + spin);
    bool waited = false;
    do {
      absl::StatusOr<absl::Span<const ReceivedFrame>> frames = connection_->Receive(kDoNotWait);
      if (!frames.ok() || !frames->empty()) {
        spin_limit_->End();
        // What was there already says nothing of how long to wait for what is not: a peer on this
        // core has it ready when this thread runs at all.
        if (waited) spin_.Hit();
        return frames;
      }
      waited = true;
    } while (Clock::now() < end);
    spin_limit_->End();
    spin_.Missed();
  } else if (spin.count() == 0) {
    const Instant begin = Clock::now();
    absl::StatusOr<absl::Span<const ReceivedFrame>> frames = connection_->Receive(wait_until);
    spin_.Slept(Clock::now() - begin);
    return frames;
  }
  return connection_->Receive(wait_until);
}

template <typename WaitUntil, typename Stop>
void Endpoint::Drive(WaitUntil wait_until, Stop stop) {
  for (;;) {
    const Instant until = wait_until();
    mutex_.Unlock();
    const absl::StatusOr<absl::Span<const ReceivedFrame>> frames = Receive(until);
    const Instant now = Clock::now();
    mutex_.Lock();
    Handle(frames, now);
    const size_t count = frames.ok() ? frames->size() : 0;
    const bool stopping = stop(count, now);
    last_driven_ = now;
    if (stopping || lost_ || dispatching_) break;
    TransmitAndDispatch();
    alarm_->SetNoLaterThan(protocol_->NextWakeup());
    if (stop(count, now) || lost_ || dispatching_) break;
  }
  connection_->ReleaseFrames();
  PassReader(last_driven_);
}

void Endpoint::Handle(const absl::StatusOr<absl::Span<const ReceivedFrame>>& frames, Instant now) {
  if (lost_) return;
  // Claimed before there are events with views of the frames, which nobody else may hand on: the
  // lock is not held throughout.
  const bool claimed = !std::exchange(dispatching_, true);
  const absl::Status status = frames.ok() ? Read(*frames, now, claimed) : frames.status();
  if (!status.ok()) Lose(status, now);
  if (claimed) Dispatch();
}

absl::Status Endpoint::Read(absl::Span<const ReceivedFrame> frames, Instant now, bool claimed) {
  if (frames.empty()) return ReadNothing(now);
  const size_t before = events_.size();
  absl::Status status = protocol_->OnFrames(frames, now, events_);
  unsent_ = unsent_ || protocol_->wants_pump();
  if (!claimed) {
    // Another thread will hand these on, when the frames may be gone.
    for (size_t i = before; i < events_.size(); ++i) events_[i].message.Own();
  }
  if (protocol_->peer_is_draining()) retired_.store(true, std::memory_order_relaxed);
  return status;
}

absl::Status Endpoint::ReadNothing(Instant now) {
  if (now < protocol_->NextWakeup()) return absl::OkStatus();
  unsent_ = true;
  return protocol_->OnTime(now, events_);
}

}  // namespace anywire
