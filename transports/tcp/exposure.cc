#include "transports/tcp/exposure.h"

#include <cstdio>

namespace anywire {

void WarnIfExposed(const SocketAddress& bound, const std::string& uri) {
  if (bound.IsLoopback()) return;
  std::fprintf(stderr,
               "anywire: warning: %s listens beyond this host without encryption: whoever is on "
               "the network can read, change and make calls\n",
               uri.c_str());
}

}  // namespace anywire
