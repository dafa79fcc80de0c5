// anywire's own call protocol, version 3, as runtime/wire/PROTOCOL.md has it to the byte.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_WIRE_PROTOCOL_H_
#define ANYWIRE_RUNTIME_PROTOCOL_WIRE_PROTOCOL_H_

#include <memory>

#include "runtime/protocol/protocol.h"

namespace anywire::protocol {

// `sink` and `factory` outlive the machine. `frame_sizes` are the sink's. The
// client's machine writes its hello at once; calls may be opened before the server's has come.
std::unique_ptr<Protocol> MakeWireClient(FrameSink& sink, FrameSizes frame_sizes,
                                         const Limits& limits, Instant now);
std::unique_ptr<Protocol> MakeWireServer(FrameSink& sink, FrameSizes frame_sizes,
                                         const Limits& limits, Instant now, CallFactory& factory);

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_WIRE_PROTOCOL_H_
