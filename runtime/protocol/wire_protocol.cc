#include "runtime/protocol/wire_protocol.h"

#include "runtime/protocol/wire_client.h"
#include "runtime/protocol/wire_server.h"

namespace anywire::protocol {

std::unique_ptr<Protocol> MakeWireClient(FrameSink& sink, FrameSizes frame_sizes,
                                         const Limits& limits, Instant now) {
  return std::make_unique<WireClient>(sink, frame_sizes, limits, now);
}

std::unique_ptr<Protocol> MakeWireServer(FrameSink& sink, FrameSizes frame_sizes,
                                         const Limits& limits, Instant now, CallFactory& factory) {
  return std::make_unique<WireServer>(sink, frame_sizes, limits, now, factory);
}

}  // namespace anywire::protocol
