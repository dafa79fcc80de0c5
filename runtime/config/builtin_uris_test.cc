// What users see when an address of a transport that comes with anywire is wrong.
#include <string>

#include "absl/strings/str_cat.h"
#include "anywire/builtin.h"
#include "gtest/gtest.h"
#include "runtime/config/config.h"

namespace anywire::config {
namespace {

// What is said of `uri` as where a service listens, without the place, or "OK".
std::string Said(const std::string& uri) {
  TransportRegistry registry;
  RegisterBuiltinTransports(registry);
  const absl::StatusOr<Config> config =
      ParseConfig(absl::StrCat("service {\n name: \"a\"\n listen: \"", uri, "\" }"), Format::kText,
                  "f.textproto");
  if (!config.ok()) return std::string(config.status().message());
  const absl::Status status = config->CheckTransports(registry);
  if (status.ok()) return "OK";
  constexpr absl::string_view kPlace = "f.textproto:3:10: service.listen: ";
  EXPECT_EQ(status.message().substr(0, kPlace.size()), kPlace);
  return std::string(status.message().substr(kPlace.size()));
}

TEST(BuiltinUrisTest, GoodOnes) {
  for (const char* uri : {"tcp://0.0.0.0:4000", "tcp://localhost:0", "tcp://[::1]:65535",
                          "TCP://h:1", "unix:///run/a.sock", "unix:/run/a.sock", "unix-abstract:a",
                          "shm:///run/a.sock", "udp://[::1]:4000", "inproc:a", "inproc://a/b"}) {
    EXPECT_EQ(Said(uri), "OK") << uri;
  }
}

TEST(BuiltinUrisTest, BadPort) {
  constexpr char kAllowed[] = "; allowed: host:port, 192.0.2.1:port or [2001:db8::1]:port";
  for (const char* uri :
       {"tcp://h:65536", "tcp://h:-1", "tcp://h:", "tcp://h:http", "tcp://h:1 "}) {
    EXPECT_EQ(Said(uri),
              absl::StrCat("\"", uri, "\": the port is not a number from 0 to 65535", kAllowed));
  }
  EXPECT_EQ(Said("tcp://h"), absl::StrCat("\"tcp://h\": the port is missing", kAllowed));
  EXPECT_EQ(Said("tcp://::1:80"),
            absl::StrCat("\"tcp://::1:80\": an IPv6 address without brackets", kAllowed));
}

TEST(BuiltinUrisTest, BadPathOrName) {
  EXPECT_EQ(Said("unix://run/a"),
            "\"unix://run/a\": the path \"run/a\" is relative; allowed: unix:///absolute/path");
  EXPECT_EQ(Said("unix:"), "\"unix:\": the path is missing; allowed: unix:///absolute/path");
  EXPECT_EQ(Said("unix:///run/"),
            "\"unix:///run/\": the path names a folder; allowed: the path of a socket");
  EXPECT_EQ(Said("shm:"), "\"shm:\": the path is missing; allowed: shm:///absolute/path");
  EXPECT_EQ(Said("inproc:"), "\"inproc:\": the name is missing; allowed: inproc:name");
}

TEST(BuiltinUrisTest, UnknownSchemeListsThoseThereAre) {
  EXPECT_EQ(Said("unx:///run/a"),
            "unknown scheme \"unx\" in \"unx:///run/a\" (did you mean \"unix\"?); allowed: inproc, "
            "unix, unix-abstract, shm, tcp, udp");
  EXPECT_EQ(Said("http://h:1"),
            "unknown scheme \"http\" in \"http://h:1\"; allowed: inproc, unix, unix-abstract, shm, "
            "tcp, udp");
}

}  // namespace
}  // namespace anywire::config
