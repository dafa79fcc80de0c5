// Looks up names on threads of its own, since getaddrinfo(3) takes its time and cannot be stopped.
#ifndef ANYWIRE_TRANSPORTS_TCP_RESOLVER_H_
#define ANYWIRE_TRANSPORTS_TCP_RESOLVER_H_

#include <kj/async.h>

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "anywire/event_loop.h"
#include "transports/tcp/socket_address.h"

namespace anywire {

class Resolver {
 public:
  using Addresses = absl::StatusOr<std::vector<SocketAddress>>;
  using LookUpFunction = absl::StatusOr<std::vector<SocketAddress>> (*)(const HostPort&);

  static constexpr int kMaxThreads = 8;
  static constexpr size_t kMaxWaiting = 1024;  // lookups; further are RESOURCE_EXHAUSTED

  Resolver();
  explicit Resolver(LookUpFunction function);  // for tests
  ~Resolver();

  // On `loop`'s thread. Numeric addresses are there at once. Dropping the promise forgets the
  // lookup; what already runs in the system goes on, harmlessly, even after the resolver.
  kj::Promise<Addresses> Resolve(EventLoop& loop, HostPort host_port);

 private:
  struct Lookup;
  struct Queue;
  class Adapter;

  const std::shared_ptr<Queue> queue_;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_TCP_RESOLVER_H_
