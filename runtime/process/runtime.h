// The runtime: what channels and servers of a process share. Transports, configuration, threads.
#ifndef ANYWIRE_RUNTIME_PROCESS_RUNTIME_H_
#define ANYWIRE_RUNTIME_PROCESS_RUNTIME_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "anywire/registry.h"

namespace anywire {

namespace config {
class Config;
}

// Reads the configuration that --anywire_config=FILE names (the flag is removed from argv), else the one that
// ANYWIRE_CONFIG names, else none, and makes the process's default runtime of it. Call it first in main, once. A mistake
// in the configuration is one line on stderr, and the process exits with code 2.
void Init(int& argc, char** argv);

// One Runtime is enough for a process: Default(). Tests and embedders make more. It outlives what uses it.
class Runtime {
 public:
  // Transports to use; the configuration, already checked (null: none).
  Runtime(TransportRegistry transports, const config::Config* config);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // The process's: made by Init, or at first use as Init would without a flag. Never destroyed before the process ends.
  static Runtime& Default();

  class Core;
  Core& core() { return *core_; }

 private:
  std::unique_ptr<Core> core_;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_PROCESS_RUNTIME_H_
