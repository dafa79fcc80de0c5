// For tests of streaming calls: a channel to a ScriptedTransport.
#ifndef ANYWIRE_RUNTIME_CLIENT_STREAM_FIXTURE_H_
#define ANYWIRE_RUNTIME_CLIENT_STREAM_FIXTURE_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "anywire/channel.h"
#include "anywire/runtime.h"
#include "anywire/streams.h"
#include "gtest/gtest.h"
#include "runtime/client/testing.h"
#include "runtime/config/config.h"
#include "tests/support/status_matchers.h"
#include "tests/support/watchdog.h"

namespace anywire::test {

inline constinit const Method kServerStreaming("test.Service/Down", CallShape::kServerStreaming);
inline constinit const Method kClientStreaming("test.Service/Up", CallShape::kClientStreaming);
inline constinit const Method kBothWays("test.Service/Both", CallShape::kBidiStreaming);

using Reader = ClientReader<google::protobuf::StringValue>;
using Writer = ClientWriter<google::protobuf::StringValue, google::protobuf::StringValue>;
using Stream = ClientReaderWriter<google::protobuf::StringValue, google::protobuf::StringValue>;

class StreamFixture : public ::testing::Test {
 protected:
  StreamFixture()
      : watchdog_(::testing::UnitTest::GetInstance()->current_test_info()->name(),
                  absl::Seconds(30)) {
    TransportRegistry registry;
    EXPECT_OK(registry.Register(std::make_unique<ScriptedTransport>(dials_)));
    absl::StatusOr<config::Config> config = config::ParseConfig(
        R"(runtime { io_threads: 1 }
           limits { max_send_message_size: "100KiB" max_queued_bytes: "300KiB" })",
        config::Format::kText, "test.textproto");
    EXPECT_OK(config);
    runtime_ = std::make_unique<Runtime>(std::move(registry), *std::move(config));
    channel_.emplace(*runtime_, "scripted:peer");
  }

  Stream BothWays(const CallOptions& options = {}) {
    return Stream(channel_->StartStream(kBothWays, nullptr, options));
  }
  Reader Down(const std::string& request, const CallOptions& options = {}) {
    const google::protobuf::StringValue message = Text(request);
    return Reader(channel_->StartStream(kServerStreaming, &message, options));
  }
  Writer Up() { return Writer(channel_->StartStream(kClientStreaming, nullptr, {})); }
  void OnLoop(absl::AnyInvocable<void()> function) {
    absl::Notification done;
    channel_->RunLater([&done, function = std::move(function)]() mutable {
      function();
      done.Notify();
    });
    done.WaitForNotification();
  }

  Watchdog watchdog_;
  DialLog dials_;
  std::unique_ptr<Runtime> runtime_;
  std::optional<Channel> channel_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_RUNTIME_CLIENT_STREAM_FIXTURE_H_
