// What the connections of one FaultControl share: its switches, and the thread that brings their
// delayed upward calls.
#ifndef ANYWIRE_TESTS_SUPPORT_FAULT_CORE_H_
#define ANYWIRE_TESTS_SUPPORT_FAULT_CORE_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/fault_transport.h"

namespace anywire::test {

// What the core can do to a connection. Any thread.
class FaultTarget {
 public:
  // Its turn has come: look again at what waits.
  virtual void Wake() = 0;
  virtual void Cut() = 0;

 protected:
  ~FaultTarget() = default;
};

// A connection as the core knows it: usable until the connection begins to go.
class FaultLink {
 public:
  explicit FaultLink(FaultTarget& target) : target_(&target) {}
  // Runs `use` unless the connection is gone already, and keeps it alive meanwhile.
  template <typename Use>
  void With(Use use) ABSL_LOCKS_EXCLUDED(mutex_) {
    FaultTarget* target;
    {
      absl::MutexLock lock(&mutex_);
      if (target_ == nullptr) return;
      target = target_;
      ++users_;
    }
    use(*target);
    absl::MutexLock lock(&mutex_);
    --users_;
  }
  // Waits for those who use it now.
  void Detach() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    target_ = nullptr;
    const auto unused = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return users_ == 0; };
    mutex_.Await(absl::Condition(&unused));
  }

 private:
  absl::Mutex mutex_;
  FaultTarget* target_ ABSL_GUARDED_BY(mutex_);
  int users_ ABSL_GUARDED_BY(mutex_) = 0;
};

class FaultControl::Core {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  explicit Core(FaultPlan plan);
  ~Core();

  const FaultPlan& plan() const { return plan_; }

  void Add(std::shared_ptr<FaultLink> link) ABSL_LOCKS_EXCLUDED(mutex_);
  void Remove(const std::shared_ptr<FaultLink>& link) ABSL_LOCKS_EXCLUDED(mutex_);
  // Has the link woken at `when`, on the core's thread.
  void WakeAt(Instant when, std::shared_ptr<FaultLink> link) ABSL_LOCKS_EXCLUDED(mutex_);
  // A frame is about to travel. False: its connection must be cut behind it.
  bool CountFrame() ABSL_LOCKS_EXCLUDED(mutex_);
  bool stalled() const ABSL_LOCKS_EXCLUDED(mutex_);
  bool connects_held() const ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t NextSeed() ABSL_LOCKS_EXCLUDED(mutex_);

  void CutAll() ABSL_LOCKS_EXCLUDED(mutex_);
  void CutAfterFrames(uint64_t frames) ABSL_LOCKS_EXCLUDED(mutex_);
  void Stall(bool on) ABSL_LOCKS_EXCLUDED(mutex_);
  void StallAfterFrames(uint64_t frames) ABSL_LOCKS_EXCLUDED(mutex_);
  void HoldConnects(bool on) ABSL_LOCKS_EXCLUDED(mutex_);
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t frames() const ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t connections() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void WakeAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunThread() ABSL_LOCKS_EXCLUDED(mutex_);

  const FaultPlan plan_;
  mutable absl::Mutex mutex_;
  absl::CondVar changed_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool stalled_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t frames_until_stall_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: not armed
  bool connects_held_ ABSL_GUARDED_BY(mutex_) = false;
  bool cut_armed_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t frames_until_cut_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t frames_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t connections_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::shared_ptr<FaultLink>> links_ ABSL_GUARDED_BY(mutex_);
  std::multimap<Instant, std::shared_ptr<FaultLink>> wakes_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_FAULT_CORE_H_
