// Protobuf messages to bytes and back.
#ifndef ANYWIRE_RUNTIME_MESSAGE_MESSAGE_BYTES_H_
#define ANYWIRE_RUNTIME_MESSAGE_MESSAGE_BYTES_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "google/protobuf/message_lite.h"

namespace anywire {

// Larger messages are copied in steps of so many bytes. A single copy about as large as the
// processor's second cache goes past it, and takes a tenth longer.
inline constexpr size_t kCopyAtOnce = 128 << 10;

// Writes `message` to `to`. `size` is what its ByteSizeLong() has last returned, at most INT_MAX;
// it has not been changed since, and has all required fields.
void WriteMessage(const google::protobuf::MessageLite& message, size_t size, uint8_t* to);

// Replaces what is in `message`. False for bytes that are no message of its type, or one that lacks
// required fields, and for 2 GiB or more. Prints nothing.
bool ReadMessage(absl::Span<const uint8_t> bytes, google::protobuf::MessageLite& message);

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_MESSAGE_MESSAGE_BYTES_H_
