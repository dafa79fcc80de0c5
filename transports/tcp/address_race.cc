#include "transports/tcp/address_race.h"

namespace anywire {

void AddressFailures::Add(const absl::Status& failure) {
  const bool is_local = failure.code() == absl::StatusCode::kPermissionDenied ||
                        failure.code() == absl::StatusCode::kResourceExhausted;
  const absl::StatusCode code = is_local ? failure.code() : absl::StatusCode::kUnavailable;
  code_ = code_.value_or(code) == code ? code : absl::StatusCode::kUnavailable;
  constexpr size_t kLongestText = 500;
  if (text_.size() > kLongestText) return;
  absl::StrAppend(&text_, text_.empty() ? ": " : "; ", failure.message());
}

absl::Status AddressFailures::Sum(const std::string& what) const {
  return absl::Status(code_.value_or(absl::StatusCode::kUnavailable), absl::StrCat(what, text_));
}

}  // namespace anywire
