// A server of echo.proto over datagrams, and clients of it, each with a runtime of its own.
#ifndef ANYWIRE_TESTS_UDP_LIVE_SERVER_H_
#define ANYWIRE_TESTS_UDP_LIVE_SERVER_H_

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "anywire/channel.h"
#include "anywire/registry.h"
#include "anywire/runtime.h"
#include "anywire/server.h"
#include "runtime/config/config.h"
#include "tests/support/echo_service.h"
#include "transports/udp/udp_transport.h"

namespace anywire::test {

inline std::unique_ptr<Runtime> UdpRuntime(const udp::UdpOptions& options = {}) {
  TransportRegistry registry;
  registry.Register(std::make_unique<UdpTransport>(options)).IgnoreError();
  return std::make_unique<Runtime>(std::move(registry), config::Config());
}

class LiveServer {
 public:
  // `on_call`: EchoService's.
  explicit LiveServer(std::function<void(absl::string_view)> on_call = nullptr,
                      const udp::UdpOptions& options = {})
      : service_(std::move(on_call)),
        runtime_(UdpRuntime(options)),
        server_(std::make_unique<Server>(*runtime_)) {
    server_->Listen("udp://127.0.0.1:0");
    server_->AddService(&service_);
    const absl::Status status = server_->Start();
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      std::abort();
    }
    address_ = server_->addresses().front().substr(sizeof("udp://") - 1);
  }
  ~LiveServer() {
    server_->Shutdown(absl::ZeroDuration());
    server_->Wait();
  }
  LiveServer(const LiveServer&) = delete;
  LiveServer& operator=(const LiveServer&) = delete;

  // "127.0.0.1:4000"
  const std::string& address() const { return address_; }

 private:
  EchoService service_;
  const std::unique_ptr<Runtime> runtime_;
  const std::unique_ptr<Server> server_;
  std::string address_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_UDP_LIVE_SERVER_H_
