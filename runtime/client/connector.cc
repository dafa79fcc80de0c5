#include "runtime/client/connector.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "anywire/delivery.h"
#include "runtime/protocol/wire_protocol.h"
#include "runtime/status/kj_exception.h"

namespace anywire {
namespace {

using Clock = std::chrono::steady_clock;

absl::Status TooLate() {
  return WithDelivery(
      absl::DeadlineExceededError("the call's deadline passed before there was a connection"),
      Delivery::kNotSent);
}

}  // namespace

class Connector::DeadlineAlarm final : public EventLoop::Alarm {
 public:
  DeadlineAlarm(EventLoop& loop, Connector& connector) : Alarm(loop), connector_(connector) {}
  void OnAlarm(Instant now) override { connector_.OnAlarm(now); }

 private:
  Connector& connector_;
};

Connector::Connector(Runtime::Core& runtime, config::ConnectTarget target)
    : target_(std::move(target)),
      loop_(runtime.NextLoop()),
      spin_(runtime.spin()),
      alarm_(std::make_unique<DeadlineAlarm>(loop_, *this)) {}

Connector::~Connector() {
  if (endpoint_ != nullptr) endpoint_->Close(absl::CancelledError("the channel was destroyed"));
}

absl::StatusOr<std::shared_ptr<Connector>> Connector::Create(Runtime::Core& runtime,
                                                             absl::string_view target) {
  absl::StatusOr<config::ConnectTarget> resolved =
      runtime.config().ResolveTarget(target, runtime.registry());
  if (!resolved.ok()) return resolved.status();
  return std::shared_ptr<Connector>(new Connector(runtime, *std::move(resolved)),
                                    [](Connector* last) {
                                      // The alarm and the attempt to connect belong to the loop's
                                      // thread, and neither must end inside its own call, in which
                                      // the last reference may well be dropped.
                                      EventLoop& loop = last->loop_;
                                      loop.Post([owner = std::unique_ptr<Connector>(last)] {});
                                    });
}

std::shared_ptr<Endpoint> Connector::Current() {
  MutexLock lock(&mutex_);
  if (endpoint_ == nullptr || endpoint_->retired()) return nullptr;
  return endpoint_;
}

void Connector::Wait(ConnectWaiter& waiter, Instant deadline) {
  bool dial = false;
  absl::StatusOr<std::shared_ptr<Endpoint>> known;
  {
    MutexLock lock(&mutex_);
    if (endpoint_ != nullptr && !endpoint_->retired()) {
      known = endpoint_;
    } else if (waiter_count_ >= options().limits.max_waiting_calls) {
      known = WithDelivery(absl::ResourceExhaustedError(absl::StrCat(
                               "more than ", options().limits.max_waiting_calls,
                               " calls wait for the connection (limits.max_waiting_calls)")),
                           Delivery::kNotSent);
    } else if (deadline != Instant::max() && deadline <= Clock::now()) {
      known = TooLate();
    } else {
      known = nullptr;
      waiter.deadline_ = deadline;
      waiter.next_ = waiters_;
      waiters_ = &waiter;
      ++waiter_count_;
      dial = !std::exchange(dialing_, true);
    }
  }
  if (!known.ok() || *known != nullptr) {
    waiter.OnConnected(std::move(known));
    return;
  }
  alarm_->SetNoLaterThan(deadline);
  if (dial) loop_.Post([self = shared_from_this()] { self->Dial(); });
}

bool Connector::Forget(ConnectWaiter& waiter) {
  MutexLock lock(&mutex_);
  for (ConnectWaiter** link = &waiters_; *link != nullptr; link = &(*link)->next_) {
    if (*link != &waiter) continue;
    *link = waiter.next_;
    --waiter_count_;
    return true;
  }
  return false;
}

void Connector::Dial() {
  const Transport::ConnectOptions connect_options = {
      .in_place = options().shm_in_place,
      .congestion_control = options().udp_congestion_control,
      .window = options().udp_window};
  // Whichever is first tells the waiters; the other is dropped.
  kj::Promise<void> connected =
      target_.transport->Connect(loop_, target_.address, connect_options)
          .then([this](absl::StatusOr<std::unique_ptr<Connection>> connection) {
            OnDialed(std::move(connection));
          });
  const absl::Duration timeout = options().connect_timeout;
  kj::Promise<void> too_late = loop_.timer()
                                   .afterDelay(absl::ToInt64Nanoseconds(timeout) * kj::NANOSECONDS)
                                   .then([this, timeout] {
                                     OnDialed(absl::UnavailableError(absl::StrCat(
                                         "no connection within ", absl::FormatDuration(timeout))));
                                   });
  dial_ = connected.exclusiveJoin(kj::mv(too_late))
              .catch_([this](kj::Exception&& exception) { OnDialed(ToStatus(exception)); })
              .eagerlyEvaluate(nullptr);
}

void Connector::OnDialed(absl::StatusOr<std::unique_ptr<Connection>> connection) {
  absl::StatusOr<std::shared_ptr<Endpoint>> result;
  if (connection.ok()) {
    const protocol::Limits& limits = options().limits;
    result = Endpoint::Start(
        loop_, *std::move(connection), Endpoint::Role::kClient, /*drivers=*/nullptr, &spin_,
        [&limits](Connection& connection) {
          return protocol::MakeWireClient(connection, FrameSizesOf(connection), limits,
                                          Clock::now());
        },
        [connector = weak_from_this()](const absl::Status&) {
          if (std::shared_ptr<Connector> self = connector.lock()) self->DropRetired();
        });
  } else {
    result = WithDelivery(
        absl::Status(connection.status().code(), absl::StrCat("cannot connect to ", target(), ": ",
                                                              connection.status().message())),
        Delivery::kNotSent);
  }
  // What kj keeps of an attempt that is over is as large as a connection. Not here: it is running.
  loop_.Post([connector = weak_from_this()] {
    if (std::shared_ptr<Connector> self = connector.lock()) self->DropDial();
  });
  ConnectWaiter* waiters;
  {
    MutexLock lock(&mutex_);
    dialing_ = false;
    if (result.ok()) endpoint_ = *result;
    waiters = std::exchange(waiters_, nullptr);
    waiter_count_ = 0;
  }
  // In the order of their arrival.
  ConnectWaiter* first = nullptr;
  while (waiters != nullptr) {
    ConnectWaiter* const next = std::exchange(waiters->next_, first);
    first = std::exchange(waiters, next);
  }
  while (first != nullptr) {
    ConnectWaiter* const waiter = std::exchange(first, first->next_);
    waiter->OnConnected(result);
  }
}

void Connector::DropDial() {
  kj::Promise<void> over = nullptr;  // ends without the lock
  MutexLock lock(&mutex_);
  if (!dialing_) over = kj::mv(dial_);
}

void Connector::DropRetired() {
  std::shared_ptr<Endpoint> retired;
  MutexLock lock(&mutex_);
  if (endpoint_ != nullptr && endpoint_->retired()) retired = std::move(endpoint_);
}

void Connector::OnAlarm(Instant now) {
  ConnectWaiter* late = nullptr;
  Instant next = Instant::max();
  {
    MutexLock lock(&mutex_);
    for (ConnectWaiter** link = &waiters_; *link != nullptr;) {
      ConnectWaiter* const waiter = *link;
      if (waiter->deadline_ > now) {
        next = std::min(next, waiter->deadline_);
        link = &waiter->next_;
        continue;
      }
      *link = waiter->next_;
      --waiter_count_;
      waiter->next_ = std::exchange(late, waiter);
    }
  }
  alarm_->SetNoLaterThan(next);
  while (late != nullptr) {
    ConnectWaiter* const waiter = std::exchange(late, late->next_);
    waiter->OnConnected(TooLate());
  }
}

}  // namespace anywire
