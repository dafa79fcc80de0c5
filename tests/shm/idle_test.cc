// What a connection costs that does nothing: memory, descriptors, and no wake-ups.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/shm/echo.h"
#include "tests/support/census.h"
#include "tests/support/temp_dir.h"
#include "tests/support/watchdog.h"

namespace anywire::test {
namespace {

// Under the thread sanitizer, Debian's Abseil is found to race with itself where there are many
// mutexes.
const int kConnections = BuildSlowness() > 1 ? 20 : 1000;

// What of this process is in memory. Pages that both ends of a connection have mapped count once
// (proc(5): Pss).
size_t ResidentBytes() {
  std::ifstream rollup("/proc/self/smaps_rollup");
  for (std::string key; rollup >> key;) {
    size_t kibibytes = 0;
    if (key == "Pss:" && rollup >> kibibytes) return kibibytes << 10;
  }
  ADD_FAILURE() << "no /proc/self/smaps_rollup";
  return 0;
}

// How often threads of this process have gone to sleep.
int64_t Sleeps() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nvcsw;
}

// Waits for 200 ms in which the threads wake a few times at most, all together; false: there are
// none. (A connection that looked at its peer now and then would wake its thread in each.)
bool BecomesSilent() {
  constexpr int kFew = 20;
  for (int attempt = 0; attempt < 100; ++attempt) {
    const int64_t before = Sleeps();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // what is observed, no wait
    if (Sleeps() - before <= kFew) return true;
  }
  return false;
}

// Two for each connection, since both of its ends are in this process.
void AllowDescriptors() {
  const rlim_t needed = 2 * static_cast<rlim_t>(kConnections) + 200;
  rlimit limit;
  ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
  if (limit.rlim_cur >= needed) return;
  ASSERT_GE(limit.rlim_max, needed) << "the hard limit of descriptors is too low for this test";
  limit.rlim_cur = needed;
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
}

TEST(IdleTest, ConnectionsCostLittle) {
  ASSERT_NO_FATAL_FAILURE(AllowDescriptors());
  const Watchdog watchdog("idle", absl::Seconds(120));
  const TempDir dir;
  const EchoServer server(dir.path() + "/server", {});
  const std::unique_ptr<Runtime> runtime = ShmRuntime({});
  const std::string uri = "shm://" + dir.path() + "/server";
  echo::Message request;
  request.set_payload(std::string(64, 'x'));
  std::vector<Channel> channels;
  const auto connect = [&runtime, &uri, &request, &channels] {
    channels.emplace_back(*runtime, uri);
    const absl::StatusOr<echo::Message> reply = echo::Echo::Stub(channels.back()).Echo(request);
    ASSERT_TRUE(reply.ok()) << reply.status();
  };
  connect();  // threads and their memory
  const size_t memory = ResidentBytes(), descriptors = Census::OpenDescriptors();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kConnections; ++i) connect();
  const auto took = std::chrono::steady_clock::now() - start;
  const size_t each = (ResidentBytes() - memory) / kConnections;
  std::printf("connect and first call: %.0f us; both ends together hold %.1f KiB\n",
              static_cast<double>(took.count()) / 1e3 / kConnections,
              static_cast<double>(each) / 1024);
  // A socket for each end; the first connection did not have all of the runtime's own yet.
  EXPECT_LE(Census::OpenDescriptors() - descriptors, static_cast<size_t>(2 * kConnections + 8));
  if (BuildSlowness() == 1) {
    EXPECT_LE(each, 32u << 10);
  }
  EXPECT_TRUE(BecomesSilent());
}

}  // namespace
}  // namespace anywire::test
