#include "tests/conformance/world.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/config/config.h"
#include "tests/support/own_loopback.h"
#include "tests/support/seed.h"

namespace anywire::test {
namespace {

// The name in the configuration under which the server listens.
constexpr char kServerName[] = "server";

[[noreturn]] void Give(absl::string_view what, const absl::Status& status) {
  std::fprintf(stderr, "%s: %s\n", std::string(what).c_str(), status.ToString().c_str());
  std::abort();
}

std::string Message(absl::string_view name, const ConfigFields& fields) {
  std::string text = absl::StrCat(name, " {");
  for (const auto& [key, value] : fields) absl::StrAppend(&text, " ", key, ": ", value);
  return text + " }\n";
}

std::string Size(size_t bytes) { return absl::StrCat("\"", bytes, "B\""); }

// `fields` where they say something, the handicap's where they do not.
ConfigFields LimitsOf(const Setting& setting, const WorldOptions& options, ConfigFields fields) {
  if (setting.handicap.tiny_limits) {
    fields.insert({"max_receive_message_size", Size(options.largest_message)});
    fields.insert({"max_send_message_size", Size(options.largest_message)});
    fields.insert({"call_window", "\"16KiB\""});
    fields.insert({"connection_buffer", "\"256KiB\""});
    fields.insert({"max_concurrent_calls", absl::StrCat(options.concurrent_calls)});
    fields.insert({"max_methods", "1"});
  }
  return fields;
}

// Each world of a process has another seed: they would all lose their first datagrams otherwise.
LivePathOptions PathOf(const Setting& setting) {
  if (!setting.handicap.path.has_value()) return {};
  static std::atomic<uint64_t> seed = TestSeed(1);
  return {.path = *setting.handicap.path, .seed = seed.fetch_add(1)};
}

}  // namespace

const char* ServerFormName(ServerForm form) {
  return form == ServerForm::kCoroutine ? "coroutine server" : "blocking server";
}

std::string FreshUri(TransportRegistry& registry, const std::string& scheme,
                     const std::string& scratch_dir) {
  for (Transport* transport : registry.transports()) {
    if (transport->scheme() != scheme) continue;
    const std::string address = OnOwnLoopback(transport->FreshAddress(scratch_dir));
    if (absl::StartsWith(address, scheme + ":")) return address;
    return absl::StrCat(scheme, "://", address);
  }
  Give(scheme, absl::NotFoundError("no such transport"));
}

std::unique_ptr<Runtime> MakeRuntime(TransportRegistry registry, const std::string& config_text) {
  absl::StatusOr<config::Config> config =
      config::ParseConfig(config_text, config::Format::kText, "the test's configuration");
  if (!config.ok()) Give(config_text, config.status());
  return std::make_unique<Runtime>(std::move(registry), *std::move(config));
}

World::World(const Setting& setting, WorldOptions options)
    : options_(std::move(options)),
      faults_(setting.handicap.faults),
      behind_relay_(setting.handicap.path.has_value() && !options_.bare_transports),
      relays_(PathOf(setting)) {
  TransportRegistry registry = Transports();
  address_ = FreshUri(registry, setting.scheme, scratch_.path());
  runtime_ = MakeRuntime(std::move(registry), ConfigText(setting));
  if (options_.form == ServerForm::kCoroutine) {
    service_ = std::make_unique<CoroutineConformance>(probe_);
  } else {
    service_ = std::make_unique<BlockingConformance>(probe_);
  }
  StartServer(kServerName);
  channel_.emplace(*runtime_, address_);
}

World::~World() {
  // Handlers that wait for the test go on; nobody needs them to wait any more.
  probe_.release.Open();
  channel_.reset();
  StopServer();
  faults_.Stop();
}

TransportRegistry World::Transports() {
  TransportRegistry registry = MakeRegistry();
  if (options_.bare_transports) return registry;
  if (behind_relay_) {
    registry = WithRelays(std::move(registry), SuiteOptions().datagram_schemes, relays_);
  }
  return WithFaults(std::move(registry), faults_);
}

std::string World::address_seen() {
  if (!behind_relay_) return address_;
  const size_t colon = address_.find("://");
  absl::StatusOr<UdpRelay*> relay = relays_.Before(address_.substr(colon + 3));
  if (!relay.ok()) Give(address_, relay.status());
  return absl::StrCat(address_.substr(0, colon), "://", (*relay)->address());
}

std::string World::ConfigText(const Setting& setting) const {
  ConfigFields runtime = options_.runtime;
  runtime.insert({"io_threads", "2"});
  if (setting.handicap.tiny_limits) runtime.insert({"max_spin", "\"0s\""});  // always sleeps
  ConfigFields service = options_.service;
  service["name"] = absl::StrCat("\"", kServerName, "\"");
  service["listen"] = absl::StrCat("\"", address_, "\"");
  std::string server = Message("service", service);
  server.resize(server.size() - 2);  // without its "}\n"
  return absl::StrCat(
      Message("runtime", runtime),
      Message("limits", LimitsOf(setting, options_, options_.client_limits)), server,
      Message("limits", LimitsOf(setting, options_, options_.server_limits)), "}\n");
}

void World::StartServer(absl::string_view target) {
  server_ = std::make_unique<Server>(*runtime_);
  server_->Listen(target);
  server_->AddService(service_.get());
  for (Service* service : options_.more_services) server_->AddService(service);
  for (const auto& interceptor : options_.interceptors) server_->AddInterceptor(interceptor);
  if (absl::Status started = server_->Start(); !started.ok()) Give(address_, started);
  // What the system chose: the port of "tcp://127.1.2.3:0".
  address_ = server_->addresses().front();
}

void World::StopServer() {
  if (server_ == nullptr) return;
  server_->Shutdown(absl::ZeroDuration());
  server_->Wait();
  server_.reset();
}

void World::RestartServer() {
  StopServer();
  StartServer(address_);
}

void SettingTest::SetUp() {
  const ::testing::TestInfo& info = *::testing::UnitTest::GetInstance()->current_test_info();
  watchdog_.emplace(absl::StrCat(info.test_suite_name(), ".", info.name()), TimeLimit());
  census_.emplace();
  if (GetParam().handicap.io_piece > 0) short_io_.emplace(GetParam().handicap.io_piece);
}

void SettingTest::TearDown() {
  world_.reset();
  short_io_.reset();
  const absl::Status census = census_->BackToBaseline();
  EXPECT_TRUE(census.ok()) << census;
  watchdog_.reset();
}

World& SettingTest::NewWorld(WorldOptions options) {
  return NewWorld(GetParam(), std::move(options));
}

World& SettingTest::NewWorld(const Setting& setting, WorldOptions options) {
  world_.reset();
  world_ = std::make_unique<World>(setting, std::move(options));
  return *world_;
}

World& SettingTest::world() {
  if (world_ == nullptr) NewWorld();
  return *world_;
}

}  // namespace anywire::test
