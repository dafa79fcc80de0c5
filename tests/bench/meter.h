// What is measured of a load: when, how long it took, what it cost, and the latencies.
#ifndef ANYWIRE_TESTS_BENCH_METER_H_
#define ANYWIRE_TESTS_BENCH_METER_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "tests/bench/histogram.h"

namespace anywire::bench {

// When is measured: warm-up comes before `from`.
struct Window {
  explicit Window(double seconds)
      : from(std::chrono::steady_clock::now() + Span(seconds / 5)), until(from + Span(seconds)) {}
  static std::chrono::steady_clock::duration Span(double seconds) {
    return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        std::chrono::duration<double>(seconds));
  }
  const std::chrono::steady_clock::time_point from;
  const std::chrono::steady_clock::time_point until;
};

// Time and processor time between two moments, of this process and of process `server`.
class Meter {
 public:
  explicit Meter(pid_t server) : server_(server) {}
  void Start();
  void Stop();
  // Members of a JSON object. Where there is one process, its time is the client's.
  std::string Json() const;

 private:
  const pid_t server_;
  uint64_t time_ = 0;
  uint64_t client_cpu_ = 0;
  uint64_t server_cpu_ = 0;
};

// A member of a JSON object.
std::string LatencyJson(const Histogram& latencies);

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_METER_H_
