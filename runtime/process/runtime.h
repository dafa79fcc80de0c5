// The runtime: what channels and servers of a process share. Transports, configuration, threads.
#ifndef ANYWIRE_RUNTIME_PROCESS_RUNTIME_H_
#define ANYWIRE_RUNTIME_PROCESS_RUNTIME_H_

#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "anywire/registry.h"

namespace anywire {

namespace config {
class Config;
}

// Reads the configuration that --anywire_config=FILE names (the flag is removed from argv), else
// the one that ANYWIRE_CONFIG names, else none, and makes the process's default runtime of it. Call
// it first in main, once. A mistake in the configuration is one line on stderr, and the process
// exits with code 2.
void Init(int& argc, char** argv);
// The same for a process with transports of its own: `register_transports` adds them to the
// built-in ones.
void Init(int& argc, char** argv,
          absl::FunctionRef<absl::Status(TransportRegistry&)> register_transports);

// One Runtime is enough for a process: Default(). Tests and embedders make more. It outlives what
// uses it.
class Runtime {
 public:
  // Without a configuration: every setting at its default, and only URIs for targets.
  explicit Runtime(TransportRegistry transports);
  Runtime(TransportRegistry transports, config::Config config);
  // Stops the threads. Channels and servers that use the runtime are gone by then.
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // The process's: made by Init, or at first use as Init would without a flag. Never destroyed.
  static Runtime& Default();

  // For the runtime's own parts (runtime_core.h).
  class Core;
  Core& core() const { return *core_; }

 private:
  const std::unique_ptr<Core> core_;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_PROCESS_RUNTIME_H_
