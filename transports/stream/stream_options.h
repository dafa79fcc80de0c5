// What can be set of every transport that frames a byte stream.
#ifndef ANYWIRE_TRANSPORTS_STREAM_STREAM_OPTIONS_H_
#define ANYWIRE_TRANSPORTS_STREAM_STREAM_OPTIONS_H_

#include <chrono>
#include <cstddef>

#include "transports/stream/framing.h"

namespace anywire {

struct StreamOptions {
  // Bytes; 1,024 to kMaxFrameSize. Longer frames of the peer end the connection.
  size_t max_frame_size = kMaxFrameSize;
  // Bytes that wait to be sent before NewFrame refuses; one frame may always wait. What goes at
  // once costs a bulk sender a system call, and the wakeup and acknowledgements behind it; what
  // waits here, small calls wait for.
  size_t max_unsent = 512 << 10;
  // A connecting peer that has not sent its whole preface by then is closed.
  std::chrono::nanoseconds preface_timeout = std::chrono::seconds(5);
  // Accepted streams whose preface is being waited for; with one more the oldest is closed.
  size_t max_undecided = 1024;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_STREAM_STREAM_OPTIONS_H_
