// What a connection costs that does nothing: memory, descriptors, and no processor time. Prints
// what it measures.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/shm/echo.h"
#include "tests/support/temp_dir.h"
#include "tests/support/watchdog.h"

namespace anywire::test {
namespace {

// Under the thread sanitizer, Debian's Abseil is found to race with itself where there are many
// mutexes.
const int kConnections = BuildSlowness() > 1 ? 20 : 300;

// Pages that are in memory, those that are mapped twice counted twice.
size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(getpagesize());
}

size_t OpenDescriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

double ProcessorSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

TEST(IdleTest, ConnectionsCostLittle) {
  const Watchdog watchdog("idle", absl::Seconds(120));
  const TempDir dir;
  const EchoServer server(dir.path() + "/server", {});
  const std::unique_ptr<Runtime> runtime = ShmRuntime({});
  const std::string uri = "shm://" + dir.path() + "/server";
  shm::Message request;
  request.set_payload(std::string(64, 'x'));
  std::vector<Channel> channels;
  const auto connect = [&runtime, &uri, &request, &channels] {
    channels.emplace_back(*runtime, uri);
    const absl::StatusOr<shm::Message> reply = shm::Echo::Stub(channels.back()).Echo(request);
    ASSERT_TRUE(reply.ok()) << reply.status();
  };
  connect();  // threads and their memory
  const size_t memory = ResidentBytes(), descriptors = OpenDescriptors();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kConnections; ++i) connect();
  const auto took = std::chrono::steady_clock::now() - start;
  const size_t each = (ResidentBytes() - memory) / kConnections;
  std::printf("connect and first call: %.0f us; both ends together hold %.1f KiB\n",
              static_cast<double>(took.count()) / 1e3 / kConnections,
              static_cast<double>(each) / 1024);
  // A socket for each end; the first connection did not have all of the runtime's own yet.
  EXPECT_LE(OpenDescriptors() - descriptors, static_cast<size_t>(2 * kConnections + 8));
  if (BuildSlowness() == 1) {
    EXPECT_LE(each, 64u << 10);
  }
  const double busy = ProcessorSeconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  std::printf("in 300 ms of nothing: %.1f ms of processor time\n",
              (ProcessorSeconds() - busy) * 1e3);
}

}  // namespace
}  // namespace anywire::test
