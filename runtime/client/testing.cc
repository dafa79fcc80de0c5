#include "runtime/client/testing.h"

#include <utility>

namespace anywire::test {

void DialLog::WaitForDial(size_t index) {
  const auto there = [this, index]()
                         ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return dials_.size() > index; };
  absl::MutexLock lock(&mutex_, absl::Condition(&there));
}

size_t DialLog::dials() {
  absl::MutexLock lock(&mutex_);
  return dials_.size();
}

void DialLog::End(size_t index, std::function<Result(EventLoop&)> make) {
  WaitForDial(index);
  EventLoop* loop;
  {
    absl::MutexLock lock(&mutex_);
    loop = dials_[index].loop;
  }
  loop->Post([this, index, loop, make = std::move(make)] {
    kj::Own<kj::PromiseFulfiller<Result>> fulfiller;
    {
      absl::MutexLock lock(&mutex_);
      fulfiller = kj::mv(dials_[index].fulfiller);
    }
    if (fulfiller.get() != nullptr) fulfiller->fulfill(make(*loop));
  });
}

std::shared_ptr<ConnectionScript> DialLog::Accept(size_t index) {
  auto script = std::make_shared<ConnectionScript>();
  End(index, [script](EventLoop& loop) -> Result {
    return std::make_unique<ScriptedConnection>(loop, script);
  });
  return script;
}

void DialLog::Refuse(size_t index, absl::Status status) {
  End(index, [status](EventLoop&) -> Result { return status; });
}

void DialLog::WaitUntilAbandoned(size_t index) {
  const auto over = [this, index]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return dials_.size() > index && dials_[index].over;
  };
  absl::MutexLock lock(&mutex_, absl::Condition(&over));
}

kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> ScriptedTransport::Connect(
    EventLoop& loop, absl::string_view, const ConnectOptions&) {
  auto pair = kj::newPromiseAndFulfiller<DialLog::Result>();
  size_t index;
  {
    absl::MutexLock lock(&log_.mutex_);
    index = log_.dials_.size();
    DialLog::Dial& dial = log_.dials_.emplace_back();
    dial.loop = &loop;
    dial.fulfiller = kj::mv(pair.fulfiller);
  }
  // Succeeded, failed or dropped.
  return pair.promise.attach(kj::defer([&log = log_, index] {
    kj::Own<kj::PromiseFulfiller<DialLog::Result>> unused;
    absl::MutexLock lock(&log.mutex_);
    log.dials_[index].over = true;
    unused = kj::mv(log.dials_[index].fulfiller);
  }));
}

}  // namespace anywire::test
