// The bases of generated services, and how their methods are bound to calls.
#ifndef ANYWIRE_RUNTIME_SERVER_SERVICE_H_
#define ANYWIRE_RUNTIME_SERVER_SERVICE_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "anywire/method.h"
#include "anywire/server_context.h"
#include "anywire/server_streams.h"
#include "anywire/task.h"
#include "runtime/server/method_handler.h"
#include "runtime/server/typed_handler.h"

namespace anywire {

// Collects a service's handlers.
class MethodBinder {
 public:
  // Binds `method` to a member function of `service`. The form of a handler follows from its
  // signature: a coroutine returns Task<absl::Status> and runs on the connection's thread, an
  // ordinary function returns absl::Status and runs on the worker pool. Its parameters after the
  // ServerContext& are, by the method's shape,
  //
  //   unary              const Request&, Reply*
  //   client streaming   ServerReader<Request>&, Reply*
  //   server streaming   const Request&, ServerWriter<Reply>&
  //   both ways          ServerReaderWriter<Request, Reply>&
  //
  // with BlockingServerReader and so on for ordinary functions. `method` and `service` outlive the
  // server.
  template <typename S, typename Result, typename... Parameters>
  void Add(const Method& method, S* service, Result (S::*handler)(ServerContext&, Parameters...)) {
    handlers_.push_back(std::make_unique<internal::TypedHandler<S, Result, Parameters...>>(
        method, service, handler));
  }

  std::vector<std::unique_ptr<internal::MethodHandler>> TakeHandlers() {
    return std::move(handlers_);
  }

 private:
  std::vector<std::unique_ptr<internal::MethodHandler>> handlers_;
};

// A service that a Server can have. Derived from by generated classes only. Handlers run for many
// calls at the same time, on several threads.
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
