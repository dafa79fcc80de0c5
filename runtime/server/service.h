// The bases of generated services, and how their methods are bound to calls.
#ifndef ANYWIRE_RUNTIME_SERVER_SERVICE_H_
#define ANYWIRE_RUNTIME_SERVER_SERVICE_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "anywire/method.h"
#include "anywire/server_context.h"
#include "anywire/server_streams.h"
#include "anywire/task.h"
#include "runtime/server/method_handler.h"

namespace anywire {

// Collects a service's handlers. The form of a handler follows from its signature: a coroutine returns Task<absl::Status>
// and runs on the connection's thread, an ordinary function returns absl::Status and runs on the worker pool.
class MethodBinder {
 public:
  // Unary, coroutine and blocking.
  template <typename S, typename Request, typename Reply>
  void Add(const Method& method, S* service,
           Task<absl::Status> (S::*handler)(ServerContext&, const Request&, Reply*));
  template <typename S, typename Request, typename Reply>
  void Add(const Method& method, S* service, absl::Status (S::*handler)(ServerContext&, const Request&, Reply*));
  // Server streaming.
  template <typename S, typename Request, typename Reply>
  void Add(const Method& method, S* service,
           Task<absl::Status> (S::*handler)(ServerContext&, const Request&, ServerWriter<Reply>&));
  template <typename S, typename Request, typename Reply>
  void Add(const Method& method, S* service,
           absl::Status (S::*handler)(ServerContext&, const Request&, BlockingServerWriter<Reply>&));
  // Client streaming.
  template <typename S, typename Request, typename Reply>
  void Add(const Method& method, S* service,
           Task<absl::Status> (S::*handler)(ServerContext&, ServerReader<Request>&, Reply*));
  template <typename S, typename Request, typename Reply>
  void Add(const Method& method, S* service,
           absl::Status (S::*handler)(ServerContext&, BlockingServerReader<Request>&, Reply*));
  // Both ways.
  template <typename S, typename Request, typename Reply>
  void Add(const Method& method, S* service,
           Task<absl::Status> (S::*handler)(ServerContext&, ServerReaderWriter<Request, Reply>&));
  template <typename S, typename Request, typename Reply>
  void Add(const Method& method, S* service,
           absl::Status (S::*handler)(ServerContext&, BlockingServerReaderWriter<Request, Reply>&));
};

// A service that a Server can have. Derived from by generated classes only. Handlers run for many calls at the same time,
// on several threads.
class Service {
 public:
  virtual ~Service() = default;
  // "package.Service"
  virtual absl::string_view service_name() const = 0;
  // Binds every method; called once for each server that the service is added to.
  virtual void Bind(MethodBinder& binder) = 0;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_SERVICE_H_
