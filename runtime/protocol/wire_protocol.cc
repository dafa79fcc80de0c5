#include "runtime/protocol/wire_protocol.h"

#include "runtime/protocol/wire_client.h"
#include "runtime/protocol/wire_server.h"

namespace anywire::protocol {

std::unique_ptr<Protocol> MakeWireClient(FrameSink& sink, size_t max_frame_size,
                                         const Limits& limits, Instant now) {
  return std::make_unique<WireClient>(sink, max_frame_size, limits, now);
}

std::unique_ptr<Protocol> MakeWireServer(FrameSink& sink, size_t max_frame_size,
                                         const Limits& limits, Instant now, CallFactory& factory) {
  return std::make_unique<WireServer>(sink, max_frame_size, limits, now, factory);
}

}  // namespace anywire::protocol
