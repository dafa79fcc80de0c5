// The key shm_in_place of a configuration file gets to the transport, at both ends.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "runtime/config/config.h"
#include "tests/shm/echo.h"
#include "tests/support/temp_dir.h"

namespace anywire::test {
namespace {

// Shared memory that notes what it was told.
class NotingTransport final : public Transport {
 public:
  struct Notes {
    absl::Mutex mutex;
    std::vector<std::optional<InPlace>> of_connect, of_listen;
  };
  explicit NotingTransport(Notes& notes) : notes_(notes) {}

  absl::string_view scheme() const override { return shm_.scheme(); }
  absl::Status CheckAddress(absl::string_view address) const override {
    return shm_.CheckAddress(address);
  }
  kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> Connect(
      EventLoop& loop, absl::string_view address, const ConnectOptions& options) override {
    {
      absl::MutexLock lock(&notes_.mutex);
      notes_.of_connect.push_back(options.in_place);
    }
    return shm_.Connect(loop, address, options);
  }
  absl::StatusOr<std::unique_ptr<Listener>> Listen(EventLoop& loop, absl::string_view address,
                                                   const ListenOptions& options) override {
    {
      absl::MutexLock lock(&notes_.mutex);
      notes_.of_listen.push_back(options.in_place);
    }
    return shm_.Listen(loop, address, options);
  }
  std::string FreshAddress(absl::string_view scratch_dir) override {
    return shm_.FreshAddress(scratch_dir);
  }

 private:
  ShmTransport shm_;
  Notes& notes_;
};

TEST(InPlaceConfigTest, EachValueGetsToBothEnds) {
  const TempDir dir;
  const std::string uri = "shm://" + dir.path() + "/server";
  for (const auto& [line, expected] :
       {std::pair<std::string, std::optional<InPlace>>("", std::nullopt),
        {"shm_in_place: \"never\"", InPlace::kNever},
        {"shm_in_place: \"same_user\"", InPlace::kSameUser},
        {"shm_in_place: \"always\"", InPlace::kAlways}}) {
    NotingTransport::Notes notes;
    TransportRegistry registry;
    ASSERT_TRUE(registry.Register(std::make_unique<NotingTransport>(notes)).ok());
    Runtime runtime(std::move(registry),
                    config::ParseConfig(absl::StrCat("service { name: \"echo\" listen: \"", uri,
                                                     "\" connect: \"", uri, "\" ", line, " }"),
                                        config::Format::kText, "in_place.cfg")
                        .value());
    EchoService service;
    Server server(runtime);
    server.Listen("echo");
    server.AddService(&service);
    ASSERT_TRUE(server.Start().ok());
    echo::Message request;
    request.set_payload(std::string(100'000, 'x'));  // large frames
    const absl::StatusOr<echo::Message> reply =
        echo::Echo::Stub(Channel(runtime, "echo")).Echo(request);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(request.payload(), reply->payload());
    server.Shutdown(absl::ZeroDuration());
    server.Wait();
    absl::MutexLock lock(&notes.mutex);
    EXPECT_EQ(std::vector{expected}, notes.of_connect) << line;
    EXPECT_EQ(std::vector{expected}, notes.of_listen) << line;
  }
}

}  // namespace
}  // namespace anywire::test
