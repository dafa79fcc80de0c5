// echo.proto's service.
#ifndef ANYWIRE_TESTS_SUPPORT_ECHO_SERVICE_H_
#define ANYWIRE_TESTS_SUPPORT_ECHO_SERVICE_H_

#include <functional>
#include <utility>

#include "absl/strings/string_view.h"
#include "tests/support/echo.anywire.h"

namespace anywire::test {

class EchoService final : public echo::Echo::Service {
 public:
  EchoService() = default;
  // `on_call` hears of every call that runs, by its payload; on any thread.
  explicit EchoService(std::function<void(absl::string_view)> on_call)
      : on_call_(std::move(on_call)) {}

 private:
  Task<absl::Status> Echo(ServerContext&, const echo::Message& request,
                          echo::Message* reply) override {
    if (on_call_) on_call_(request.payload());
    *reply = request;
    co_return absl::OkStatus();
  }

  const std::function<void(absl::string_view)> on_call_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_ECHO_SERVICE_H_
