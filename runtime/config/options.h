// What the configuration comes to once defaults and overrides are applied: plain values for the
// runtime.
#ifndef ANYWIRE_RUNTIME_CONFIG_OPTIONS_H_
#define ANYWIRE_RUNTIME_CONFIG_OPTIONS_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "anywire/transport.h"
#include "runtime/protocol/protocol.h"

namespace anywire::config {

// What a duration of "inf" is where it becomes std::chrono: a century, which can be added to the
// time of a steady clock without overflow.
inline constexpr std::chrono::nanoseconds kForever = std::chrono::hours(24 * 365 * 100);

// As many as the processor cores that this process may use, at most 4.
uint32_t DefaultIoThreads();
// The processor cores that this process may use.
int UsableCores();

// How the process runs; see the message Runtime of idl/config.proto for what each means and may be.
struct RuntimeOptions {
  uint32_t io_threads = DefaultIoThreads();
  uint32_t worker_threads = 16;
  uint32_t worker_queue = 1024;
  uint64_t process_buffer = uint64_t{1} << 30;  // bytes
  absl::Duration max_spin = absl::Microseconds(50);

  // For targets that the configuration does not name, and for services that do not say otherwise.
  absl::Duration drain_timeout = absl::Seconds(30);  // may be infinite
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration call_timeout = absl::InfiniteDuration();
  uint32_t max_connections = 4096;
};

// A service, or what holds for a target that is given as a URI: then the first three are empty.
struct ServiceOptions {
  std::string name;
  std::vector<std::string> listen;
  std::string connect;  // "" when there is none

  protocol::Limits limits;
  absl::Duration drain_timeout;  // may be infinite
  absl::Duration connect_timeout;
  absl::Duration call_timeout;  // may be infinite
  uint32_t max_connections = 0;
  std::optional<mode_t> unix_socket_mode;                   // none: the transport's default
  std::optional<size_t> shm_ring_size;                      // bytes; none: the transport's default
  std::optional<InPlace> shm_in_place;                      // none: the transport's default
  std::optional<CongestionControl> udp_congestion_control;  // none: the transport's default
  std::optional<size_t> udp_window;                         // bytes; none: the transport's default
};

}  // namespace anywire::config

#endif  // ANYWIRE_RUNTIME_CONFIG_OPTIONS_H_
