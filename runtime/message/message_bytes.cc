#include "runtime/message/message_bytes.h"

#include <climits>

#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace anywire {

using google::protobuf::MessageLite;

void WriteMessage(const MessageLite& message, size_t size, uint8_t* to) {
  if (size <= kCopyAtOnce) {
    message.SerializeWithCachedSizesToArray(to);
    return;
  }
  google::protobuf::io::ArrayOutputStream stream(to, static_cast<int>(size), kCopyAtOnce);
  message.SerializePartialToZeroCopyStream(&stream);
}

// The functions whose names say Partial, for the others print a line for what a peer leaves out.
bool ReadMessage(absl::Span<const uint8_t> bytes, MessageLite& message) {
  if (bytes.size() > INT_MAX) return false;
  const int size = static_cast<int>(bytes.size());
  if (bytes.size() <= kCopyAtOnce) {
    return message.ParsePartialFromArray(bytes.data(), size) && message.IsInitialized();
  }
  google::protobuf::io::ArrayInputStream stream(bytes.data(), size, kCopyAtOnce);
  // Bounded, or a string could claim, and get, memory for more than there is.
  return message.ParsePartialFromBoundedZeroCopyStream(&stream, size) && message.IsInitialized();
}

}  // namespace anywire
