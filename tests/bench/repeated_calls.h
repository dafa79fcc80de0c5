// The calls that a load makes without waiting: as many as ever, a given number, or one when it is
// due.
#ifndef ANYWIRE_TESTS_BENCH_REPEATED_CALLS_H_
#define ANYWIRE_TESTS_BENCH_REPEATED_CALLS_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "absl/synchronization/notification.h"
#include "tests/bench/histogram.h"
#include "tests/bench/system.h"

namespace anywire::bench {

using Instant = std::chrono::steady_clock::time_point;

inline uint64_t Nanoseconds(std::chrono::steady_clock::duration time) {
  return static_cast<uint64_t>(std::chrono::nanoseconds(time).count());
}

// ---- again and again

enum class Phase { kWarmUp, kMeasured, kOver };

// What the calls in flight share.
struct Flight {
  std::atomic<Phase> phase{Phase::kWarmUp};
  std::atomic<size_t> running{0};
  Histogram* latencies = nullptr;
  const EchoMessage* request = nullptr;
  const EchoMessage* slow_request = nullptr;
  uint64_t slow_every = 0;  // 0: none is
};

class CallInFlight final : public RepeatedCall {
 public:
  // A clock is read for the calls of those that are timed.
  CallInFlight(Flight& flight, size_t index, bool timed)
      : flight_(flight),
        timed_(timed),
        made_(index * 13),
        started_(std::chrono::steady_clock::now()) {
    slow_ = NextIsSlow();
  }
  const EchoMessage& request() const override {
    return slow_ ? *flight_.slow_request : *flight_.request;
  }
  bool OnReply() override {
    const Phase phase = flight_.phase.load(std::memory_order_relaxed);
    if (timed_) {
      const Instant now = std::chrono::steady_clock::now();
      if (phase == Phase::kMeasured && !slow_) {
        flight_.latencies->Record(Nanoseconds(now - started_));
      }
      started_ = now;
    }
    if (phase == Phase::kMeasured) {
      calls_.store(calls_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    if (phase == Phase::kOver) {
      flight_.running.fetch_sub(1, std::memory_order_release);
      return false;
    }
    slow_ = NextIsSlow();
    return true;
  }
  // Any thread.
  uint64_t calls() const { return calls_.load(std::memory_order_relaxed); }

 private:
  bool NextIsSlow() { return flight_.slow_every > 0 && ++made_ % flight_.slow_every == 0; }

  Flight& flight_;
  const bool timed_;
  uint64_t made_;
  std::atomic<uint64_t> calls_{0};
  bool slow_ = false;
  Instant started_;
};

// ---- when it is due

class DueCall final : public RepeatedCall {
 public:
  DueCall(const EchoMessage& request, Histogram& latencies)
      : request_(request), latencies_(latencies) {}
  bool busy() const { return busy_.load(std::memory_order_acquire); }
  void Begin(Instant due, bool measured) {
    due_ = due;
    measured_ = measured;
    busy_.store(true, std::memory_order_relaxed);
  }
  const EchoMessage& request() const override { return request_; }
  bool OnReply() override {
    if (measured_) latencies_.Record(Nanoseconds(std::chrono::steady_clock::now() - due_));
    busy_.store(false, std::memory_order_release);
    return false;
  }

 private:
  const EchoMessage& request_;
  Histogram& latencies_;
  Instant due_;
  bool measured_ = false;
  std::atomic<bool> busy_{false};
};

// ---- counted

// Exactly so many calls, one at a time.
// `calls` in all, so many at a time as there are of these.
class CountedCall final : public RepeatedCall {
 public:
  // What those share; it outlives them.
  struct Count {
    Count(size_t at_a_time, uint64_t calls)
        : unbegun(static_cast<int64_t>(calls - at_a_time)), running(at_a_time) {}
    std::atomic<int64_t> unbegun;
    std::atomic<size_t> running;
    absl::Notification ended;
  };
  CountedCall(const EchoMessage& request, Count& count) : request_(request), count_(count) {}
  const EchoMessage& request() const override { return request_; }
  bool OnReply() override {
    if (count_.unbegun.fetch_sub(1, std::memory_order_relaxed) > 0) return true;
    if (count_.running.fetch_sub(1, std::memory_order_acq_rel) == 1) count_.ended.Notify();
    return false;
  }

 private:
  const EchoMessage& request_;
  Count& count_;
};

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_REPEATED_CALLS_H_
