#include "anywire/registry.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace anywire {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Knows its scheme and that "bad" is no address of it.
class NamedTransport final : public Transport {
 public:
  explicit NamedTransport(std::string scheme) : scheme_(std::move(scheme)) {}
  absl::string_view scheme() const override { return scheme_; }
  absl::Status CheckAddress(absl::string_view address) const override {
    return address == "bad" ? absl::InvalidArgumentError("bad is not good") : absl::OkStatus();
  }
  kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> Connect(EventLoop&, absl::string_view,
                                                                   const ConnectOptions&) override {
    return absl::StatusOr<std::unique_ptr<Connection>>(absl::UnavailableError("nowhere"));
  }
  absl::StatusOr<std::unique_ptr<Listener>> Listen(EventLoop&, absl::string_view,
                                                   const ListenOptions&) override {
    return absl::UnavailableError("nowhere");
  }
  std::string FreshAddress(absl::string_view) override { return "fresh"; }

 private:
  std::string scheme_;
};

absl::Status Register(TransportRegistry& registry, std::string scheme) {
  return registry.Register(std::make_unique<NamedTransport>(std::move(scheme)));
}

std::string AddressOf(const TransportRegistry& registry, absl::string_view uri) {
  absl::StatusOr<TransportRegistry::Target> target = registry.Resolve(uri);
  if (!target.ok()) return std::string(target.status().message());
  return std::string(target->transport->scheme()) + " " + target->address;
}

TEST(RegistryTest, ResolvesWithAndWithoutSlashes) {
  TransportRegistry registry;
  ASSERT_TRUE(Register(registry, "a").ok());
  ASSERT_TRUE(Register(registry, "a-b+c.1").ok());
  EXPECT_EQ("a x", AddressOf(registry, "a:x"));
  EXPECT_EQ("a x", AddressOf(registry, "a://x"));
  EXPECT_EQ("a x", AddressOf(registry, "A://x"));
  EXPECT_EQ("a /x/y", AddressOf(registry, "a:///x/y"));
  EXPECT_EQ("a /x", AddressOf(registry, "a:/x"));
  EXPECT_EQ("a [::1]:80", AddressOf(registry, "a://[::1]:80"));
  EXPECT_EQ("a-b+c.1 ", AddressOf(registry, "a-b+c.1:"));
}

TEST(RegistryTest, ErrorsNameTheProblemAndTheChoices) {
  TransportRegistry registry;
  ASSERT_TRUE(Register(registry, "one").ok());
  ASSERT_TRUE(Register(registry, "two").ok());
  EXPECT_THAT(AddressOf(registry, "three://x"),
              AllOf(HasSubstr("unknown scheme \"three\""), HasSubstr("one:, two:")));
  EXPECT_THAT(AddressOf(registry, "localhost"),
              AllOf(HasSubstr("no scheme"), HasSubstr("one:, two:")));
  EXPECT_THAT(AddressOf(registry, ""), HasSubstr("no scheme"));
  EXPECT_THAT(AddressOf(registry, ":x"), HasSubstr("unknown scheme \"\""));
  EXPECT_EQ("\"one://bad\": bad is not good", AddressOf(registry, "one://bad"));
  EXPECT_THAT(AddressOf(registry, "th\nree:x"), HasSubstr("th\\nree"));
  EXPECT_EQ(absl::StatusCode::kInvalidArgument, registry.Resolve("x:y").status().code());
}

TEST(RegistryTest, RefusesTakenAndImpossibleSchemes) {
  TransportRegistry registry;
  ASSERT_TRUE(Register(registry, "a").ok());
  EXPECT_EQ(absl::StatusCode::kAlreadyExists, Register(registry, "a").code());
  for (const char* scheme : {"", "1a", "A", "a b", "a_b", "a:", "-a", "\xc3\xa4"}) {
    EXPECT_EQ(absl::StatusCode::kInvalidArgument, Register(registry, scheme).code()) << scheme;
  }
}

TEST(RegistryTest, KeepsTheOrderOfRegistration) {
  TransportRegistry registry;
  for (const char* scheme : {"z", "a", "m"}) ASSERT_TRUE(Register(registry, scheme).ok());
  TransportRegistry moved = std::move(registry);
  std::vector<std::string> schemes;
  for (Transport* transport : moved.transports()) schemes.emplace_back(transport->scheme());
  EXPECT_THAT(schemes, ElementsAre("z", "a", "m"));
}

}  // namespace
}  // namespace anywire
