// Where a conformance test runs: on one transport, with one handicap.
#ifndef ANYWIRE_TESTS_CONFORMANCE_SETTING_H_
#define ANYWIRE_TESTS_CONFORMANCE_SETTING_H_

#include <cstddef>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "anywire/registry.h"
#include "tests/conformance/rpc_suite.h"
#include "tests/support/fault_transport.h"
#include "tests/support/network_path.h"

namespace anywire::test {

// What makes life harder than a transport alone does.
struct Handicap {
  std::string name;
  // Most bytes a read or write on a byte stream moves; 0: no limit.
  size_t io_piece = 0;
  FaultPlan faults;
  // What datagrams meet between client and server.
  std::optional<PathOptions> path = std::nullopt;
  // Windows and tables as small as the configuration allows.
  bool tiny_limits = false;
};

// plain, one_byte, delayed, tiny_frames, tiny_limits, lossy.
std::vector<Handicap> AllHandicaps();

struct Setting {
  std::string scheme;
  Handicap handicap;
};
std::ostream& operator<<(std::ostream& out, const Setting& setting);
// For INSTANTIATE_TEST_SUITE_P: letters, digits and '_'.
std::string SettingName(const Setting& setting);

// Makes the registry of the transports under test. Set by RunRpcSuite before tests are made of it.
using RegistryFactory = TransportRegistry (*)();
void SetRegistryFactory(RegistryFactory factory);
TransportRegistry MakeRegistry();

// What is particular to which transports; set as the factory is.
void SetSuiteOptions(const RpcSuiteOptions& options);
const RpcSuiteOptions& SuiteOptions();

// Every transport of the registry, with every handicap that can bite it, or with none.
std::vector<Setting> AllSettings();
std::vector<Setting> PlainSettings();
// Those without handicap of which both ends may be processes of their own.
std::vector<Setting> ProcessSettings();

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_CONFORMANCE_SETTING_H_
