// A running server with a TestService, and a client that may break the rules.
#ifndef ANYWIRE_RUNTIME_SERVER_SERVER_CALL_TEST_BASE_H_
#define ANYWIRE_RUNTIME_SERVER_SERVER_CALL_TEST_BASE_H_

#include <memory>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "anywire/builtin.h"
#include "anywire/interceptor.h"
#include "anywire/registry.h"
#include "anywire/runtime.h"
#include "anywire/server.h"
#include "gtest/gtest.h"
#include "runtime/config/config.h"
#include "runtime/process/runtime_core.h"
#include "runtime/server/raw_client.h"
#include "runtime/server/test_service.h"

namespace anywire {

inline constexpr absl::Duration kPatience = absl::Seconds(30);
inline constexpr char kAddress[] = "inproc:server-call-test";

inline TransportRegistry Transports() {
  TransportRegistry registry;
  RegisterBuiltinTransports(registry);
  return registry;
}

inline config::Config Configured(absl::string_view text) {
  return *config::ParseConfig(text, config::Format::kText, "test");
}

class ServerCallTest : public testing::Test {
 protected:
  RawClient& Start(absl::string_view configuration = "") {
    runtime_ = std::make_unique<Runtime>(Transports(), Configured(configuration));
    server_ = std::make_unique<Server>(*runtime_);
    server_->AddService(&service_);
    for (Service* const service : services_) server_->AddService(service);
    for (const auto& interceptor : interceptors_) server_->AddInterceptor(interceptor);
    server_->Listen(kAddress);
    const absl::Status status = server_->Start();
    EXPECT_TRUE(status.ok()) << status;
    client_ = NewClient();
    return *client_;
  }

  std::unique_ptr<RawClient> NewClient() {
    return std::make_unique<RawClient>(runtime_->core().registry(), kAddress);
  }

  TestService service_;
  std::vector<Service*> services_;  // others
  std::vector<std::shared_ptr<ServerInterceptor>> interceptors_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<RawClient> client_;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_SERVER_CALL_TEST_BASE_H_
