// A thread with a kj event loop on our own event port: descriptors, alarms and posted functions as
// plain callbacks, and kj promises for everything that is not hot.
//
// kj's stock UnixEventPort allocates per readiness wait and rounds timers up to a millisecond; this
// one calls a watcher directly, level-triggered, and sleeps with nanosecond timeouts. kj promises
// made on the loop's thread run as usual.
#ifndef ANYWIRE_TRANSPORTS_EVENT_LOOP_H_
#define ANYWIRE_TRANSPORTS_EVENT_LOOP_H_

#include <kj/async.h>
#include <kj/timer.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/attributes.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "anywire/spin.h"

namespace anywire {

using Instant = std::chrono::steady_clock::time_point;

class EventLoop {
 public:
  // Starts the thread. `name` shows in debuggers (at most 15 characters). With `spin`, which
  // outlives the loop, it polls for a while before it sleeps where that has lately been worth it.
  // Throws std::system_error, and leaves nothing behind, when the system has no more threads.
  explicit EventLoop(std::string name, SpinLimit* spin = nullptr);
  // Stops and joins the thread. Posted functions that have not run are destroyed unrun on the
  // loop's thread, as are promises still detached on it. Watches and alarms must be gone, or go by
  // that or by their owners on other threads: it waits for the last alarm (and aborts after 30 s).
  // Not to be called on the loop's own thread.
  ~EventLoop();
  // ANY THREAD. Has the thread begin to end as the destructor does, which then only joins it. Where
  // promises of one loop keep what has alarms on another, all are stopped before the first is
  // destroyed.
  void Stop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Whether the calling thread is this loop's.
  bool IsCurrent() const;
  // The loop whose thread is calling, or null.
  static EventLoop* Current();

  // ANY THREAD. Runs `function` on the loop's thread, in order of posting. The function must not
  // throw.
  void Post(absl::AnyInvocable<void()> function);
  // Posts and waits until it has run and is gone. False: the loop stopped first, and it was
  // destroyed unrun. Not on the loop's own thread.
  bool RunAndWait(absl::AnyInvocable<void()> function);

  // A watched descriptor. Embed it in the object that owns the descriptor.
  class Watch {
   public:
    virtual ~Watch() = default;
    // On the loop's thread, with the epoll(7) events that hold. May add, change and remove any
    // watch, its own too.
    virtual void OnReady(uint32_t events) = 0;

   private:
    friend class EventLoop;
    std::atomic<uint32_t> events_{0};  // as asked for; what the kernel reports beyond it is dropped
  };
  // ANY THREAD, one at a time for one watch. `events` are EPOLLIN, EPOLLOUT, 0 (EPOLLERR and
  // EPOLLHUP always come unless `events` is 0: then the descriptor is known but wholly silent).
  // Level-triggered. Add fails with RESOURCE_EXHAUSTED when the kernel says so; then the watch
  // counts as not added. A change holds at once, except that one OnReady already on its way may
  // still come.
  absl::Status AddWatch(int fd, uint32_t events, Watch& watch);
  void ChangeWatch(int fd, uint32_t events, Watch& watch);
  // LOOP'S THREAD, before the descriptor is closed. After it no OnReady comes, not even of events
  // already fetched.
  void RemoveWatch(int fd, Watch& watch);

  // One settable point in time. Embed it; destroy it on the loop's thread.
  class Alarm {
   public:
    explicit Alarm(EventLoop& loop);
    virtual ~Alarm();
    // ANY THREAD. Moves the alarm to `when` (Instant::max(): off), waking the loop only when it
    // would sleep longer. Without a lock when `when` is later than what is set already.
    void Set(Instant when);
    // ANY THREAD. Sets it to the earlier of `when` and its present time. One atomic load when that
    // changes nothing.
    void SetNoLaterThan(Instant when) {
      const int64_t at = Nanoseconds(when);
      if (at < when_.load(std::memory_order_relaxed)) MoveForward(at);
    }
    // Whose it is.
    EventLoop& loop() const { return loop_; }
    // On the loop's thread, at or soon after the time; the alarm is off then and may be set again.
    virtual void OnAlarm(Instant now) = 0;

   private:
    friend class EventLoop;
    static constexpr int64_t kNever = INT64_MAX;
    static int64_t Nanoseconds(Instant when) {
      return std::chrono::nanoseconds(when.time_since_epoch()).count();
    }
    ABSL_ATTRIBUTE_NOINLINE void MoveForward(int64_t when);

    struct State;
    // What has been asked for. May be moved to a later time, or to kNever, without the loop's lock.
    std::atomic<int64_t> when_{kNever};
    EventLoop& loop_;
    std::unique_ptr<State> state_;
  };

  // LOOP'S THREAD. kj's timer for promises on this loop.
  kj::Timer& timer();
  // LOOP'S THREAD. Keeps `promise` running; failures are logged with `what`.
  void Detach(kj::Promise<void> promise, const char* what);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_EVENT_LOOP_H_
