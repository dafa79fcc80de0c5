// One side is killed at a random moment under full load, again and again: the other ends its calls
// as UNAVAILABLE at once, keeps nothing, and goes on with the next peer.
//
// ANYWIRE_SHM_KILLS says how often; see README.md.
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "gtest/gtest.h"
#include "tests/shm/echo.h"
#include "tests/support/census.h"
#include "tests/support/child_process.h"
#include "tests/support/seed.h"
#include "tests/support/temp_dir.h"
#include "tests/support/watchdog.h"

namespace anywire::test {
namespace {

using std::chrono::steady_clock;

constexpr int kOrdinary = 100;  // of each side
constexpr int kThreads = 3;

int Kills() {
  int count = kOrdinary;
  if (const char* const text = std::getenv("ANYWIRE_SHM_KILLS")) {
    EXPECT_TRUE(absl::SimpleAtoi(text, &count)) << text;
  }
  return count;
}

ShmOptions Options() {
  ShmOptions options;
  options.ring_size = 16 << 10;  // so that large messages meet a full one
  return options;
}

size_t SizeOf(uint64_t number) { return number % 5 == 0 ? 100'000 : number % 700; }

// Calls until one fails; its status.
absl::Status CallUntilItFails(const Channel& channel, std::atomic<uint64_t>& calls) {
  const echo::Echo::Stub stub(channel);
  for (uint64_t i = 0;; ++i) {
    echo::Message request;
    request.set_payload(std::string(SizeOf(i), static_cast<char>(i)));
    const absl::StatusOr<echo::Message> reply = stub.Echo(request);
    if (!reply.ok()) return reply.status();
    if (reply->payload() != request.payload()) return absl::InternalError("another's bytes");
    ++calls;
  }
}

// The child: "server PATH" or "client PATH".
int RunChild(const std::string& role, const std::string& path) {
  if (role == "server") {
    const EchoServer server(path, Options());
    std::puts("ready");
    std::fflush(stdout);
    for (;;) pause();
  }
  const std::unique_ptr<Runtime> runtime = ShmRuntime(Options());
  const Channel channel(*runtime, "shm://" + path);
  std::atomic<uint64_t> calls{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&channel, &calls] { CallUntilItFails(channel, calls).IgnoreError(); });
  }
  while (calls == 0) std::this_thread::yield();
  std::puts("ready");
  std::fflush(stdout);
  for (;;) pause();
}

class KillTest : public ::testing::Test {
 protected:
  std::unique_ptr<ChildProcess> Start(const char* role) {
    return ChildProcess::StartSelf({role, path_});
  }
  // A random moment in the next milliseconds, busy, since a sleep would be one of few moments.
  void SomeTime() {
    const auto end = steady_clock::now() + std::chrono::microseconds(random_() % 5000);
    while (steady_clock::now() < end) {
    }
  }
  void Noted(std::chrono::nanoseconds took) { longest_ = std::max(longest_, took); }
  void TearDown() override {
    std::printf("%d kills; it took at most %.1f ms to be noticed\n", kills_,
                static_cast<double>(longest_.count()) / 1e6);
    EXPECT_TRUE(census_.BackToBaseline().ok()) << census_.BackToBaseline();
  }

  const Watchdog watchdog_{"kills", absl::Seconds(120) + absl::Milliseconds(300) * Kills()};
  const Census census_;
  const TempDir dir_;
  const std::string path_ = dir_.path() + "/s.sock";
  std::mt19937_64 random_{TestSeed(1)};
  int kills_ = 0;
  std::chrono::nanoseconds longest_{0};
};

TEST_F(KillTest, ServersDie) {
  const std::unique_ptr<Runtime> runtime = ShmRuntime(Options());
  for (; kills_ < Kills(); ++kills_) {
    const std::unique_ptr<ChildProcess> server = Start("server");
    const Channel channel(*runtime, "shm://" + path_);
    std::atomic<uint64_t> calls{0};
    std::vector<absl::Status> ends(kThreads);
    std::vector<std::thread> threads;
    for (absl::Status& end : ends) {
      threads.emplace_back([&end, &channel, &calls] { end = CallUntilItFails(channel, calls); });
    }
    while (calls == 0) std::this_thread::yield();
    SomeTime();
    server->Signal(SIGKILL);
    const auto killed = steady_clock::now();
    for (std::thread& thread : threads) thread.join();
    Noted(steady_clock::now() - killed);
    for (const absl::Status& end : ends) {
      ASSERT_EQ(absl::StatusCode::kUnavailable, end.code()) << end;
    }
  }
}

TEST_F(KillTest, ClientsDie) {
  const EchoServer server(path_, Options());
  const std::unique_ptr<Runtime> runtime = ShmRuntime(Options());
  const echo::Echo::Stub stub(Channel(*runtime, "shm://" + path_));
  echo::Message request;
  request.set_payload("still here");
  ASSERT_TRUE(stub.Echo(request).ok());
  const size_t idle = Census::OpenDescriptors();
  for (; kills_ < Kills(); ++kills_) {
    std::unique_ptr<ChildProcess> client = Start("client");
    SomeTime();
    client->Signal(SIGKILL);
    const auto killed = steady_clock::now();
    client.reset();
    const absl::StatusOr<echo::Message> reply = stub.Echo(request, {.timeout = absl::Seconds(30)});
    ASSERT_TRUE(reply.ok()) << reply.status();
    // Its connection is gone from the server when its socket is closed.
    while (Census::OpenDescriptors() > idle &&
           steady_clock::now() < killed + std::chrono::seconds(30)) {
      std::this_thread::yield();
    }
    ASSERT_LE(Census::OpenDescriptors(), idle);
    Noted(steady_clock::now() - killed);
  }
}

}  // namespace
}  // namespace anywire::test

int main(int argc, char** argv) {
  if (argc == 3 && argv[1][0] != '-') return anywire::test::RunChild(argv[1], argv[2]);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
