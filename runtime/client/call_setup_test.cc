#include "runtime/client/call_setup.h"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "anywire/call_options.h"
#include "anywire/interceptor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace anywire::test {
namespace {

using protocol::Instant;
using ::testing::ElementsAre;

constinit const Method kPatient("test.Service/Patient", CallShape::kUnary);
constinit const Method kHurried("test.Service/Hurried", CallShape::kUnary, absl::Hours(1));

TEST(CallDeadlineTest, WhoSpeaksFirstDecides) {
  const Instant now = std::chrono::steady_clock::now();
  const auto time_left = [now](const CallOptions& options, const Method& method,
                               absl::Duration call_timeout) {
    const Instant deadline = CallDeadline(options, method, call_timeout, now);
    if (deadline == Instant::max()) return absl::InfiniteDuration();
    return absl::FromChrono(deadline - now);
  };
  const absl::Duration none = absl::InfiniteDuration();
  EXPECT_EQ(time_left({}, kPatient, none), none);
  EXPECT_EQ(time_left({}, kPatient, absl::Hours(2)), absl::Hours(2));
  EXPECT_EQ(time_left({}, kHurried, absl::Hours(2)), absl::Hours(1));
  EXPECT_EQ(time_left({.timeout = absl::Hours(3)}, kHurried, absl::Hours(2)), absl::Hours(3));
  EXPECT_EQ(time_left({.timeout = none}, kPatient, absl::Hours(2)), none);
  EXPECT_EQ(time_left({.timeout = none}, kHurried, none), none);
}

TEST(ClientWatchersTest, HearOfTheEndIfTheyHeardOfTheStart) {
  class Watcher final : public ClientCallWatcher {
   public:
    Watcher(std::string name, bool refuses, std::vector<std::string>& log)
        : name_(std::move(name)), refuses_(refuses), log_(log) {}
    absl::Status OnStart(Metadata&) override {
      log_.push_back(name_ + " start");
      return refuses_ ? absl::PermissionDeniedError(name_) : absl::OkStatus();
    }
    void OnFinish(absl::Status&, const Metadata&, absl::Duration) override {
      log_.push_back(name_ + " finish");
    }

   private:
    const std::string name_;
    const bool refuses_;
    std::vector<std::string>& log_;
  };
  class Interceptor final : public ClientInterceptor {
   public:
    Interceptor(std::string name, bool refuses, std::vector<std::string>& log)
        : name_(std::move(name)), refuses_(refuses), log_(log) {}
    std::unique_ptr<ClientCallWatcher> Intercept(const Method&, absl::string_view) override {
      return std::make_unique<Watcher>(name_, refuses_, log_);
    }

   private:
    const std::string name_;
    const bool refuses_;
    std::vector<std::string>& log_;
  };
  std::vector<std::string> log;
  ClientWatchers watchers({std::make_shared<Interceptor>("outer", false, log),
                           std::make_shared<Interceptor>("refusing", true, log),
                           std::make_shared<Interceptor>("inner", false, log)},
                          kPatient, "target");
  Metadata metadata;
  absl::Status status = watchers.OnStart(metadata);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kPermissionDenied));
  watchers.OnFinish(status, {});
  EXPECT_THAT(log, ElementsAre("outer start", "refusing start", "refusing finish", "outer finish"));
}

// The call of a dropped stream ends after its channel.
TEST(ClientWatchersTest, KeepTheirInterceptors) {
  class Interceptor final : public ClientInterceptor {
   public:
    std::unique_ptr<ClientCallWatcher> Intercept(const Method&, absl::string_view) override {
      return std::make_unique<ClientCallWatcher>();
    }
  };
  auto interceptor = std::make_shared<Interceptor>();
  const std::weak_ptr<Interceptor> kept = interceptor;
  {
    ClientWatchers watchers({std::move(interceptor)}, kPatient, "target");
    EXPECT_FALSE(kept.expired());
  }
  EXPECT_TRUE(kept.expired());
}

TEST(ClientWatchersDeathTest, WhatOneThrowsEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  class Thrower final : public ClientInterceptor, public ClientCallWatcher {
   public:
    std::unique_ptr<ClientCallWatcher> Intercept(const Method&, absl::string_view) override {
      return std::make_unique<Thrower>();
    }
    void OnFinish(absl::Status&, const Metadata&, absl::Duration) override {
      throw std::runtime_error("nobody listens");
    }
  };
  ClientWatchers watchers({std::make_shared<Thrower>()}, kPatient, "target");
  absl::Status status;
  EXPECT_DEATH(watchers.OnFinish(status, {}), "nobody listens");
}

}  // namespace
}  // namespace anywire::test
