#include "tests/support/fault_core.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace anywire::test {

FaultControl::Core::Core(FaultPlan plan) : plan_(plan), thread_([this] { RunThread(); }) {}

FaultControl::Core::~Core() { Stop(); }

void FaultControl::Core::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    changed_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

void FaultControl::Core::Add(std::shared_ptr<FaultLink> link) {
  absl::MutexLock lock(&mutex_);
  ++connections_;
  links_.push_back(std::move(link));
}

void FaultControl::Core::Remove(const std::shared_ptr<FaultLink>& link) {
  absl::MutexLock lock(&mutex_);
  links_.erase(std::remove(links_.begin(), links_.end(), link), links_.end());
}

void FaultControl::Core::WakeAt(Instant when, std::shared_ptr<FaultLink> link) {
  absl::MutexLock lock(&mutex_);
  wakes_.emplace(when, std::move(link));
  changed_.Signal();
}

bool FaultControl::Core::CountFrame() {
  absl::MutexLock lock(&mutex_);
  ++frames_;
  if (frames_until_stall_ != 0 && --frames_until_stall_ == 0) stalled_ = true;
  if (!cut_armed_) return true;
  if (frames_until_cut_ > 1) {
    --frames_until_cut_;
    return true;
  }
  cut_armed_ = false;
  return false;
}

bool FaultControl::Core::stalled() const {
  absl::MutexLock lock(&mutex_);
  return stalled_;
}

bool FaultControl::Core::connects_held() const {
  absl::MutexLock lock(&mutex_);
  return connects_held_;
}

uint64_t FaultControl::Core::NextSeed() {
  absl::MutexLock lock(&mutex_);
  return plan_.seed * 0x9e3779b97f4a7c15u + connections_;
}

void FaultControl::Core::CutAll() {
  std::vector<std::shared_ptr<FaultLink>> links;
  {
    absl::MutexLock lock(&mutex_);
    links = links_;
  }
  for (const std::shared_ptr<FaultLink>& link : links) {
    link->With([](FaultTarget& target) { target.Cut(); });
  }
}

void FaultControl::Core::CutAfterFrames(uint64_t frames) {
  absl::MutexLock lock(&mutex_);
  cut_armed_ = true;
  frames_until_cut_ = frames;
}

void FaultControl::Core::Stall(bool on) {
  absl::MutexLock lock(&mutex_);
  stalled_ = on;
  frames_until_stall_ = 0;
  if (!on) WakeAll();
}

void FaultControl::Core::StallAfterFrames(uint64_t frames) {
  absl::MutexLock lock(&mutex_);
  stalled_ = frames == 0;
  frames_until_stall_ = frames;
  WakeAll();
}

void FaultControl::Core::WakeAll() {
  for (const std::shared_ptr<FaultLink>& link : links_) wakes_.emplace(Instant(), link);
  changed_.Signal();
}

void FaultControl::Core::HoldConnects(bool on) {
  absl::MutexLock lock(&mutex_);
  connects_held_ = on;
}

uint64_t FaultControl::Core::frames() const {
  absl::MutexLock lock(&mutex_);
  return frames_;
}

uint64_t FaultControl::Core::connections() const {
  absl::MutexLock lock(&mutex_);
  return connections_;
}

void FaultControl::Core::RunThread() {
  absl::MutexLock lock(&mutex_);
  while (!ending_) {
    if (wakes_.empty()) {
      changed_.Wait(&mutex_);
      continue;
    }
    const Instant now = std::chrono::steady_clock::now();
    if (const Instant first = wakes_.begin()->first; first > now) {
      changed_.WaitWithTimeout(&mutex_, absl::FromChrono(first - now));
      continue;
    }
    const std::shared_ptr<FaultLink> link = std::move(wakes_.begin()->second);
    wakes_.erase(wakes_.begin());
    mutex_.Unlock();
    link->With([](FaultTarget& target) { target.Wake(); });
    mutex_.Lock();
  }
}

FaultControl::FaultControl(FaultPlan plan) : core_(std::make_shared<Core>(plan)) {}
FaultControl::~FaultControl() = default;
void FaultControl::CutAll() { core_->CutAll(); }
void FaultControl::CutAfterFrames(uint64_t frames) { core_->CutAfterFrames(frames); }
void FaultControl::Stall(bool on) { core_->Stall(on); }
void FaultControl::StallAfterFrames(uint64_t frames) { core_->StallAfterFrames(frames); }
void FaultControl::HoldConnects(bool on) { core_->HoldConnects(on); }
void FaultControl::Stop() { core_->Stop(); }
uint64_t FaultControl::frames() const { return core_->frames(); }
uint64_t FaultControl::connections() const { return core_->connections(); }

}  // namespace anywire::test
