// Connects to the first of several addresses that answers (RFC 8305, "happy eyeballs"): one attempt
// after the other, each with a head start of 250 ms, families in turn.
#ifndef ANYWIRE_TRANSPORTS_TCP_ADDRESS_RACE_H_
#define ANYWIRE_TRANSPORTS_TCP_ADDRESS_RACE_H_

#include <kj/async.h>

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "anywire/event_loop.h"
#include "transports/tcp/socket_address.h"

namespace anywire {

// What an attempt has of the race. Destroying one abandons it.
class AddressAttempt {
 public:
  virtual ~AddressAttempt() = default;
};

// Of all attempts that failed, what to say.
class AddressFailures {
 public:
  // The text of `failure` names the address.
  void Add(const absl::Status& failure);
  // `what` is the target's name. UNAVAILABLE, or PERMISSION_DENIED or RESOURCE_EXHAUSTED when that
  // is what failed every attempt.
  absl::Status Sum(const std::string& what) const;

 private:
  std::string text_;
  std::optional<absl::StatusCode> code_;  // of all; UNAVAILABLE when they differ
};

// `Winner` is what a successful attempt gives. Everything is on the loop's thread.
template <typename Winner>
class AddressRace final : private EventLoop::Alarm {
 public:
  using Result = absl::StatusOr<Winner>;
  // Tells how an attempt has ended, once, and not inside Begin. Destroys the attempt.
  using Done = std::function<void(Result)>;
  // Begins an attempt. An error's text names the address.
  using Begin = std::function<absl::StatusOr<std::unique_ptr<AddressAttempt>>(
      const SocketAddress& address, Done done)>;

  // `what` is the target's name in errors; see AddressFailures. Dropping the promise abandons all
  // attempts.
  static kj::Promise<Result> Run(EventLoop& loop, const std::vector<SocketAddress>& addresses,
                                 std::string what, Begin begin) {
    auto pair = kj::newPromiseAndFulfiller<Result>();
    auto race = std::make_unique<AddressRace>(kj::mv(pair.fulfiller), loop, addresses,
                                              std::move(what), std::move(begin));
    return pair.promise.attach(std::move(race));
  }

  AddressRace(kj::Own<kj::PromiseFulfiller<Result>> fulfiller, EventLoop& loop,
              const std::vector<SocketAddress>& addresses, std::string what,
              Begin begin)  // use Run
      : Alarm(loop),
        fulfiller_(kj::mv(fulfiller)),
        addresses_(InterleaveFamilies(addresses)),
        what_(std::move(what)),
        begin_(std::move(begin)) {
    BeginNext();
  }
  ~AddressRace() noexcept override = default;

 private:
  using Attempts = std::list<std::unique_ptr<AddressAttempt>>;
  static constexpr std::chrono::milliseconds kHeadStart{250};  // RFC 8305, section 5

  void OnAlarm(Instant) override { BeginNext(); }

  // Begins attempts until one is under way, or all have failed.
  void BeginNext() {
    while (!is_over_ && next_ != addresses_.size()) {
      const auto attempt = attempts_.emplace(attempts_.end());
      absl::StatusOr<std::unique_ptr<AddressAttempt>> begun =
          begin_(addresses_[next_++],
                 [this, attempt](Result result) { OnDone(attempt, std::move(result)); });
      if (begun.ok()) {
        *attempt = *std::move(begun);
        if (next_ != addresses_.size()) Set(std::chrono::steady_clock::now() + kHeadStart);
        return;
      }
      failures_.Add(begun.status());
      attempts_.erase(attempt);
    }
    if (!is_over_ && attempts_.empty()) Finish(failures_.Sum(what_));
  }

  void OnDone(typename Attempts::iterator attempt, Result result) {
    if (result.ok()) return Finish(std::move(result));
    failures_.Add(result.status());
    attempts_.erase(attempt);
    BeginNext();
  }

  void Finish(Result result) {
    is_over_ = true;
    Set(Instant::max());
    attempts_.clear();
    fulfiller_->fulfill(std::move(result));
  }

  kj::Own<kj::PromiseFulfiller<Result>> fulfiller_;
  const std::vector<SocketAddress> addresses_;
  const std::string what_;
  const Begin begin_;
  size_t next_ = 0;
  Attempts attempts_;
  AddressFailures failures_;
  bool is_over_ = false;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_TCP_ADDRESS_RACE_H_
