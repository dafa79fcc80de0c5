// The transports that come with anywire, one registration line each.
#ifndef ANYWIRE_TRANSPORTS_BUILTIN_H_
#define ANYWIRE_TRANSPORTS_BUILTIN_H_

#include "anywire/registry.h"

namespace anywire {

// Adds inproc, unix, unix-abstract, shm, tcp and udp to `registry`.
void RegisterBuiltinTransports(TransportRegistry& registry);

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_BUILTIN_H_
