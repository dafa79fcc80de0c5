#include "tests/bench/meter.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_format.h"
#include "tests/bench/usage.h"

namespace anywire::bench {
namespace {

uint64_t Now() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::nanoseconds(time).count());
}

}  // namespace

void Meter::Start() {
  client_cpu_ = CpuNanoseconds(getpid());
  server_cpu_ = CpuNanoseconds(server_);
  time_ = Now();
}

void Meter::Stop() {
  time_ = Now() - time_;
  server_cpu_ = CpuNanoseconds(server_) - server_cpu_;
  client_cpu_ = CpuNanoseconds(getpid()) - client_cpu_;
}

std::string Meter::Json() const {
  return absl::StrFormat(R"("seconds": %.6f, "client_cpu_ns": %d, "server_cpu_ns": %d)",
                         static_cast<double>(time_) / 1e9, client_cpu_,
                         server_ == getpid() ? 0 : server_cpu_);
}

std::string LatencyJson(const Histogram& latencies) {
  const auto microseconds = [](double ns) { return ns / 1e3; };
  std::string json = absl::StrFormat(R"("latency_us": {"count": %d, "mean": %.3f)",
                                     latencies.count(), microseconds(latencies.mean()));
  for (const auto& [name, fraction] :
       {std::pair("p50", 0.5), {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}}) {
    json += absl::StrFormat(R"(, "%s": %.3f)", name,
                            microseconds(static_cast<double>(latencies.Quantile(fraction))));
  }
  return json +
         absl::StrFormat(R"(, "max": %.3f})", microseconds(static_cast<double>(latencies.max())));
}

}  // namespace anywire::bench
