// One runtime, one server, one channel to it: where a conformance test takes place.
#ifndef ANYWIRE_TESTS_CONFORMANCE_WORLD_H_
#define ANYWIRE_TESTS_CONFORMANCE_WORLD_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "anywire/channel.h"
#include "anywire/interceptor.h"
#include "anywire/runtime.h"
#include "anywire/server.h"
#include "anywire/service.h"
#include "gtest/gtest.h"
#include "tests/conformance/services.h"
#include "tests/conformance/setting.h"
#include "tests/support/census.h"
#include "tests/support/fault_transport.h"
#include "tests/support/relayed_transport.h"
#include "tests/support/short_io.h"
#include "tests/support/temp_dir.h"
#include "tests/support/watchdog.h"

namespace anywire::test {

enum class ServerForm { kCoroutine, kBlocking };
inline constexpr ServerForm kServerForms[] = {ServerForm::kCoroutine, ServerForm::kBlocking};
const char* ServerFormName(ServerForm form);

// Fields of a message of idl/config.proto, as the configuration file has them: {"call_window",
// "\"16KiB\""}.
using ConfigFields = std::map<std::string, std::string>;

struct WorldOptions {
  // The transports as they are, without the wrappers that faults() and relays() need.
  bool bare_transports = false;
  ServerForm form = ServerForm::kCoroutine;
  // Largest message and most calls at once that the test needs: tiny limits are not made tinier.
  size_t largest_message = 64 << 10;
  size_t concurrent_calls = 16;
  // What the test itself sets.
  ConfigFields server_limits = {};
  ConfigFields client_limits = {};
  ConfigFields runtime = {};
  ConfigFields service = {};
  // Beside the Conformance service.
  std::vector<Service*> more_services = {};
  std::vector<std::shared_ptr<ServerInterceptor>> interceptors = {};
};

class World {
 public:
  World(const Setting& setting, WorldOptions options);
  // Shuts the server down with no time to drain, if it still runs.
  ~World();

  // Where the server listens, as a URI.
  const std::string& address() const { return address_; }
  // Where clients find it, as they see it: there, or at the relay of a handicap that has a path.
  std::string address_seen();
  Runtime& runtime() { return *runtime_; }
  Server& server() { return *server_; }
  Probe& probe() { return probe_; }
  FaultControl& faults() { return faults_; }
  // Those of a handicap that has a path.
  const Relays& relays() const { return relays_; }
  // Copies of one channel.
  const Channel& channel() const { return *channel_; }
  // A channel of its own, with a connection of its own.
  Channel NewChannel() { return Channel(*runtime_, address_); }

  // Ends the server with no time to drain, and starts another at the same address (with the
  // client's limits).
  void RestartServer();
  void StopServer();
  // Without a word of shutdown.
  void DestroyServer() { server_.reset(); }

 private:
  TransportRegistry Transports();
  std::string ConfigText(const Setting& setting) const;
  void StartServer(absl::string_view target);

  const WorldOptions options_;
  const TempDir scratch_;
  FaultControl faults_;
  const bool behind_relay_;
  Relays relays_;
  Probe probe_;
  std::unique_ptr<Service> service_;
  std::string address_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<Server> server_;
  std::optional<Channel> channel_;
};

// What every conformance test has: a watchdog, a census at its end, the handicap of its setting, a
// world when it asks for one.
class SettingTest : public ::testing::TestWithParam<Setting> {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Ends the world there was, if any.
  World& NewWorld(WorldOptions options = {});
  World& NewWorld(const Setting& setting, WorldOptions options);
  // The test's world; made at the first use.
  World& world();
  Probe& probe() { return world().probe(); }

  // How long a test may take on a machine that is slow and busy. Most take less than a second.
  virtual absl::Duration TimeLimit() const { return absl::Minutes(3); }

 private:
  std::optional<Watchdog> watchdog_;
  std::optional<Census> census_;
  std::optional<ShortIo> short_io_;
  std::unique_ptr<World> world_;
};

// A fresh address of `scheme` as a URI. Nobody else listens there when this process does no more.
std::string FreshUri(TransportRegistry& registry, const std::string& scheme,
                     const std::string& scratch_dir);
// The configuration of a runtime, "" for none, with these transports.
std::unique_ptr<Runtime> MakeRuntime(TransportRegistry registry, const std::string& config_text);

}  // namespace anywire::test

// Runs the tests of a class in the settings of a list.
#define ANYWIRE_CONFORMANCE(TestClass, settings)                                              \
  INSTANTIATE_TEST_SUITE_P(Transports, TestClass, ::testing::ValuesIn(settings),              \
                           [](const ::testing::TestParamInfo<::anywire::test::Setting>& it) { \
                             return ::anywire::test::SettingName(it.param);                   \
                           })

#endif  // ANYWIRE_TESTS_CONFORMANCE_WORLD_H_
