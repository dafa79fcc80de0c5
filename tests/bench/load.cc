#include "tests/bench/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "tests/bench/allocation_count.h"

namespace anywire::bench {
namespace {

using std::chrono::steady_clock;

constexpr int kWarmUpCalls = 200;

uint64_t Nanoseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<uint64_t>(time.tv_usec) * 1'000;
}

double Microseconds(steady_clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

}  // namespace

ProcessUsage OwnUsage() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return {.cpu_ns = Nanoseconds(usage.ru_utime) + Nanoseconds(usage.ru_stime),
          .allocations = AllocationCount()};
}

void Die(const std::string& message) {
  fprintf(stderr, "%s\n", message.c_str());
  exit(1);
}

void RunLoad(EchoClient& client, int calls, bool timed) {
  for (int i = 0; i < kWarmUpCalls; ++i) client.Echo();
  std::vector<steady_clock::duration> times;
  times.reserve(timed ? static_cast<size_t>(calls) : 0);

  const ProcessUsage server_before = client.ServerUsage();
  const ProcessUsage before = OwnUsage();
  const auto start = steady_clock::now();
  if (timed) {
    auto last = start;
    for (int i = 0; i < calls; ++i) {
      client.Echo();
      const auto now = steady_clock::now();
      times.push_back(now - last);
      last = now;
    }
  } else {
    for (int i = 0; i < calls; ++i) client.Echo();
  }
  const auto all = steady_clock::now() - start;
  const ProcessUsage after = OwnUsage();
  const ProcessUsage server_after = client.ServerUsage();

  const auto per_call = [calls](uint64_t from, uint64_t to, double unit) {
    return static_cast<double>(to - from) / unit / calls;
  };
  printf("{\"calls\": %d, \"mean_us\": %.3f", calls, Microseconds(all) / calls);
  if (timed) {
    std::sort(times.begin(), times.end());
    printf(", \"p50_us\": %.3f, \"p99_us\": %.3f", Microseconds(times[times.size() / 2]),
           Microseconds(times[times.size() * 99 / 100]));
  }
  printf(
      ", \"client_cpu_us\": %.3f, \"server_cpu_us\": %.3f, \"client_allocations\": %.3f"
      ", \"server_allocations\": %.3f}\n",
      per_call(before.cpu_ns, after.cpu_ns, 1e3),
      per_call(server_before.cpu_ns, server_after.cpu_ns, 1e3),
      per_call(before.allocations, after.allocations, 1),
      per_call(server_before.allocations, server_after.allocations, 1));
}

void ServeUntilStdinCloses() {
  puts("ready");
  fflush(stdout);
  char unused[64];
  while (read(STDIN_FILENO, unused, sizeof unused) > 0) {
  }
}

Command ParseCommand(int argc, char** argv) {
  const std::string role = argc > 1 ? argv[1] : "";
  if (role == "server" && argc == 3)
    return {.is_server = true, .uri = argv[2], .calls = 0, .timed = false};
  if (role == "client" && (argc == 4 || (argc == 5 && std::string(argv[4]) == "untimed"))) {
    const int calls = atoi(argv[3]);
    if (calls > 0) return {.is_server = false, .uri = argv[2], .calls = calls, .timed = argc == 4};
  }
  Die(std::string("usage: ") + argv[0] + " server URI | client URI CALLS [untimed]");
}

}  // namespace anywire::bench
