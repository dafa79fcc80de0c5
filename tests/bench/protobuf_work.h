// What any RPC with protobuf has to do for an echo, and nothing else: the part of a call that no
// system can save.
#ifndef ANYWIRE_TESTS_BENCH_PROTOBUF_WORK_H_
#define ANYWIRE_TESTS_BENCH_PROTOBUF_WORK_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "tests/bench/bench.pb.h"
#include "tests/bench/system.h"

namespace anywire::bench {

// Appends `message`, serialised. `frame_size` more bytes are left free in front of it.
inline void AppendSerialised(const EchoMessage& message, size_t frame_size, std::string* out) {
  const size_t size = message.ByteSizeLong();
  const size_t begin = out->size() + frame_size;
  out->resize(begin + size);
  message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(out->data() + begin));
}

inline void Parse(absl::string_view bytes, EchoMessage* message) {
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    Die("bytes that are no message");
  }
}

// The server's part: parses the request, answers it, appends the reply behind `frame_size` free
// bytes.
inline void AnswerEcho(absl::string_view request_bytes, size_t frame_size, std::string* out) {
  thread_local EchoMessage request;
  thread_local EchoMessage reply;
  Parse(request_bytes, &request);
  reply.set_payload(request.payload());
  AppendSerialised(reply, frame_size, out);
}

// The client's: parses the reply and looks at it.
inline void TakeReply(const EchoMessage& request, absl::string_view reply_bytes) {
  EchoMessage reply;
  Parse(reply_bytes, &reply);
  CheckReply(request, reply.payload());
}

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_PROTOBUF_WORK_H_
