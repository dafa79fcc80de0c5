// For tests: transports that check addresses and do nothing else.
#ifndef ANYWIRE_RUNTIME_CONFIG_FAKE_TRANSPORTS_H_
#define ANYWIRE_RUNTIME_CONFIG_FAKE_TRANSPORTS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "anywire/registry.h"

namespace anywire::config {

class FakeTransport : public Transport {
 public:
  using CheckFunction = absl::Status (*)(absl::string_view address);

  FakeTransport(absl::string_view scheme, CheckFunction check) : scheme_(scheme), check_(check) {}

  absl::string_view scheme() const override { return scheme_; }
  absl::Status CheckAddress(absl::string_view address) const override { return check_(address); }

  kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> Connect(EventLoop&, absl::string_view,
                                                                   const ConnectOptions&) override {
    return absl::StatusOr<std::unique_ptr<Connection>>(absl::UnavailableError("a fake"));
  }
  absl::StatusOr<std::unique_ptr<Listener>> Listen(EventLoop&, absl::string_view,
                                                   const ListenOptions&) override {
    return absl::UnavailableError("a fake");
  }
  std::string FreshAddress(absl::string_view) override { return "fresh"; }

 private:
  const std::string scheme_;
  const CheckFunction check_;
};

// inproc (any address), tcp (host:port) and unix (an absolute path).
inline TransportRegistry FakeTransports() {
  const auto any = [](absl::string_view) { return absl::OkStatus(); };
  const auto host_and_port = [](absl::string_view address) {
    const size_t colon = address.rfind(':');
    uint32_t port = 0;
    if (colon == absl::string_view::npos) {
      return absl::InvalidArgumentError("no port; allowed: host:port");
    }
    const absl::string_view text = address.substr(colon + 1);
    if (!absl::SimpleAtoi(text, &port) || port > 65535) {
      return absl::InvalidArgumentError(
          absl::StrCat("bad port \"", text, "\"; allowed: 0 to 65535"));
    }
    return absl::OkStatus();
  };
  const auto absolute_path = [](absl::string_view address) {
    return !address.empty() && address[0] == '/'
               ? absl::OkStatus()
               : absl::InvalidArgumentError("no absolute path; allowed: unix:///path");
  };
  TransportRegistry registry;
  for (const auto& [scheme, check] :
       {std::pair<absl::string_view, FakeTransport::CheckFunction>("inproc", any),
        {"tcp", host_and_port},
        {"unix", absolute_path}}) {
    registry.Register(std::make_unique<FakeTransport>(scheme, check)).IgnoreError();
  }
  return registry;
}

}  // namespace anywire::config

#endif  // ANYWIRE_RUNTIME_CONFIG_FAKE_TRANSPORTS_H_
