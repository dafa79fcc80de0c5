#include "anywire/builtin.h"

#include <memory>

#include "transports/inproc/inproc_transport.h"
#include "transports/shm/shm_transport.h"
#include "transports/tcp/tcp_transport.h"
#include "transports/udp/udp_transport.h"
#include "transports/unix/unix_transport.h"

namespace anywire {

// A scheme that is taken already stays with what the caller registered for it.
void RegisterBuiltinTransports(TransportRegistry& registry) {
  registry.Register(std::make_unique<InprocTransport>()).IgnoreError();
  registry.Register(std::make_unique<UnixTransport>(UnixNamespace::kPath)).IgnoreError();
  registry.Register(std::make_unique<UnixTransport>(UnixNamespace::kAbstract)).IgnoreError();
  registry.Register(std::make_unique<ShmTransport>()).IgnoreError();
  registry.Register(std::make_unique<TcpTransport>()).IgnoreError();
  registry.Register(std::make_unique<UdpTransport>()).IgnoreError();
}

}  // namespace anywire
