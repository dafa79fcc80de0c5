// A server and a client of echo.proto with a runtime of their own, over shared memory alone.
#ifndef ANYWIRE_TESTS_SHM_ECHO_H_
#define ANYWIRE_TESTS_SHM_ECHO_H_

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "anywire/channel.h"
#include "anywire/registry.h"
#include "anywire/runtime.h"
#include "anywire/server.h"
#include "runtime/config/config.h"
#include "tests/support/echo_service.h"
#include "transports/shm/shm_transport.h"

namespace anywire::test {

inline std::unique_ptr<Runtime> ShmRuntime(const ShmOptions& options, config::Config config = {}) {
  TransportRegistry registry;
  registry.Register(std::make_unique<ShmTransport>(options)).IgnoreError();
  return std::make_unique<Runtime>(std::move(registry), std::move(config));
}

class EchoServer {
 public:
  EchoServer(const std::string& path, const ShmOptions& options, config::Config config = {})
      : runtime_(ShmRuntime(options, std::move(config))),
        server_(std::make_unique<Server>(*runtime_)) {
    server_->Listen(absl::StrCat("shm://", path));
    server_->AddService(&service_);
    const absl::Status status = server_->Start();
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      std::abort();
    }
  }
  ~EchoServer() {
    server_->Shutdown(absl::ZeroDuration());
    server_->Wait();
  }
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;

 private:
  EchoService service_;
  const std::unique_ptr<Runtime> runtime_;
  const std::unique_ptr<Server> server_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SHM_ECHO_H_
