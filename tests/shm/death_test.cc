// A process dies at each of its stores to the shared words, one run for each, over the whole life
// of a connection: the other ends its calls as UNAVAILABLE, keeps nothing, and goes on with the
// next peer. Nothing of the dead is left in the folder of the socket but what unix
// (transports/unix) leaves there.
//
// This program is linked with shared memory that is compiled with deadly_atomics.h.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/shm/deadly_atomics.h"
#include "tests/shm/echo.h"
#include "tests/support/census.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/watchdog.h"

namespace anywire::test {
namespace {

using std::chrono::steady_clock;

// How many moments a run has depends on who sleeps when. It is over when so many runs in a row have
// come to their end alive.
constexpr int kAliveInARow = 3;
constexpr int kFewestDeaths = 70;
// The sanitizers leave moments out, since a process takes long to start.
const uint64_t kStep = BuildSlowness() > 1 ? 7 : 1;

ShmOptions Options() {
  ShmOptions options;
  options.ring_size = 4096;
  return options;
}
// Whoever waits sleeps at once, and so says so first.
config::Config NoSpinning() {
  return config::ParseConfig("runtime { max_spin: \"0s\" }", config::Format::kText, "death_test")
      .value();
}

// A life of a connection: small calls, then a message of several times the ring. What comes of it.
absl::Status Live(Runtime& runtime, const std::string& path) {
  const Channel channel(runtime, "shm://" + path);
  const echo::Echo::Stub stub(channel);
  for (const size_t size : {0, 8, 600, 60'000, 8}) {
    echo::Message request;
    request.set_payload(std::string(size, static_cast<char>('a' + size % 26)));
    const absl::StatusOr<echo::Message> reply = stub.Echo(request, {.timeout = absl::Seconds(60)});
    if (!reply.ok()) return reply.status();
    if (reply->payload() != request.payload()) return absl::InternalError("other bytes");
  }
  return absl::OkStatus();
}

// The child: "server PATH MOMENT" until it is told to end, or "client PATH MOMENT".
int RunChild(const std::string& role, const std::string& path, const std::string& moment) {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(moment, &number)) return 2;
  moment_of_death = number;
  if (role == "server") {
    const EchoServer server(path, Options(), NoSpinning());
    std::puts("ready");
    std::fflush(stdout);
    return std::getchar() == EOF ? 3 : 0;
  }
  const std::unique_ptr<Runtime> runtime = ShmRuntime(Options(), NoSpinning());
  const absl::Status status = Live(*runtime, path);
  if (!status.ok()) std::puts(status.ToString().c_str());
  return status.ok() ? 0 : 4;
}

class DeathTest : public ::testing::Test {
 protected:
  static constexpr int kKilled = 128 + SIGKILL;

  std::vector<std::string> Arguments(const char* role, uint64_t moment) const {
    return {role, path_, absl::StrCat(moment)};
  }
  // Runs one life for each moment: `run` says whether the child came to its end alive.
  template <typename Run>
  void AtEachMoment(Run run) {
    int deaths = 0, alive = 0;
    for (uint64_t moment = 1; alive < kAliveInARow; moment += kStep) {
      SCOPED_TRACE(absl::StrCat("moment ", moment));
      const bool lived = run(moment);
      if (HasFailure()) return;
      alive = lived ? alive + 1 : 0;
      deaths += lived ? 0 : 1;
      for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
        ASSERT_TRUE(entry.path() == path_ || entry.path() == path_ + ".lock")
            << entry.path() << " is left behind";
      }
    }
    std::printf("%d deaths; it took at most %.1f ms until the other had ended its calls\n", deaths,
                static_cast<double>(longest_.count()) / 1e6);
    EXPECT_GE(deaths, kFewestDeaths / static_cast<int>(kStep));
  }
  void TearDown() override {
    EXPECT_TRUE(census_.BackToBaseline().ok()) << census_.BackToBaseline();
  }

  const Watchdog watchdog_{"deaths", absl::Seconds(280)};
  const Census census_;
  const TempDir dir_;
  const std::string path_ = dir_.path() + "/s.sock";
  std::chrono::nanoseconds longest_{0};
};

TEST_F(DeathTest, OfTheServer) {
  const std::unique_ptr<Runtime> runtime = ShmRuntime(Options(), NoSpinning());
  AtEachMoment([this, &runtime](uint64_t moment) {
    const std::unique_ptr<ChildProcess> server =
        ChildProcess::StartSelf(Arguments("server", moment));
    const auto start = steady_clock::now();
    const absl::Status status = Live(*runtime, path_);
    longest_ = std::max<std::chrono::nanoseconds>(longest_, steady_clock::now() - start);
    if (status.ok()) {
      server->WriteLine("end");
    } else {
      EXPECT_EQ(absl::StatusCode::kUnavailable, status.code()) << status;
    }
    const int end = server->Wait();
    EXPECT_TRUE(end == kKilled || (end == 0 && status.ok())) << end << " " << status;
    return end == 0;
  });
}

TEST_F(DeathTest, OfTheClient) {
  const EchoServer server(path_, Options(), NoSpinning());
  const std::unique_ptr<Runtime> runtime = ShmRuntime(Options(), NoSpinning());
  const echo::Echo::Stub other(Channel(*runtime, "shm://" + path_));
  echo::Message request;
  request.set_payload("still here");
  ASSERT_TRUE(other.Echo(request).ok());
  const size_t idle = Census::OpenDescriptors();
  AtEachMoment([this, &other, &request, idle](uint64_t moment) {
    std::string said;
    int end;
    {
      ChildProcess client(ChildProcess::Self(), Arguments("client", moment));
      said = client.ReadRest();
      end = client.Wait();
    }
    EXPECT_TRUE(end == kKilled || end == 0) << end << " " << said;
    const auto dead = steady_clock::now();
    const absl::StatusOr<echo::Message> reply = other.Echo(request, {.timeout = absl::Seconds(60)});
    EXPECT_TRUE(reply.ok()) << reply.status();
    // The server has ended that connection, and the calls on it, when its socket is closed.
    while (Census::OpenDescriptors() > idle &&
           steady_clock::now() < dead + std::chrono::seconds(60)) {
      std::this_thread::yield();
    }
    EXPECT_LE(Census::OpenDescriptors(), idle);
    longest_ = std::max<std::chrono::nanoseconds>(longest_, steady_clock::now() - dead);
    return end == 0;
  });
}

}  // namespace
}  // namespace anywire::test

int main(int argc, char** argv) {
  if (argc == 4 && argv[1][0] != '-') return anywire::test::RunChild(argv[1], argv[2], argv[3]);
  signal(SIGPIPE, SIG_IGN);  // a child that is told something may be dead
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
