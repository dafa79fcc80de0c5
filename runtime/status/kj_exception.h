// The one place where kj's exceptions become statuses.
#ifndef ANYWIRE_RUNTIME_STATUS_KJ_EXCEPTION_H_
#define ANYWIRE_RUNTIME_STATUS_KJ_EXCEPTION_H_

#include <kj/exception.h>

#include "absl/status/status.h"

namespace anywire {

// OVERLOADED is RESOURCE_EXHAUSTED, DISCONNECTED is UNAVAILABLE, UNIMPLEMENTED is UNIMPLEMENTED,
// FAILED is INTERNAL.
absl::Status ToStatus(const kj::Exception& exception);

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_STATUS_KJ_EXCEPTION_H_
