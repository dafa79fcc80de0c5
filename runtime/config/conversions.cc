#include "runtime/config/conversions.h"

#include <sched.h>

#include <algorithm>
#include <string>
#include <thread>

#include "runtime/config/field_rules.h"

namespace anywire::config {
namespace {

constexpr uint32_t kMaxDefaultIoThreads = 4;

// Each writes what a field says to `to`, which has another type than the field; the field is
// present and valid.
void Set(const std::string& text, absl::Duration& to) { to = ParseDurationText(text).value(); }
void Set(const std::string& text, size_t& to) { to = ParseSizeText(text).value(); }
void Set(const std::string& text, std::chrono::nanoseconds& to) {
  const absl::Duration duration = ParseDurationText(text).value();
  to = std::min(absl::ToChronoNanoseconds(duration), kForever);
}
void Set(const std::string& text, std::optional<mode_t>& to) { to = ParseFileModeText(text); }
void Set(const std::string& text, std::optional<size_t>& to) { to = ParseSizeText(text); }
void Set(const std::string& text, std::optional<InPlace>& to) {
  to = text == "never" ? InPlace::kNever : text == "always" ? InPlace::kAlways : InPlace::kSameUser;
}
void Set(const std::string& text, std::optional<CongestionControl>& to) {
  to = text == "new_reno" ? CongestionControl::kNewReno : CongestionControl::kCubic;
}
template <typename Count>
void Set(uint32_t count, Count& to) {
  to = count;
}

}  // namespace

// Sets options.field when the message has the field.
#define ANYWIRE_SET(message, options, field) \
  if ((message).has_##field()) Set((message).field(), (options).field)

int UsableCores() {
  cpu_set_t cores;
  const bool known = sched_getaffinity(0, sizeof(cores), &cores) == 0;
  return std::max(
      1, known ? CPU_COUNT(&cores) : static_cast<int>(std::thread::hardware_concurrency()));
}

uint32_t DefaultIoThreads() {
  return std::min(static_cast<uint32_t>(UsableCores()), kMaxDefaultIoThreads);
}

RuntimeOptions ToRuntimeOptions(const Runtime& runtime) {
  RuntimeOptions options;
  ANYWIRE_SET(runtime, options, io_threads);
  ANYWIRE_SET(runtime, options, worker_threads);
  ANYWIRE_SET(runtime, options, worker_queue);
  ANYWIRE_SET(runtime, options, process_buffer);
  ANYWIRE_SET(runtime, options, max_spin);
  ANYWIRE_SET(runtime, options, drain_timeout);
  ANYWIRE_SET(runtime, options, connect_timeout);
  ANYWIRE_SET(runtime, options, call_timeout);
  ANYWIRE_SET(runtime, options, max_connections);
  return options;
}

ServiceOptions DefaultsOf(const RuntimeOptions& runtime, const Limits& limits) {
  ServiceOptions options;
  options.limits = ToLimits(limits, protocol::Limits());
  options.drain_timeout = runtime.drain_timeout;
  options.connect_timeout = runtime.connect_timeout;
  options.call_timeout = runtime.call_timeout;
  options.max_connections = runtime.max_connections;
  return options;
}

protocol::Limits ToLimits(const Limits& limits, protocol::Limits otherwise) {
  protocol::Limits options = otherwise;
  ANYWIRE_SET(limits, options, max_receive_message_size);
  ANYWIRE_SET(limits, options, max_send_message_size);
  ANYWIRE_SET(limits, options, max_metadata_size);
  ANYWIRE_SET(limits, options, max_metadata_entries);
  ANYWIRE_SET(limits, options, max_concurrent_calls);
  ANYWIRE_SET(limits, options, max_waiting_calls);
  ANYWIRE_SET(limits, options, call_window);
  ANYWIRE_SET(limits, options, connection_buffer);
  ANYWIRE_SET(limits, options, max_queued_bytes);
  ANYWIRE_SET(limits, options, max_methods);
  ANYWIRE_SET(limits, options, handshake_timeout);
  ANYWIRE_SET(limits, options, keepalive_time);
  ANYWIRE_SET(limits, options, keepalive_timeout);
  return options;
}

ServiceOptions ToServiceOptions(const Service& service, ServiceOptions otherwise) {
  ServiceOptions options = std::move(otherwise);
  options.name = service.name();
  options.listen.assign(service.listen().begin(), service.listen().end());
  options.connect = service.connect();
  options.limits = ToLimits(service.limits(), options.limits);
  ANYWIRE_SET(service, options, drain_timeout);
  ANYWIRE_SET(service, options, connect_timeout);
  ANYWIRE_SET(service, options, call_timeout);
  ANYWIRE_SET(service, options, max_connections);
  ANYWIRE_SET(service, options, unix_socket_mode);
  ANYWIRE_SET(service, options, shm_ring_size);
  ANYWIRE_SET(service, options, shm_in_place);
  ANYWIRE_SET(service, options, udp_congestion_control);
  ANYWIRE_SET(service, options, udp_window);
  return options;
}

#undef ANYWIRE_SET

}  // namespace anywire::config
