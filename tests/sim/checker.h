// THE checker: what must hold of every call in every run, whatever happens to the connection.
//
//   * A call that Open accepted ends exactly once, with one status; one that it refused was not
//   sent.
//   * Messages arrive in order, each once, unchanged, and belong to their call; all of them if the
//   status is OK.
//   * A server's handler sees the same of the requests; all of them once it is told of the
//   half-close.
//   * No handler runs for a call that is reported as not sent or not processed.
//   * The status, its details and the trailing metadata are the server's, or have a reason on the
//   client's side.
//   * A call with a deadline has ended by then.
//   * Nothing is said of a call after its release.
#ifndef ANYWIRE_TESTS_SIM_CHECKER_H_
#define ANYWIRE_TESTS_SIM_CHECKER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "anywire/metadata.h"
#include "runtime/protocol/protocol.h"
#include "tests/sim/plan.h"

namespace anywire::sim {

// What became of a call.
struct CallResult {
  int handlers = 0;    // that ran for it
  bool tried = false;  // it was opened, or refused
  bool ended = false;
  absl::Status end;  // when it was refused or has ended
};

class Checker {
 public:
  explicit Checker(const Scenario& scenario);

  // ---- what the client did and saw
  void OpenRefused(const Plan& plan, const absl::Status& status, Instant now);
  void Opened(const Plan& plan, Instant now);
  void RequestSent(const Plan& plan) { ++Of(plan).requests_sent; }
  void RequestTooLarge(const Plan& plan) { Of(plan).request_too_large = true; }
  void Cancelled(const Plan& plan) { Of(plan).cancelled = true; }
  void ClientReleased(const Plan& plan) { Of(plan).client_released = true; }
  void ReplyReceived(const Plan& plan, absl::Span<const uint8_t> bytes);
  void InitialMetadataReceived(const Plan& plan, const Metadata& metadata);
  void Finished(const Plan& plan, const protocol::Final* final, Instant now);

  // ---- what the server did and saw
  void HandlerRan(const Plan& plan);
  void RequestReceived(const Plan& plan, absl::Span<const uint8_t> bytes);
  void HalfClosed(const Plan& plan);
  void ReplySent(const Plan& plan) { ++Of(plan).replies_sent; }
  void ReplyTooLarge(const Plan& plan) { Of(plan).reply_too_large = true; }
  void ServerFinished(const Plan& plan, const absl::Status& status) {
    Of(plan).finished = true;
    Of(plan).finish = status;
  }
  void ServerGaveUp(const Plan& plan) { Of(plan).server_gave_up = true; }
  void HandlerToldOfEnd(const Plan& plan, const absl::Status& status);

  // ---- the connection
  void Cut() { cut_ = true; }
  void Drained() { drained_ = true; }

  void Fail(const std::string& what);
  // Everything has come to rest.
  void AtEnd();
  const std::vector<std::string>& failures() const { return failures_; }
  std::vector<CallResult> results() const;
  // How many calls ended with each status code; those that Open refused, and those released before,
  // are not in it.
  const std::map<absl::StatusCode, uint64_t>& ends() const { return ends_; }

 private:
  struct Truth {
    bool opened = false;
    bool refused = false;
    int ends = 0;
    Instant opened_at;
    absl::Status end;
    size_t requests_sent = 0, requests_received = 0;
    size_t replies_sent = 0, replies_received = 0;
    bool request_too_large = false, reply_too_large = false;
    bool cancelled = false, client_released = false;
    bool initial_metadata = false;
    int handlers = 0;
    bool half_closed = false;
    bool finished = false;
    absl::Status finish;
    bool server_gave_up = false;
    bool handler_told = false;
  };

  Truth& Of(const Plan& plan) { return truths_[plan.number]; }
  void Check(bool holds, const Plan& plan, const std::string& what);
  // Whether a failure that is not the handler's has a reason.
  bool HasReason(const Plan& plan, const Truth& truth, const absl::Status& status,
                 Instant now) const;
  bool SomeMessageTooLarge(const Plan& plan) const;

  const Scenario& scenario_;
  std::vector<Truth> truths_;
  std::vector<std::string> failures_;
  std::map<absl::StatusCode, uint64_t> ends_;
  bool cut_ = false;
  bool drained_ = false;
};

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_CHECKER_H_
