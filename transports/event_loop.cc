#include "anywire/event_loop.h"

#include <errno.h>
#include <kj/io.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_set.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "anywire/mutex.h"
#include "anywire/signals_blocked.h"

namespace anywire {
namespace {

// Between how many kj events in a row the descriptors are looked at, so that a busy promise chain
// does not starve them.
constexpr unsigned kEventsBetweenPolls = 32;
constexpr int kEventsPerFetch = 64;
// An alarm that is there when its loop goes has this long to go too; see Run.
constexpr std::chrono::seconds kLongestWaitForAlarms(30);
// Silent, and yet known to the kernel: without EPOLLET it would report EPOLLHUP for ever.
constexpr uint32_t kSilent = EPOLLET;

thread_local EventLoop* current_loop = nullptr;

int64_t Nanoseconds(Instant when) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count();
}

using Clock = std::chrono::steady_clock;

constexpr int64_t kNever = INT64_MAX;

kj::TimePoint ToKj(Instant when) {
  return kj::origin<kj::TimePoint>() + Nanoseconds(when) * kj::NANOSECONDS;
}

int64_t FromKj(kj::TimePoint when) {
  return (when - kj::origin<kj::TimePoint>()) / kj::NANOSECONDS;
}

// For what can only fail by a mistake of ours, or where a program without descriptors cannot go on.
[[noreturn]] void Die(const char* what, const char* why) {
  std::fprintf(stderr, "anywire: event loop: %s: %s\n", what, why);
  std::abort();
}

int OrDie(int result, const char* what) {
  if (result < 0) Die(what, strerrordesc_np(errno));
  return result;
}

// Waits with nanosecond timeouts (negative: without limit), on old kernels by a second system call.
int EpollWait(int epoll_fd, epoll_event* events, int capacity, int64_t timeout_ns) {
  static std::atomic<bool> have_pwait2{true};
  if (timeout_ns == 0) return epoll_wait(epoll_fd, events, capacity, 0);
  if (timeout_ns < 0) return epoll_wait(epoll_fd, events, capacity, -1);
  timespec timeout;
  timeout.tv_sec = timeout_ns / 1'000'000'000;
  timeout.tv_nsec = timeout_ns % 1'000'000'000;
  if (have_pwait2.load(std::memory_order_relaxed)) {
    int count = epoll_pwait2(epoll_fd, events, capacity, &timeout, nullptr);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
    have_pwait2.store(false, std::memory_order_relaxed);
  }
  pollfd readable = {epoll_fd, POLLIN, 0};
  int ready = ppoll(&readable, 1, &timeout, nullptr);
  return ready > 0 ? epoll_wait(epoll_fd, events, capacity, 0) : ready;
}

}  // namespace

// The queue has the alarm at `queued_at`, which is never later than its when_ unless that is past
// or kNever; the loop looks at when_ once that time has come.
struct EventLoop::Alarm::State {
  explicit State(Alarm* alarm) : alarm(alarm) {}

  Alarm* const alarm;
  bool queued = false;         // guarded by Impl::mutex_
  int64_t queued_at = kNever;  // guarded by Impl::mutex_
};

class EventLoop::Impl final : public kj::EventPort, private kj::TaskSet::ErrorHandler {
 public:
  Impl(EventLoop& owner, std::string name, SpinLimit* spin)
      : owner_(owner),
        spin_limit_(spin),
        may_poll_(spin != nullptr && spin->max().count() > 0),
        spin_(may_poll_ ? spin->max() : std::chrono::nanoseconds(0)),
        epoll_fd_(OrDie(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
        wake_fd_(OrDie(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")),
        timer_(ToKj(Clock::now())) {
    // Edge-triggered, so that it need never be read.
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLET;
    OrDie(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event), "epoll_ctl");

    {
      const SignalsBlocked blocked;
      thread_ = std::thread([this, name = std::move(name)]() noexcept {
        pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
        Run();
      });
    }
    started_.WaitForNotification();
  }

  ~Impl() {
    Stop();
    thread_.join();
  }

  void Stop() {
    Post([this] { stop_->fulfill(); });
  }

  void Post(absl::AnyInvocable<void()> function) ABSL_LOCKS_EXCLUDED(mutex_) {
    // All under the lock: once the function is seen, it may be the last thing that kept this loop.
    MutexLock lock(&mutex_);
    posted_.push_back(std::move(function));
    called_.store(true, std::memory_order_relaxed);
    if (StopSleeping()) Kick();
    if (stopping_) ending_.notify_all();
  }

  absl::Status AddWatch(int fd, uint32_t events, Watch& watch) {
    watch.events_.store(events, std::memory_order_relaxed);
    epoll_event event = {};
    event.events = events == 0 ? kSilent : events;
    event.data.ptr = &watch;
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot watch a descriptor: ", strerrordesc_np(errno)));
  }

  void ChangeWatch(int fd, uint32_t events, Watch& watch) {
    watch.events_.store(events, std::memory_order_relaxed);
    epoll_event event = {};
    event.events = events == 0 ? kSilent : events;
    event.data.ptr = &watch;
    OrDie(epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event), "ChangeWatch");
  }

  void RemoveWatch(int fd, Watch& watch) {
    epoll_event event = {};
    OrDie(epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, &event), "RemoveWatch");
    for (int i = dispatched_; i < fetched_; ++i) {
      if (events_[i].data.ptr == &watch) events_[i].data.ptr = nullptr;
    }
  }

  void SetAlarm(Alarm::State& state, int64_t when) ABSL_LOCKS_EXCLUDED(mutex_) {
    int64_t present = state.alarm->when_.load(std::memory_order_relaxed);
    while (present != kNever && when >= present) {
      if (state.alarm->when_.compare_exchange_weak(present, when, std::memory_order_relaxed))
        return;
    }
    if (when == kNever) return;  // and present is kNever too
    bool wake;
    {
      MutexLock lock(&mutex_);
      state.alarm->when_.store(when, std::memory_order_relaxed);
      wake = Enqueue(state, when);
    }
    if (wake) Kick();
  }

  void SetAlarmNoLaterThan(Alarm::State& state, int64_t when) ABSL_LOCKS_EXCLUDED(mutex_) {
    bool wake;
    {
      MutexLock lock(&mutex_);
      int64_t present = state.alarm->when_.load(std::memory_order_relaxed);
      do {
        if (when >= present) return;
      } while (!state.alarm->when_.compare_exchange_weak(present, when, std::memory_order_relaxed));
      wake = Enqueue(state, when);
    }
    if (wake) Kick();
  }

  void AddAlarm() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    ++alarm_count_;
  }

  void ForgetAlarm(Alarm::State& state) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    if (state.queued) alarms_.erase({state.queued_at, &state});
    --alarm_count_;
    if (stopping_) ending_.notify_all();
  }

  kj::Timer& timer() { return timer_; }
  void Detach(kj::Promise<void> promise, const char* what) {
    if (tasks_ == nullptr) return;
    // The error handler is told no name, so it is said here.
    tasks_->add(promise.catch_([what](kj::Exception&& failure) {
      std::fprintf(stderr, "anywire: %s: %s\n", what, failure.getDescription().cStr());
    }));
  }

  // kj::EventPort
  bool wait() override { return Turn(/*may_wait=*/true); }
  bool poll() override { return Turn(/*may_wait=*/false); }
  void wake() const override {
    bool wake;
    {
      MutexLock lock(&mutex_);
      kj_woken_ = true;
      called_.store(true, std::memory_order_relaxed);
      wake = StopSleeping();
    }
    if (wake) Kick();
  }

 private:
  using Queue = absl::btree_set<std::pair<int64_t, Alarm::State*>>;

  void Run() {
    current_loop = &owner_;
    kj::EventLoop loop(*this);
    kj::WaitScope scope(loop);
    scope.setBusyPollInterval(kEventsBetweenPolls);
    tasks_ = std::make_unique<kj::TaskSet>(static_cast<kj::TaskSet::ErrorHandler&>(*this));
    auto stop = kj::newPromiseAndFulfiller<void>();
    stop_ = std::move(stop.fulfiller);
    started_.Notify();
    stop.promise.wait(scope);

    // What is destroyed here may post again. And whatever lives on this loop has an alarm: its last
    // owner, on another thread, may be about to post its destruction.
    tasks_ = nullptr;
    for (;;) {
      std::vector<absl::AnyInvocable<void()>> unrun;
      {
        MutexLock lock(&mutex_);
        stopping_ = true;
        const bool in_time = WaitForTheLast(Clock::now() + kLongestWaitForAlarms);
        if (!in_time) Die("~EventLoop", "an alarm outlives its loop");
        if (posted_.empty()) break;
        unrun.swap(posted_);
      }
    }
    stop_ = nullptr;
    current_loop = nullptr;
  }

  // Waits until something has been posted or no alarm is left; false when it takes too long.
  bool WaitForTheLast(Instant deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    bool in_time = true;
    while (in_time && posted_.empty() && alarm_count_ != 0) {
      in_time = ending_.wait_until(mutex_, deadline) == std::cv_status::no_timeout;
    }
    return in_time;
  }

  void taskFailed(kj::Exception&& failure) override {
    std::fprintf(stderr, "anywire: %s\n", failure.getDescription().cStr());
  }

  // One round: wait until there is something, then deal with all of it once.
  bool Turn(bool may_wait) ABSL_LOCKS_EXCLUDED(mutex_) {
    const int count = may_wait ? Wait() : Fetch(0);
    const Instant now = Clock::now();
    bool kj_woken;
    {
      MutexLock lock(&mutex_);
      sleeping_ = false;
      sleeps_until_ = kNever;
      kj_woken = std::exchange(kj_woken_, false);
      running_.swap(posted_);
    }
    timer_.advanceTo(ToKj(now));

    fetched_ = count;
    for (dispatched_ = 0; dispatched_ < fetched_;) {
      const epoll_event& event = events_[dispatched_++];
      if (event.data.ptr == nullptr) continue;  // the eventfd, or removed meanwhile
      Watch& watch = *static_cast<Watch*>(event.data.ptr);
      const uint32_t wanted = watch.events_.load(std::memory_order_relaxed);
      if (wanted == 0) continue;
      const uint32_t ready = event.events & (wanted | EPOLLERR | EPOLLHUP);
      if (ready != 0) watch.OnReady(ready);
    }
    fetched_ = dispatched_ = 0;

    for (absl::AnyInvocable<void()>& function : running_) {
      function();
      function = nullptr;  // what it captured ends with it, not with the last of the batch
    }
    running_.clear();
    FireAlarms(now);
    return kj_woken;
  }

  // Waits until there are descriptors that are ready, or something else for Turn to do: polls
  // first, where that is worth it, then sleeps. Returns how many of events_ it has fetched.
  int Wait() ABSL_LOCKS_EXCLUDED(mutex_) {
    const std::chrono::nanoseconds spin = spin_.Take();
    if (spin.count() > 0) {
      const int64_t timeout = PrepareToWait(/*to_sleep=*/false);
      if (timeout == 0) return Fetch(0);
      const int count = Poll(spin, timeout);
      if (count != 0) return count;
    }
    const int64_t timeout = PrepareToWait(/*to_sleep=*/true);
    if (spin.count() > 0 || !may_poll_ || timeout == 0) return Fetch(timeout);
    const Instant begin = Clock::now();
    const int count = Fetch(timeout);
    spin_.Slept(Clock::now() - begin);
    return count;
  }

  // For `spin`, and no longer than `timeout_ns` (negative: without limit). Returns how many events
  // it has fetched; 0 also when Turn has been called for something else.
  int Poll(std::chrono::nanoseconds spin, int64_t timeout_ns) {
    if (!spin_limit_->TryBegin()) return 0;
    const bool cut_short = timeout_ns >= 0 && timeout_ns < spin.count();
    const Instant end = Clock::now() + (cut_short ? std::chrono::nanoseconds(timeout_ns) : spin);
    int count = 0;
    bool found = false;
    for (bool waited = false;; waited = true) {
      count = Fetch(0);
      found = count != 0 || called_.load(std::memory_order_relaxed);
      // What was there already says nothing of how long to wait for what is not.
      if (found && waited) spin_.Hit();
      if (found || Clock::now() >= end) break;
    }
    if (!found && !cut_short) spin_.Missed();
    spin_limit_->End();
    return count;
  }

  // How long a wait may take, in nanoseconds; negative: without limit.
  int64_t PrepareToWait(bool to_sleep) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    if (!posted_.empty() || kj_woken_) return 0;
    called_.store(false, std::memory_order_relaxed);
    const int64_t timeout = TimeToSleep();
    sleeping_ = to_sleep && timeout != 0;
    return timeout;
  }

  int Fetch(int64_t timeout_ns) {
    const int count = EpollWait(epoll_fd_, events_, kEventsPerFetch, timeout_ns);
    if (count < 0 && errno != EINTR) Die("epoll_wait", strerrordesc_np(errno));
    return std::max(count, 0);
  }

  // Nanoseconds; negative: without limit. Notes what it found in sleeps_until_.
  int64_t TimeToSleep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    sleeps_until_ = alarms_.empty() ? kNever : alarms_.begin()->first;
    KJ_IF_MAYBE (next, timer_.nextEvent()) {
      sleeps_until_ = std::min<int64_t>(sleeps_until_, FromKj(*next));
    }
    if (sleeps_until_ == kNever) return -1;
    return std::max<int64_t>(0, sleeps_until_ - Nanoseconds(Clock::now()));
  }

  void FireAlarms(Instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    const int64_t now_ns = Nanoseconds(now);
    mutex_.Lock();
    // An alarm that is set again to a time that is past waits for the next round, behind all that
    // are due now: else one that does so every time would keep the others from their turn.
    earliest_ = now_ns + 1;
    // Alarms may go while one is called.
    for (size_t left = alarms_.size();
         left > 0 && !alarms_.empty() && alarms_.begin()->first <= now_ns; --left) {
      Alarm::State& state = *alarms_.begin()->second;
      alarms_.erase(alarms_.begin());
      state.queued = false;
      int64_t when = state.alarm->when_.load(std::memory_order_relaxed);
      while (when <= now_ns &&
             !state.alarm->when_.compare_exchange_weak(when, kNever, std::memory_order_relaxed)) {
      }
      if (when == kNever) continue;
      if (when > now_ns) {
        Enqueue(state, when);
        continue;
      }
      mutex_.Unlock();
      state.alarm->OnAlarm(now);  // may destroy any alarm
      mutex_.Lock();
    }
    mutex_.Unlock();
  }

  // Returns whether the loop has to be woken.
  bool Enqueue(Alarm::State& state, int64_t when) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    when = std::max(when, earliest_);
    if (state.queued) {
      if (state.queued_at <= when) return false;
      alarms_.erase({state.queued_at, &state});
    }
    state.queued = true;
    state.queued_at = when;
    alarms_.insert({when, &state});
    if (when >= sleeps_until_) return false;
    called_.store(true, std::memory_order_relaxed);
    return StopSleeping();
  }

  // Returns whether the caller has to Kick once it has left the lock.
  bool StopSleeping() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return std::exchange(sleeping_, false);
  }

  void Kick() const {
    const uint64_t one = 1;
    OrDie(static_cast<int>(write(wake_fd_, &one, sizeof(one))), "write to eventfd");
  }

  EventLoop& owner_;
  SpinLimit* const spin_limit_;  // null: does not poll
  const bool may_poll_;
  SpinBudget spin_;  // the loop's thread's
  const kj::AutoCloseFd epoll_fd_;
  const kj::AutoCloseFd wake_fd_;
  std::thread thread_;
  absl::Notification started_;

  // Something besides descriptors waits for the next Turn; for who polls, without the lock.
  mutable std::atomic<bool> called_{false};

  // The loop's thread alone.
  kj::TimerImpl timer_;
  std::unique_ptr<kj::TaskSet> tasks_;  // null once the loop ends
  kj::Own<kj::PromiseFulfiller<void>> stop_;
  epoll_event events_[kEventsPerFetch];
  std::vector<absl::AnyInvocable<void()>> running_;  // posted functions of this round
  int fetched_ = 0;  // of events_, those from dispatched_ on are yet to come
  int dispatched_ = 0;

  mutable Mutex mutex_;
  std::vector<absl::AnyInvocable<void()>> posted_ ABSL_GUARDED_BY(mutex_);
  Queue alarms_ ABSL_GUARDED_BY(mutex_);
  int64_t earliest_ ABSL_GUARDED_BY(mutex_) = 0;  // no alarm is queued before it
  std::condition_variable_any ending_;            // of posted_ and alarm_count_, once stopping_
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int alarm_count_ ABSL_GUARDED_BY(mutex_) = 0;  // that exist, set or not
  // In the kernel or on the way there, and nobody has written to the eventfd for this sleep.
  mutable bool sleeping_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t sleeps_until_ ABSL_GUARDED_BY(mutex_) = kNever;
  mutable bool kj_woken_ ABSL_GUARDED_BY(mutex_) = false;
};

EventLoop::EventLoop(std::string name, SpinLimit* spin)
    : impl_(std::make_unique<Impl>(*this, std::move(name), spin)) {}

EventLoop::~EventLoop() {
  if (IsCurrent()) Die("~EventLoop", "a loop cannot join itself");
}

void EventLoop::Stop() { impl_->Stop(); }

bool EventLoop::IsCurrent() const { return current_loop == this; }

EventLoop* EventLoop::Current() { return current_loop; }

void EventLoop::Post(absl::AnyInvocable<void()> function) { impl_->Post(std::move(function)); }

bool EventLoop::RunAndWait(absl::AnyInvocable<void()> function) {
  if (IsCurrent()) Die("RunAndWait", "a loop cannot wait for itself");
  // Notifies with its end, whether it ran or not.
  struct Errand {
    ~Errand() {
      function = nullptr;
      done.Notify();
    }
    absl::AnyInvocable<void()> function;
    absl::Notification& done;
  };
  bool ran = false;
  absl::Notification done;
  impl_->Post(
      [&ran, errand = std::unique_ptr<Errand>(new Errand{std::move(function), done})]() mutable {
        errand->function();
        ran = true;
        errand = nullptr;
      });
  done.WaitForNotification();
  return ran;
}

absl::Status EventLoop::AddWatch(int fd, uint32_t events, Watch& watch) {
  return impl_->AddWatch(fd, events, watch);
}

void EventLoop::ChangeWatch(int fd, uint32_t events, Watch& watch) {
  impl_->ChangeWatch(fd, events, watch);
}

void EventLoop::RemoveWatch(int fd, Watch& watch) {
  if (!IsCurrent()) Die("RemoveWatch", "not on the loop's thread");
  impl_->RemoveWatch(fd, watch);
}

kj::Timer& EventLoop::timer() { return impl_->timer(); }

void EventLoop::Detach(kj::Promise<void> promise, const char* what) {
  impl_->Detach(kj::mv(promise), what);
}

EventLoop::Alarm::Alarm(EventLoop& loop) : loop_(loop), state_(std::make_unique<State>(this)) {
  loop_.impl_->AddAlarm();
}

EventLoop::Alarm::~Alarm() { loop_.impl_->ForgetAlarm(*state_); }

void EventLoop::Alarm::Set(Instant when) { loop_.impl_->SetAlarm(*state_, Nanoseconds(when)); }

void EventLoop::Alarm::MoveForward(int64_t when) {
  loop_.impl_->SetAlarmNoLaterThan(*state_, when);
}

}  // namespace anywire
