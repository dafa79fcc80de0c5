#include "tests/support/fault_transport.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/fault_core.h"

namespace anywire::test {
namespace {

using Core = FaultControl::Core;
using Clock = std::chrono::steady_clock;

absl::Status CutStatus() { return absl::UnavailableError("the connection was cut by the test"); }

// Upward calls of one kind, which may come from several threads and must reach the owner one at a
// time: who comes while another is inside leaves the call to that one.
template <void (Connection::Events::*kCall)()>
class OneAtATime {
 public:
  void Run(Connection::Events& events) {
    if (pending_.fetch_add(1) != 0) return;
    uint32_t seen;
    do {
      seen = pending_.load();
      (events.*kCall)();
    } while (pending_.fetch_sub(seen) != seen);
  }

 private:
  std::atomic<uint32_t> pending_{0};
};

class FaultConnection final : public Connection, private Connection::Events, private FaultTarget {
 public:
  FaultConnection(std::unique_ptr<Connection> inner, std::shared_ptr<Core> core)
      : core_(std::move(core)),
        plan_(core_->plan()),
        info_(Handicapped(inner->info(), plan_)),
        inner_(std::move(inner)),
        link_(std::make_shared<FaultLink>(static_cast<FaultTarget&>(*this))),
        random_(core_->NextSeed()) {}

  ~FaultConnection() override {
    core_->Remove(link_);
    link_->Detach();
    inner_.reset();
  }

  void Start(Connection::Events& events) override {
    events_ = &events;
    inner_->Start(*this);
    core_->Add(link_);
  }

  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) override {
    absl::MutexLock lock(&mutex_);
    const bool something_waits = !filled_.empty() || !published_.empty();
    if (something_waits && (waiting_bytes_ + size > plan_.room || Refuses())) {
      refused_ = true;
      return {};
    }
    waiting_bytes_ += size;
    filled_.push_back({stream, size, std::make_unique<uint8_t[]>(size)});
    return absl::MakeSpan(filled_.back().bytes.get(), size);
  }

  bool Publish() override {
    absl::MutexLock lock(&mutex_);
    if (!filled_.empty() && published_.empty()) travel_at_ = Clock::now() + RandomDelay();
    for (Frame& frame : filled_) published_.push_back(std::move(frame));
    filled_.clear();
    if (cut_) return true;
    // While an OnWritable is due, Transmit would do nothing, whatever the inner connection has
    // left.
    if (waiting_) return false;
    return inner_->Publish() || !published_.empty();
  }

  absl::Status Transmit() override {
    bool last = false;
    bool moved = false;
    {
      absl::MutexLock lock(&mutex_);
      if (cut_) return CutStatus();
      if (core_->stalled()) {
        waiting_ = true;
        return absl::OkStatus();
      }
      if (travel_at_ > Clock::now()) {
        waiting_ = true;
        core_->WakeAt(travel_at_, link_);
        return absl::OkStatus();
      }
    }
    // One at a time by contract, so nobody else takes from published_ meanwhile.
    while (!last && MoveOne(last)) moved = true;
    {
      absl::MutexLock lock(&mutex_);
      inner_->Publish();
    }
    absl::Status status = inner_->Transmit();
    if (last) {
      Cut();
      return CutStatus();
    }
    absl::MutexLock lock(&mutex_);
    if (cut_) return CutStatus();
    if (refused_ && (moved || published_.empty())) {
      refused_ = false;
      core_->WakeAt(Clock::now(), link_);
    }
    return status;
  }

  absl::StatusOr<absl::Span<const ReceivedFrame>> Receive(Clock::time_point wait_until) override {
    auto received = inner_->Receive(wait_until);
    if (!received.ok() && IsCut()) return CutStatus();
    return received;
  }
  void ReleaseFrames() override { inner_->ReleaseFrames(); }
  void WatchReadable(bool on) override { inner_->WatchReadable(on); }
  void Abort() override { inner_->Abort(); }
  EventLoop& loop() const override { return inner_->loop(); }
  const ConnectionInfo& info() const override { return info_; }

 private:
  struct Frame {
    uint64_t stream;
    size_t size;
    std::unique_ptr<uint8_t[]> bytes;
  };

  static ConnectionInfo Handicapped(ConnectionInfo info, const FaultPlan& plan) {
    if (plan.max_frame_size != 0) {
      info.max_frame_size = std::min(info.max_frame_size, plan.max_frame_size);
    }
    if (plan.reorder_streams) info.ordered_across_streams = false;
    return info;
  }

  // Connection::Events, from the inner connection.
  void OnReadable() override { readable_.Run(*events_); }
  void OnWritable() override { GoOn(); }

  // FaultTarget.
  void Wake() override { GoOn(); }
  void Cut() override {
    {
      absl::MutexLock lock(&mutex_);
      cut_ = true;
    }
    inner_->Abort();
    // The owner must learn of it in whatever state it is: let it look at both directions.
    core_->WakeAt(Clock::now(), link_);
    readable_.Run(*events_);
  }

  void GoOn() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      absl::MutexLock lock(&mutex_);
      waiting_ = false;
    }
    writable_.Run(*events_);
  }

  bool IsCut() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return cut_;
  }

  bool Refuses() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return static_cast<int>(random_() % 1000) < plan_.refusals_per_mille;
  }
  Clock::duration RandomDelay() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const int64_t most = absl::ToInt64Nanoseconds(plan_.max_delay);
    // Now and then none at all, so that batches come both merged and alone.
    if (most == 0 || random_() % 4 == 0) return Clock::duration::zero();
    return std::chrono::nanoseconds(random_() % most);
  }

  // Which published frame travels next: the first, or the first of some other stream.
  size_t Choose() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!plan_.reorder_streams) return 0;
    const size_t wanted = random_() % std::min<size_t>(published_.size(), 16);
    for (size_t first = 0; first < wanted; ++first) {
      if (published_[first].stream == published_[wanted].stream) return first;
    }
    return wanted;
  }

  // Hands one frame to the inner connection. False: none is left, or the inner one is full and will
  // call OnWritable.
  bool MoveOne(bool& last) ABSL_LOCKS_EXCLUDED(mutex_) {
    Frame frame;
    {
      absl::MutexLock lock(&mutex_);
      if (published_.empty()) return false;
      if (core_->stalled()) {
        waiting_ = true;
        return false;
      }
      const size_t chosen = Choose();
      absl::Span<uint8_t> room =
          inner_->NewFrame(published_[chosen].stream, published_[chosen].size);
      if (room.data() == nullptr) {
        waiting_ = true;  // for the inner connection's OnWritable
        return false;
      }
      frame = std::move(published_[chosen]);
      published_.erase(published_.begin() + chosen);
      waiting_bytes_ -= frame.size;
      std::copy_n(frame.bytes.get(), frame.size, room.data());
    }
    last = !core_->CountFrame();
    return true;
  }

  const std::shared_ptr<Core> core_;
  const FaultPlan& plan_;
  const ConnectionInfo info_;
  std::unique_ptr<Connection> inner_;
  const std::shared_ptr<FaultLink> link_;
  Connection::Events* events_ = nullptr;
  OneAtATime<&Connection::Events::OnReadable> readable_;
  OneAtATime<&Connection::Events::OnWritable> writable_;

  mutable absl::Mutex mutex_;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mutex_);
  std::vector<Frame> filled_ ABSL_GUARDED_BY(mutex_);
  std::deque<Frame> published_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  Clock::time_point travel_at_ ABSL_GUARDED_BY(mutex_);
  bool waiting_ ABSL_GUARDED_BY(mutex_) = false;  // an OnWritable is due before anything can travel
  bool refused_ ABSL_GUARDED_BY(mutex_) = false;
  bool cut_ ABSL_GUARDED_BY(mutex_) = false;
};

using ConnectionOr = absl::StatusOr<std::unique_ptr<Connection>>;

ConnectionOr Wrapped(ConnectionOr inner, const std::shared_ptr<Core>& core) {
  if (!inner.ok()) return inner;
  return std::unique_ptr<Connection>(std::make_unique<FaultConnection>(*std::move(inner), core));
}

class FaultListener final : public Listener {
 public:
  FaultListener(std::unique_ptr<Listener> inner, std::shared_ptr<Core> core)
      : inner_(std::move(inner)), core_(std::move(core)) {}
  kj::Promise<ConnectionOr> Accept() override {
    return inner_->Accept().then(
        [core = core_](ConnectionOr accepted) { return Wrapped(std::move(accepted), core); });
  }
  void Close() override { inner_->Close(); }
  const std::string& address() const override { return inner_->address(); }

 private:
  const std::unique_ptr<Listener> inner_;
  const std::shared_ptr<Core> core_;
};

class FaultTransport final : public Transport {
 public:
  // The wrapped transport lives as long as the registry that owns it.
  FaultTransport(std::shared_ptr<TransportRegistry> owner, Transport& inner,
                 std::shared_ptr<Core> core)
      : owner_(std::move(owner)), inner_(inner), core_(std::move(core)) {}

  absl::string_view scheme() const override { return inner_.scheme(); }
  absl::Status CheckAddress(absl::string_view address) const override {
    return inner_.CheckAddress(address);
  }
  kj::Promise<ConnectionOr> Connect(EventLoop& loop, absl::string_view address,
                                    const ConnectOptions& options) override {
    if (core_->connects_held()) return kj::NEVER_DONE;
    return inner_.Connect(loop, address, options).then([core = core_](ConnectionOr connected) {
      return Wrapped(std::move(connected), core);
    });
  }
  absl::StatusOr<std::unique_ptr<Listener>> Listen(EventLoop& loop, absl::string_view address,
                                                   const ListenOptions& options) override {
    absl::StatusOr<std::unique_ptr<Listener>> inner = inner_.Listen(loop, address, options);
    if (!inner.ok()) return inner;
    return std::unique_ptr<Listener>(std::make_unique<FaultListener>(*std::move(inner), core_));
  }
  std::string FreshAddress(absl::string_view scratch_dir) override {
    return inner_.FreshAddress(scratch_dir);
  }

 private:
  const std::shared_ptr<TransportRegistry> owner_;
  Transport& inner_;
  const std::shared_ptr<Core> core_;
};

}  // namespace

TransportRegistry WithFaults(TransportRegistry inner, const FaultControl& control) {
  const auto owner = std::make_shared<TransportRegistry>(std::move(inner));
  TransportRegistry wrapped;
  for (Transport* transport : owner->transports()) {
    const absl::Status registered =
        wrapped.Register(std::make_unique<FaultTransport>(owner, *transport, control.core()));
    if (!registered.ok()) std::abort();  // the schemes were unique before
  }
  return wrapped;
}

}  // namespace anywire::test
