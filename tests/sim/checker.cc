#include "tests/sim/checker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "anywire/delivery.h"

namespace anywire::sim {
namespace {

// A deadline is kept to about a millisecond.
constexpr Duration kTimerTolerance = std::chrono::milliseconds(3);

bool Same(const Metadata& a, const Metadata& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

bool AnyAbove(const std::vector<size_t>& sizes, size_t limit) {
  return std::any_of(sizes.begin(), sizes.end(), [limit](size_t size) { return size > limit; });
}

}  // namespace

Checker::Checker(const Scenario& scenario) : scenario_(scenario), truths_(scenario.plans.size()) {}

void Checker::Fail(const std::string& what) { failures_.push_back(what); }

void Checker::Check(bool holds, const Plan& plan, const std::string& what) {
  if (!holds) Fail(absl::StrCat("call ", plan.number, ": ", what));
}

void Checker::OpenRefused(const Plan& plan, const absl::Status& status, Instant now) {
  Truth& truth = Of(plan);
  truth.refused = true;
  truth.end = status;
  Check(DeliveryOf(status) == Delivery::kNotSent, plan, "refused but not as not sent");
  Check(HasReason(plan, truth, status, now), plan,
        absl::StrCat("refused without a reason: ", status.ToString()));
}

void Checker::Opened(const Plan& plan, Instant now) {
  Of(plan).opened = true;
  Of(plan).opened_at = now;
}

void Checker::ReplyReceived(const Plan& plan, absl::Span<const uint8_t> bytes) {
  Truth& truth = Of(plan);
  Check(truth.ends == 0, plan, "a message after the end");
  Check(!truth.client_released, plan, "a message after the release");
  const size_t index = truth.replies_received++;
  if (index >= plan.replies.size()) return Check(false, plan, "a reply too many");
  Check(bytes.size() == plan.replies[index], plan, "a reply of the wrong size");
  Check((MessageSource{plan.number, true, static_cast<uint32_t>(index)}.Matches(bytes)), plan,
        "a changed reply");
}

void Checker::InitialMetadataReceived(const Plan& plan, const Metadata& metadata) {
  Truth& truth = Of(plan);
  Check(!truth.initial_metadata, plan, "initial metadata twice");
  Check(truth.replies_received == 0, plan, "initial metadata after a message");
  Check(truth.ends == 0 && !truth.client_released, plan, "initial metadata after the end");
  Check(plan.initial_metadata.has_value() && Same(*plan.initial_metadata, metadata), plan,
        "other initial metadata");
  truth.initial_metadata = true;
}

void Checker::Finished(const Plan& plan, const protocol::Final* final, Instant now) {
  Truth& truth = Of(plan);
  ++truth.ends;
  Check(!truth.client_released, plan, "an end after the release");
  const absl::Status status = final != nullptr ? final->status : absl::OkStatus();
  truth.end = status;
  ++ends_[status.code()];
  const bool servers_own = truth.finished && status == truth.finish;
  Check(!plan.deadline || now <= truth.opened_at + *plan.deadline + kTimerTolerance, plan,
        "an end long after the deadline");
  if (status.ok()) {
    Check(servers_own, plan, "OK that the handler did not say");
    Check(
        truth.replies_received == truth.replies_sent && truth.replies_sent == plan.replies.size(),
        plan,
        absl::StrCat("OK after ", truth.replies_received, " of ", truth.replies_sent, " replies"));
    Check(truth.initial_metadata ==
              (plan.initial_metadata.has_value() && !plan.initial_metadata->empty()),
          plan, "OK without the initial metadata");
  } else if (!servers_own) {
    Check(HasReason(plan, truth, status, now), plan,
          absl::StrCat("an end without a reason: ", status.ToString()));
  }
  if (servers_own) {
    const Metadata none;
    Check(Same(final != nullptr ? final->trailing : none, plan.trailing_metadata.value_or(none)),
          plan, "other trailing metadata");
  }
}

bool Checker::SomeMessageTooLarge(const Plan& plan) const {
  return AnyAbove(plan.requests, std::min(scenario_.client_limits.max_send_message_size,
                                          scenario_.server_limits.max_receive_message_size)) ||
         AnyAbove(plan.replies, std::min(scenario_.server_limits.max_send_message_size,
                                         scenario_.client_limits.max_receive_message_size));
}

bool Checker::HasReason(const Plan& plan, const Truth& truth, const absl::Status& status,
                        Instant now) const {
  switch (status.code()) {
    case absl::StatusCode::kCancelled:
      return truth.cancelled || truth.server_gave_up;
    case absl::StatusCode::kDeadlineExceeded:
      return plan.deadline.has_value() &&
             (truth.refused || now >= truth.opened_at + *plan.deadline);
    case absl::StatusCode::kUnavailable:
      return cut_ || drained_ ||
             // Its OPEN, in fragments, took the server too long to get.
             (DeliveryOf(status) == Delivery::kNotProcessed &&
              now >= truth.opened_at + scenario_.server_limits.handshake_timeout);
    case absl::StatusCode::kUnimplemented:
      return !plan.known_method;
    case absl::StatusCode::kResourceExhausted:
      return SomeMessageTooLarge(plan) || plan.breaks_metadata_limit ||
             // The server's calls or the client's waiting ones are as many as allowed.
             truth.refused ||
             (DeliveryOf(status) == Delivery::kNotProcessed &&
              scenario_.plans.size() > scenario_.server_limits.max_concurrent_calls);
    case absl::StatusCode::kInternal:
      return plan.trailing_metadata.has_value() &&
             plan.trailing_metadata->ByteSize() > scenario_.server_limits.max_metadata_size;
    default:
      return false;
  }
}

void Checker::HandlerRan(const Plan& plan) {
  Truth& truth = Of(plan);
  ++truth.handlers;
  Check(truth.handlers == 1, plan, "two handlers");
  Check(truth.opened && !truth.refused, plan, "a handler for a call that was not opened");
  Check(plan.known_method, plan, "a handler for an unknown method");
}

void Checker::RequestReceived(const Plan& plan, absl::Span<const uint8_t> bytes) {
  Truth& truth = Of(plan);
  Check(!truth.half_closed && !truth.handler_told, plan, "a request after the end");
  const size_t index = truth.requests_received++;
  if (index >= plan.requests.size()) return Check(false, plan, "a request too many");
  Check(bytes.size() == plan.requests[index], plan, "a request of the wrong size");
  Check((MessageSource{plan.number, false, static_cast<uint32_t>(index)}.Matches(bytes)), plan,
        "a changed request");
}

void Checker::HalfClosed(const Plan& plan) {
  Truth& truth = Of(plan);
  Check(!truth.half_closed, plan, "half-closed twice");
  truth.half_closed = true;
  Check(truth.requests_received == plan.requests.size(), plan,
        absl::StrCat("half-closed after ", truth.requests_received, " requests of ",
                     plan.requests.size()));
}

void Checker::HandlerToldOfEnd(const Plan& plan, const absl::Status& status) {
  Truth& truth = Of(plan);
  Check(!truth.handler_told, plan, "the handler is told twice of the end");
  Check(!truth.finished, plan, "the handler is told of the end that it made");
  truth.handler_told = true;
  Check(!status.ok(), plan, "the handler is told of an end that is OK");
  Check(truth.ends > 0 || truth.cancelled || truth.client_released || plan.deadline.has_value() ||
            cut_ || SomeMessageTooLarge(plan) || truth.end.code() != absl::StatusCode::kOk,
        plan, absl::StrCat("the handler is told of an end without a reason: ", status.ToString()));
}

std::vector<CallResult> Checker::results() const {
  std::vector<CallResult> results;
  for (const Truth& truth : truths_) {
    results.push_back({.handlers = truth.handlers,
                       .tried = truth.opened || truth.refused,
                       .ended = truth.refused || truth.ends > 0,
                       .end = truth.end});
  }
  return results;
}

void Checker::AtEnd() {
  for (const Plan& plan : scenario_.plans) {
    Truth& truth = Of(plan);
    if (!truth.opened) {
      Check(truth.handlers == 0, plan, "a handler for a call that was not opened");
      continue;
    }
    if (truth.ends == 0) Check(truth.client_released, plan, "has not ended");
    Check(truth.ends <= 1, plan, absl::StrCat("ended ", truth.ends, " times"));
    if (truth.ends == 1 && DeliveryOf(truth.end) != Delivery::kUnknown) {
      Check(truth.handlers == 0, plan,
            absl::StrCat("a handler ran, but it ended as ", DeliveryName(DeliveryOf(truth.end))));
    }
  }
}

}  // namespace anywire::sim
