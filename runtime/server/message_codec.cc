#include "runtime/server/message_codec.h"

#include <climits>

#include "absl/strings/str_cat.h"
#include "runtime/message/message_bytes.h"

namespace anywire {
namespace {

using google::protobuf::MessageLite;

void Write(const void* object, uint8_t* to, size_t size) {
  WriteMessage(*static_cast<const MessageLite*>(object), size, to);
}

}  // namespace

absl::Status MakePayload(const MessageLite& reply, protocol::Payload& payload) {
  if (!reply.IsInitialized()) {
    return absl::InternalError(
        absl::StrCat("a reply of type ", reply.GetTypeName(),
                     " lacks required fields: ", reply.InitializationErrorString()));
  }
  const size_t size = reply.ByteSizeLong();
  if (size > INT_MAX) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a reply of ", size, " bytes is more than Protocol Buffers can hold"));
  }
  payload = {.size = size, .object = &reply, .write = Write};
  return absl::OkStatus();
}

absl::Status ParseRequest(absl::Span<const uint8_t> bytes, MessageLite& request) {
  if (ReadMessage(bytes, request)) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("could not parse a request of type ", request.GetTypeName()));
}

}  // namespace anywire
