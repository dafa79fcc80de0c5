// Protobuf messages to payloads, and back.
#ifndef ANYWIRE_RUNTIME_SERVER_MESSAGE_CODEC_H_
#define ANYWIRE_RUNTIME_SERVER_MESSAGE_CODEC_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "google/protobuf/message_lite.h"
#include "runtime/protocol/protocol.h"

namespace anywire {

// Makes a payload of a reply, whose bytes are written when the machine asks for them; the message
// stays as it is until then. INTERNAL: required fields (proto2) are missing. RESOURCE_EXHAUSTED: 2
// GiB or more.
absl::Status MakePayload(const google::protobuf::MessageLite& reply, protocol::Payload& payload);

// INTERNAL for bytes that are no message of this type, or one that lacks required fields.
absl::Status ParseRequest(absl::Span<const uint8_t> bytes, google::protobuf::MessageLite& request);

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_MESSAGE_CODEC_H_
