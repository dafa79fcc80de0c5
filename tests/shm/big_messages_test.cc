// Messages much larger than the ring, both ways at once and on several calls: they go through it in
// pieces, and nobody waits for somebody who waits.
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/shm/echo.h"
#include "tests/support/temp_dir.h"
#include "tests/support/watchdog.h"

namespace anywire::test {
namespace {

void EchoBigMessages(size_t ring_size, InPlace in_place) {
  const Watchdog watchdog("big messages", absl::Seconds(120));
  const TempDir dir;
  ShmOptions options;
  options.ring_size = ring_size;
  options.in_place = in_place;
  const EchoServer server(dir.path() + "/server", options);
  const std::unique_ptr<Runtime> runtime = ShmRuntime(options);
  const echo::Echo::Stub stub(Channel(*runtime, "shm://" + dir.path() + "/server"));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&stub, i] {
      for (int round = 0; round < 10; ++round) {
        echo::Message request;
        request.set_payload(std::string((3 << 20) + round, static_cast<char>('a' + i + round)));
        const absl::StatusOr<echo::Message> reply = stub.Echo(request);
        ASSERT_TRUE(reply.ok()) << reply.status();
        ASSERT_EQ(request.payload(), reply->payload());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(BigMessagesTest, SmallestRing) { EchoBigMessages(4096, InPlace::kNever); }
TEST(BigMessagesTest, SmallRing) { EchoBigMessages(32 << 10, InPlace::kAlways); }
TEST(BigMessagesTest, OrdinaryRing) { EchoBigMessages(ShmOptions().ring_size, InPlace::kSameUser); }

}  // namespace
}  // namespace anywire::test
