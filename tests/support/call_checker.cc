#include "tests/support/call_checker.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "anywire/delivery.h"
#include "gtest/gtest.h"
#include "tests/support/body.h"

namespace anywire::test {
namespace {

constexpr uint64_t kBreachesShown = 10;

}  // namespace

CallChecker::CallChecker(size_t capacity)
    : capacity_(capacity), facts_(std::make_unique<std::atomic<uint8_t>[]>(capacity)) {}

uint64_t CallChecker::Begin() {
  const uint64_t call = next_.fetch_add(1);
  if (call >= capacity_) std::abort();
  return call;
}

void CallChecker::OnReply(uint64_t call, uint32_t index, uint64_t reply_call, uint32_t reply_index,
                          absl::string_view body) {
  if (reply_call != call) Breach(call, absl::StrCat("was given the reply of call ", reply_call));
  if (reply_index != index) {
    Breach(call, absl::StrCat("was given reply ", reply_index, " in the place of ", index));
  }
  const absl::Status checked = CheckBody({call, Direction::kReply, index}, body);
  if (!checked.ok()) Breach(call, checked.message());
  if ((Note(call, 0) & kEnded) != 0) Breach(call, "was given a reply after its end");
}

void CallChecker::End(uint64_t call, const absl::Status& status, Allowed allowed) {
  uint8_t facts = kEnded;
  if (status.ok()) facts |= kSucceeded;
  if (DeliveryOf(status) != Delivery::kUnknown) facts |= kDenied;
  if ((Note(call, facts) & kEnded) != 0)
    Breach(call, absl::StrCat("ended again: ", status.ToString()));
  if (status.ok() && (facts & kDenied) != 0)
    Breach(call, "succeeded and says it was not processed");
  if (!allowed.Contains(status.code())) Breach(call, absl::StrCat("ended as ", status.ToString()));
  ended_[static_cast<int>(status.code())].fetch_add(1);
}

void CallChecker::OnHandler(uint64_t call) {
  if (call >= next_.load()) {
    Breach(call, "reached a handler and was never made");
  } else if ((Note(call, kHandled) & kHandled) != 0) {
    Breach(call, "reached a handler twice");
  }
}

void CallChecker::Verify() {
  for (uint64_t call = 0; call < begun(); ++call) {
    const uint8_t facts = facts_[call].load();
    if ((facts & kEnded) == 0) Breach(call, "never ended");
    if ((facts & kSucceeded) != 0 && (facts & kHandled) == 0) {
      Breach(call, "succeeded without a handler");
    }
    if ((facts & kDenied) != 0 && (facts & kHandled) != 0) {
      Breach(call, "reached a handler, and its status says that it did not");
    }
  }
  if (breaches_.load() > kBreachesShown) {
    ADD_FAILURE() << breaches_.load() << " breaches in " << begun() << " calls";
  }
}

uint8_t CallChecker::Note(uint64_t call, uint8_t facts) { return facts_[call].fetch_or(facts); }

void CallChecker::Breach(uint64_t call, absl::string_view what) {
  if (breaches_.fetch_add(1) < kBreachesShown) ADD_FAILURE() << "call " << call << " " << what;
}

}  // namespace anywire::test
