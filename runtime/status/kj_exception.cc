#include "runtime/status/kj_exception.h"

#include "absl/strings/string_view.h"

namespace anywire {

absl::Status ToStatus(const kj::Exception& exception) {
  absl::StatusCode code = absl::StatusCode::kInternal;
  switch (exception.getType()) {
    case kj::Exception::Type::FAILED:
      code = absl::StatusCode::kInternal;
      break;
    case kj::Exception::Type::OVERLOADED:
      code = absl::StatusCode::kResourceExhausted;
      break;
    case kj::Exception::Type::DISCONNECTED:
      code = absl::StatusCode::kUnavailable;
      break;
    case kj::Exception::Type::UNIMPLEMENTED:
      code = absl::StatusCode::kUnimplemented;
      break;
  }
  const kj::StringPtr description = exception.getDescription();
  return absl::Status(code, absl::string_view(description.begin(), description.size()));
}

}  // namespace anywire
