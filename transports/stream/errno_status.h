// System call errors as the seam has them.
#ifndef ANYWIRE_TRANSPORTS_STREAM_ERRNO_STATUS_H_
#define ANYWIRE_TRANSPORTS_STREAM_ERRNO_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace anywire {

// "<what>: <the error's text>", under the code that transport.h names for such errors; UNAVAILABLE
// for those of the peer and of the path to it.
absl::Status ErrnoStatus(int error, absl::string_view what);

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_STREAM_ERRNO_STATUS_H_
