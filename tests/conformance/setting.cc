#include "tests/conformance/setting.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/support/relayed_transport.h"

namespace anywire::test {
namespace {

// GoogleTest asks for the parameters of tests before any object of ours could hand them over.
RegistryFactory registry_factory = nullptr;
RpcSuiteOptions& Options() {
  static auto& options = *new RpcSuiteOptions;
  return options;
}

bool Names(const std::vector<std::string>& schemes, absl::string_view scheme) {
  return std::find(schemes.begin(), schemes.end(), scheme) != schemes.end();
}

std::vector<Setting> SettingsWith(const std::vector<Handicap>& handicaps) {
  std::vector<Setting> settings;
  const TransportRegistry registry = MakeRegistry();
  for (const Transport* transport : registry.transports()) {
    const bool streams = !Names(Options().schemes_without_streams, transport->scheme());
    const bool datagrams = Names(Options().datagram_schemes, transport->scheme());
    for (const Handicap& handicap : handicaps) {
      if (handicap.io_piece > 0 && !streams) continue;
      if (handicap.path.has_value() && !datagrams) continue;
      settings.push_back({std::string(transport->scheme()), handicap});
    }
  }
  return settings;
}

}  // namespace

std::vector<Handicap> AllHandicaps() {
  return {
      {.name = "plain", .io_piece = 0, .faults = {}, .tiny_limits = false},
      {.name = "one_byte", .io_piece = 1, .faults = {}, .tiny_limits = false},
      {.name = "delayed",
       .io_piece = 0,
       .faults = {.max_delay = absl::Microseconds(100),
                  .reorder_streams = true,
                  .refusals_per_mille = 200},
       .tiny_limits = false},
      {.name = "tiny_frames",
       .io_piece = 0,
       .faults = {.max_frame_size = 1024,
                  .reorder_streams = true,
                  .refusals_per_mille = 100,
                  .room = 4096},
       .tiny_limits = false},
      {.name = "tiny_limits", .io_piece = 0, .faults = {}, .tiny_limits = true},
      {.name = "lossy", .io_piece = 0, .faults = {}, .path = LossyPath(), .tiny_limits = false},
  };
}

std::ostream& operator<<(std::ostream& out, const Setting& setting) {
  return out << setting.scheme << ", " << setting.handicap.name;
}

std::string SettingName(const Setting& setting) {
  std::string name = absl::StrCat(setting.scheme, "_", setting.handicap.name);
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !absl::ascii_isalnum(c); }, '_');
  return name;
}

void SetRegistryFactory(RegistryFactory factory) { registry_factory = factory; }

TransportRegistry MakeRegistry() {
  if (registry_factory == nullptr) {
    std::fputs("these tests must be run by RunRpcSuite\n", stderr);
    std::abort();
  }
  return registry_factory();
}

void SetSuiteOptions(const RpcSuiteOptions& options) { Options() = options; }
const RpcSuiteOptions& SuiteOptions() { return Options(); }

std::vector<Setting> AllSettings() { return SettingsWith(AllHandicaps()); }

std::vector<Setting> PlainSettings() { return SettingsWith({AllHandicaps()[0]}); }

std::vector<Setting> ProcessSettings() {
  std::vector<Setting> settings;
  for (Setting& setting : PlainSettings()) {
    if (!Names(Options().in_process_schemes, setting.scheme)) {
      settings.push_back(std::move(setting));
    }
  }
  return settings;
}

}  // namespace anywire::test
