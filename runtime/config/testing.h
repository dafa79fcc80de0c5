// What several tests of this folder need.
#ifndef ANYWIRE_RUNTIME_CONFIG_TESTING_H_
#define ANYWIRE_RUNTIME_CONFIG_TESTING_H_

#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "runtime/config/options.h"

namespace anywire::config {

// A file of this folder's testdata.
inline std::string TestData(const std::string& name) {
  std::ifstream file("runtime/config/testdata/" + name, std::ios::binary);
  EXPECT_TRUE(file.good()) << name;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// A file of the test's own.
inline std::string WriteFile(const std::string& name, const std::string& bytes) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

// Options as text by the schema's field names.
using TextByName = std::map<std::string, std::string>;

inline std::string Text(absl::Duration duration) { return absl::FormatDuration(duration); }
inline std::string Text(std::chrono::nanoseconds duration) {
  return duration >= kForever ? "inf" : absl::FormatDuration(absl::FromChrono(duration));
}
inline std::string Text(uint64_t number) { return absl::StrCat(number); }

inline std::string Text(CongestionControl congestion_control) {
  switch (congestion_control) {
    case CongestionControl::kNewReno:
      return "new_reno";
    case CongestionControl::kCubic:
      return "cubic";
  }
  return "?";
}

inline std::string Text(InPlace in_place) {
  switch (in_place) {
    case InPlace::kNever:
      return "never";
    case InPlace::kSameUser:
      return "same_user";
    case InPlace::kAlways:
      return "always";
  }
  return "";
}

inline TextByName Describe(const protocol::Limits& limits) {
  return {{"max_receive_message_size", Text(limits.max_receive_message_size)},
          {"max_send_message_size", Text(limits.max_send_message_size)},
          {"max_metadata_size", Text(limits.max_metadata_size)},
          {"max_metadata_entries", Text(limits.max_metadata_entries)},
          {"max_concurrent_calls", Text(limits.max_concurrent_calls)},
          {"max_waiting_calls", Text(limits.max_waiting_calls)},
          {"call_window", Text(limits.call_window)},
          {"connection_buffer", Text(limits.connection_buffer)},
          {"max_queued_bytes", Text(limits.max_queued_bytes)},
          {"max_methods", Text(limits.max_methods)},
          {"handshake_timeout", Text(limits.handshake_timeout)},
          {"keepalive_time", Text(limits.keepalive_time)},
          {"keepalive_timeout", Text(limits.keepalive_timeout)}};
}

inline TextByName Describe(const RuntimeOptions& runtime) {
  return {{"io_threads", Text(runtime.io_threads)},
          {"worker_threads", Text(runtime.worker_threads)},
          {"worker_queue", Text(runtime.worker_queue)},
          {"drain_timeout", Text(runtime.drain_timeout)},
          {"connect_timeout", Text(runtime.connect_timeout)},
          {"call_timeout", Text(runtime.call_timeout)},
          {"max_connections", Text(runtime.max_connections)},
          {"process_buffer", Text(runtime.process_buffer)},
          {"max_spin", Text(runtime.max_spin)}};
}

inline TextByName Describe(const ServiceOptions& service) {
  TextByName result = {
      {"name", service.name},
      {"listen", absl::StrJoin(service.listen, " ")},
      {"connect", service.connect},
      {"call_timeout", Text(service.call_timeout)},
      {"connect_timeout", Text(service.connect_timeout)},
      {"drain_timeout", Text(service.drain_timeout)},
      {"max_connections", Text(service.max_connections)},
      {"unix_socket_mode",
       service.unix_socket_mode ? Text(uint64_t{*service.unix_socket_mode}) : ""},
      {"shm_ring_size", service.shm_ring_size ? Text(uint64_t{*service.shm_ring_size}) : ""},
      {"shm_in_place", service.shm_in_place ? Text(*service.shm_in_place) : ""},
      {"udp_congestion_control",
       service.udp_congestion_control ? Text(*service.udp_congestion_control) : ""},
      {"udp_window", service.udp_window ? Text(uint64_t{*service.udp_window}) : ""}};
  for (const auto& [name, text] : Describe(service.limits)) result["limits." + name] = text;
  return result;
}

// The names whose text differs.
inline std::string Differences(const TextByName& a, const TextByName& b) {
  std::vector<std::string> names;
  for (const auto& [name, text] : a) {
    const auto other = b.find(name);
    if (other == b.end() || other->second != text) names.push_back(name);
  }
  return absl::StrJoin(names, " ");
}

}  // namespace anywire::config

#endif  // ANYWIRE_RUNTIME_CONFIG_TESTING_H_
