#include "runtime/config/config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/config/fake_transports.h"
#include "runtime/config/testing.h"

namespace anywire::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Config Parse(absl::string_view text, Format format = Format::kText) {
  absl::StatusOr<Config> config = ParseConfig(text, format, "test.cfg");
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? *std::move(config) : Config();
}

constexpr absl::string_view kTwoServices =
    R"(service { name: "greeter" listen: "tcp://h:1" listen: "unix:///a" connect: "tcp://h:1" }
       service { name: "files" connect: "UNIX:/b" })";

TEST(ConfigTest, WithoutAFileEverythingIsAtItsDefault) {
  const Config config;
  EXPECT_EQ(config.file(), "");
  EXPECT_THAT(config.services(), IsEmpty());
  EXPECT_EQ(config.FindService("greeter"), nullptr);
  EXPECT_EQ(Differences(Describe(config.runtime()), Describe(RuntimeOptions())), "");
  EXPECT_EQ(Differences(Describe(config.defaults().limits), Describe(protocol::Limits())), "");
  EXPECT_EQ(config.defaults().drain_timeout, absl::Seconds(30));
  EXPECT_EQ(config.defaults().call_timeout, absl::InfiniteDuration());
  EXPECT_EQ(config.defaults().unix_socket_mode, std::nullopt);
  EXPECT_EQ(config.defaults().shm_in_place, std::nullopt);
  EXPECT_EQ(config.defaults().udp_congestion_control, std::nullopt);
  EXPECT_EQ(config.defaults().udp_window, std::nullopt);
}

TEST(ConfigTest, EmptyFileIsAsNoFile) {
  for (const auto& [text, format] : {std::pair("", Format::kText),
                                     {"# nothing\n", Format::kText},
                                     {"{}", Format::kJson},
                                     {" {\n} \n", Format::kJson},
                                     {R"({"service": null, "limits": null})", Format::kJson}}) {
    const Config config = Parse(text, format);
    EXPECT_EQ(config.file(), "test.cfg");
    EXPECT_EQ(Differences(Describe(config.defaults()), Describe(Config().defaults())), "");
  }
}

TEST(ConfigTest, SamplesOfBothFormatsSayTheSame) {
  const Config text = Parse(TestData("sample.textproto"));
  const Config json = Parse(TestData("sample.json"), Format::kJson);
  EXPECT_EQ(Describe(text.runtime()), Describe(json.runtime()));
  EXPECT_EQ(Describe(text.defaults()), Describe(json.defaults()));
  ASSERT_EQ(text.services().size(), 2u);
  ASSERT_EQ(json.services().size(), 2u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Describe(text.services()[i]), Describe(json.services()[i]));
  }
  EXPECT_TRUE(text.CheckTransports(FakeTransports()).ok());

  EXPECT_EQ(text.runtime().io_threads, 2u);
  EXPECT_EQ(text.runtime().worker_threads, 32u);
  EXPECT_EQ(text.runtime().drain_timeout, absl::Seconds(90));
  const ServiceOptions& greeter = text.services()[0];
  EXPECT_EQ(greeter.name, "greeter");
  EXPECT_THAT(greeter.listen, ElementsAre("unix:///run/greeter.sock", "tcp://0.0.0.0:4000"));
  EXPECT_EQ(greeter.connect, "unix:///run/greeter.sock");
  EXPECT_EQ(greeter.unix_socket_mode, 0660u);
  EXPECT_EQ(greeter.shm_ring_size, size_t{256} << 10);
  EXPECT_EQ(greeter.shm_in_place, InPlace::kNever);
  EXPECT_EQ(greeter.udp_congestion_control, CongestionControl::kNewReno);
  EXPECT_EQ(greeter.udp_window, size_t{4} << 20);
}

TEST(ConfigTest, ServiceOverridesFileOverridesDefault) {
  const Config config = Parse(TestData("sample.textproto"));
  const ServiceOptions& greeter = *config.FindService("greeter");
  const ServiceOptions& files = *config.FindService("files");
  // The service's own.
  EXPECT_EQ(files.limits.max_receive_message_size, 64u << 20);
  EXPECT_EQ(files.limits.call_window, 4u << 20);
  EXPECT_EQ(files.call_timeout, absl::Minutes(10));
  // The file's.
  EXPECT_EQ(files.limits.max_concurrent_calls, 256u);
  EXPECT_EQ(greeter.limits.keepalive_time, std::chrono::minutes(1));
  EXPECT_EQ(greeter.call_timeout, absl::Seconds(5));
  EXPECT_EQ(config.defaults().call_timeout, absl::Seconds(5));
  // The default.
  EXPECT_EQ(greeter.limits.max_receive_message_size, 4u << 20);
  EXPECT_EQ(files.connect_timeout, absl::Seconds(10));
  EXPECT_EQ(files.max_connections, 4096u);
}

TEST(ConfigTest, TextFormatInAllItsSpellings) {
  const Config plain = Parse(
      R"(service { name: "a" listen: "tcp://h:1" listen: "tcp://h:2" } runtime { io_threads: 16 })");
  const Config fancy = Parse(R"(
    service: [ < name: 'a', listen: ["tcp" "://h:1", 'tcp://\150:2'], > ];  # a comment
    runtime: { io_threads: 0x10; })");
  ASSERT_EQ(fancy.services().size(), 1u);
  EXPECT_EQ(Describe(plain.services()[0]), Describe(fancy.services()[0]));
  EXPECT_EQ(fancy.runtime().io_threads, 16u);
}

TEST(ConfigTest, JsonInAllItsSpellings) {
  const Config config =
      Parse(R"({"service":[{"name":"\u0061\/b","listen":[],"connect":"inproc:\ud83d\ude00"}],)"
            "\t\"runtime\"\r\n: {\"io_threads\" : 3}}",
            Format::kJson);
  ASSERT_EQ(config.services().size(), 1u);
  EXPECT_EQ(config.services()[0].name, "a/b");
  EXPECT_EQ(config.services()[0].connect, "inproc:\xF0\x9F\x98\x80");
  EXPECT_EQ(config.runtime().io_threads, 3u);
}

TEST(ConfigTest, InfiniteKeepaliveCanBeAddedToTheTime) {
  const Config config = Parse(R"(limits { keepalive_time: "inf" })");
  EXPECT_EQ(config.defaults().limits.keepalive_time, kForever);
  const auto now = std::chrono::steady_clock::now();
  EXPECT_GT(now + config.defaults().limits.keepalive_time, now + std::chrono::hours(24 * 365));
}

TEST(ConfigTest, FormatIsByTheName) {
  EXPECT_EQ(FormatOf("a.json"), Format::kJson);
  EXPECT_EQ(FormatOf("/etc/a.JSON"), Format::kJson);
  EXPECT_EQ(FormatOf("a.json.textproto"), Format::kText);
  EXPECT_EQ(FormatOf("a.txtpb"), Format::kText);
  EXPECT_EQ(FormatOf("anything"), Format::kText);
  EXPECT_EQ(FormatOf(""), Format::kText);
}

// ---- targets ----

TEST(ResolveTest, NameGivesWhereToConnect) {
  const TransportRegistry registry = FakeTransports();
  const Config config = Parse(kTwoServices);
  const absl::StatusOr<ConnectTarget> greeter = config.ResolveTarget("greeter", registry);
  ASSERT_TRUE(greeter.ok()) << greeter.status();
  EXPECT_EQ(greeter->uri, "tcp://h:1");
  EXPECT_EQ(greeter->transport, registry.transports()[1]);
  EXPECT_EQ(greeter->address, "h:1");
  EXPECT_EQ(greeter->options, config.FindService("greeter"));
  const absl::StatusOr<ConnectTarget> files = config.ResolveTarget("files", registry);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->transport, registry.transports()[2]);
  EXPECT_EQ(files->address, "/b");
}

TEST(ResolveTest, NameGivesWhereToListen) {
  const TransportRegistry registry = FakeTransports();
  const Config config = Parse(kTwoServices);
  const absl::StatusOr<ListenTarget> greeter = config.ResolveListen("greeter", registry);
  ASSERT_TRUE(greeter.ok()) << greeter.status();
  ASSERT_EQ(greeter->addresses.size(), 2u);
  EXPECT_EQ(greeter->addresses[0].uri, "tcp://h:1");
  EXPECT_EQ(greeter->addresses[1].uri, "unix:///a");
  EXPECT_EQ(greeter->addresses[1].address, "/a");
  EXPECT_EQ(greeter->addresses[1].transport, registry.transports()[2]);
  EXPECT_EQ(greeter->options, config.FindService("greeter"));
}

TEST(ResolveTest, UriNeedsNoFile) {
  const TransportRegistry registry = FakeTransports();
  const Config config;
  const absl::StatusOr<ConnectTarget> target = config.ResolveTarget("tcp://h:9", registry);
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_EQ(target->address, "h:9");
  EXPECT_EQ(target->options, &config.defaults());
  const absl::StatusOr<ListenTarget> listen = config.ResolveListen("inproc:x", registry);
  ASSERT_TRUE(listen.ok()) << listen.status();
  ASSERT_EQ(listen->addresses.size(), 1u);
  EXPECT_EQ(listen->addresses[0].uri, "inproc:x");
}

TEST(ResolveTest, UnknownNameListsTheKnownOnes) {
  const absl::Status status =
      Parse(kTwoServices).ResolveTarget("greter", FakeTransports()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(),
            "test.cfg: no service is named \"greter\" (did you mean \"greeter\"?); allowed: "
            "greeter, files, or a URI (inproc, tcp, unix)");
  EXPECT_EQ(Parse(kTwoServices).ResolveListen("", FakeTransports()).status().message(),
            "test.cfg: no service is named \"\"; allowed: greeter, files, or a URI (inproc, tcp, "
            "unix)");
  EXPECT_EQ(Parse("").ResolveTarget("a\nb", FakeTransports()).status().message(),
            "test.cfg: no service is named \"a\\nb\"; allowed: a URI (inproc, tcp, unix)");
}

TEST(ResolveTest, ManyKnownNamesAreCut) {
  std::string text;
  for (int i = 0; i < 30; ++i) {
    absl::StrAppend(&text, "service { name: \"s", i, "\" connect: \"tcp://h:1\" }\n");
  }
  EXPECT_THAT(Parse(text).ResolveTarget("greeter", FakeTransports()).status().message(),
              HasSubstr("s22, s23 and 6 more, or a URI"));
}

TEST(ResolveTest, NameWithoutAFileSaysHowToNameOne) {
  const absl::Status status = Config().ResolveTarget("greeter", FakeTransports()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(),
            "\"greeter\" is the name of a service, but there is no configuration file: name one by "
            "--anywire_config or ANYWIRE_CONFIG; allowed without one: a URI (inproc, tcp, unix)");
}

TEST(ResolveTest, ServiceWithoutTheSideThatIsAskedFor) {
  const Config config = Parse(R"(service { name: "in" listen: "tcp://h:1" }
                                 service { name: "out" connect: "tcp://h:1" })");
  const absl::Status in = config.ResolveTarget("in", FakeTransports()).status();
  EXPECT_EQ(in.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(in.message(),
            "test.cfg:1:1: service \"in\" has no connect, so no client can reach it by name");
  const absl::Status out = config.ResolveListen("out", FakeTransports()).status();
  EXPECT_EQ(out.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(out.message(),
            "test.cfg:2:34: service \"out\" has no listen, so no server can offer it by name");
}

TEST(ResolveTest, BadUri) {
  const auto said = [](absl::string_view target) {
    const absl::Status status = Config().ResolveTarget(target, FakeTransports()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_EQ(said("tpc://h:1"),
            "unknown scheme \"tpc\" in \"tpc://h:1\" (did you mean \"tcp\"?); allowed: inproc, "
            "tcp, unix");
  EXPECT_EQ(said("localhost:4000"),
            "unknown scheme \"localhost\" in \"localhost:4000\" (did you mean "
            "\"tcp://localhost:4000\"?); allowed: inproc, tcp, unix");
  EXPECT_EQ(said("tcp://h:70000"), "\"tcp://h:70000\": bad port \"70000\"; allowed: 0 to 65535");
  EXPECT_EQ(said(":"), "unknown scheme \"\" in \":\"; allowed: inproc, tcp, unix");
}

// ---- files ----

TEST(LoadConfigTest, ReadsTheFileInTheFormatOfItsName) {
  const absl::StatusOr<Config> text =
      LoadConfig(WriteFile("good.cfg", "runtime { io_threads: 3 }"));
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->runtime().io_threads, 3u);
  const std::string path = WriteFile("good.json", R"({"runtime": {"ioThreads": 5}})");
  const absl::StatusOr<Config> json = LoadConfig(path);
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(json->runtime().io_threads, 5u);
  EXPECT_EQ(json->file(), path);
  EXPECT_TRUE(LoadConfig("/dev/null").ok());
}

constexpr char kAllowedFile[] =
    "; allowed: a readable file; one named *.json is read as JSON, any other as text format";

TEST(LoadConfigTest, MissingFile) {
  const absl::Status status = LoadConfig("/nowhere/a.cfg", "ANYWIRE_CONFIG").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(),
            absl::StrCat("/nowhere/a.cfg: there is no such file (named by ANYWIRE_CONFIG)",
                         kAllowedFile));
  char directory[4096];
  ASSERT_NE(getcwd(directory, sizeof(directory)), nullptr);
  EXPECT_EQ(LoadConfig("a\x1b.cfg").status().message(),
            absl::StrCat("a\\x1b.cfg: there is no such file in ", directory, kAllowedFile));
  EXPECT_EQ(LoadConfig("").status().code(), absl::StatusCode::kNotFound);
}

TEST(LoadConfigTest, NotAFile) {
  const std::string directory = testing::TempDir() + "/directory.json";
  mkdir(directory.c_str(), 0777);
  EXPECT_EQ(LoadConfig(directory).status(),
            absl::InvalidArgumentError(
                absl::StrCat(directory, ": it is a directory, not a file", kAllowedFile)));
  const std::string pipe = testing::TempDir() + "/pipe";
  unlink(pipe.c_str());
  ASSERT_EQ(mkfifo(pipe.c_str(), 0666), 0);
  EXPECT_EQ(LoadConfig(pipe).status(), absl::InvalidArgumentError(absl::StrCat(
                                           pipe, ": it is a pipe, not a file", kAllowedFile)));
  EXPECT_EQ(LoadConfig("/dev/zero").status(),
            absl::InvalidArgumentError(
                absl::StrCat("/dev/zero: it is a device, not a file", kAllowedFile)));
}

TEST(LoadConfigTest, UnreadableFile) {
  const std::string path = WriteFile("secret.cfg", "");
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  // Root may read everything, so somebody else has to try.
  const bool root = geteuid() == 0;
  if (root) {
    ASSERT_EQ(seteuid(65534), 0);
  }
  const absl::Status status = LoadConfig(path).status();
  if (root) {
    ASSERT_EQ(seteuid(0), 0);
  }
  EXPECT_EQ(status, absl::PermissionDeniedError(
                        absl::StrCat(path, ": permission to read it is denied", kAllowedFile)));
}

TEST(LoadConfigTest, SizeHasALimit) {
  const auto load = [](size_t size) {
    const std::string path = WriteFile("size.cfg", "#" + std::string(size - 1, 'x'));
    return LoadConfig(path).status();
  };
  EXPECT_TRUE(load(kMaxFileSize - 1).ok());
  EXPECT_TRUE(load(kMaxFileSize).ok());
  const absl::Status status = load(kMaxFileSize + 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("it is larger than 1048576 bytes"));
}

TEST(ConfigTest, TextHasALimit) {
  const std::string text = "#" + std::string(kMaxFileSize, 'x');
  EXPECT_TRUE(ParseConfig("#" + text.substr(2), Format::kText, "f").ok());
  EXPECT_TRUE(ParseConfig(text.substr(0, kMaxFileSize), Format::kText, "f").ok());
  EXPECT_EQ(ParseConfig(text, Format::kText, "f").status(),
            absl::InvalidArgumentError("f: it has 1048577 bytes; allowed: at most 1048576 bytes"));
}

TEST(LoadConfigTest, LargeFileOfOneLineIsReadQuickly) {
  // Quadratic work would take minutes.
  std::string text;
  while (text.size() < kMaxFileSize - 64) {
    absl::StrAppend(&text, "service{name:\"s", text.size(), "\" connect:\"tcp://h:1\"} ");
  }
  const Config config = Parse(text);
  EXPECT_GT(config.services().size(), 20000u);
  EXPECT_TRUE(config.CheckTransports(FakeTransports()).ok());
}

}  // namespace
}  // namespace anywire::config
