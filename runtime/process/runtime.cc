#include "anywire/runtime.h"

#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "anywire/builtin.h"
#include "runtime/config/command_line.h"
#include "runtime/process/runtime_core.h"

namespace anywire {
namespace {

// The process's runtime and how it comes about. Leaked on purpose: threads may use it to the very
// end.
struct DefaultRuntime {
  std::once_flag once;
  Runtime* runtime = nullptr;
};

DefaultRuntime& TheDefault() {
  static auto* const instance = new DefaultRuntime;
  return *instance;
}

Runtime* MakeRuntime(int& argc, char** argv,
                     absl::FunctionRef<absl::Status(TransportRegistry&)> register_transports) {
  TransportRegistry registry;
  RegisterBuiltinTransports(registry);
  if (absl::Status status = register_transports(registry); !status.ok()) {
    std::fprintf(stderr, "anywire: %s\n", std::string(status.message()).c_str());
    std::exit(config::kExitCode);
  }
  config::Config config = config::LoadConfigOrExit(argc, argv, registry);
  return new Runtime(std::move(registry), std::move(config));
}

absl::Status RegisterNothing(TransportRegistry&) { return absl::OkStatus(); }

}  // namespace

Runtime::Core::Core(TransportRegistry transports, config::Config config)
    : registry_(std::move(transports)),
      config_(std::move(config)),
      spin_(absl::ToChronoNanoseconds(config_.runtime().max_spin), config::UsableCores()),
      drivers_(std::in_place, static_cast<int>(config_.runtime().io_threads)) {}

Runtime::Core::~Core() {
  drivers_.reset();
  for (const std::unique_ptr<EventLoop>& loop : loops_) loop->Stop();
}

absl::StatusOr<EventLoop*> Runtime::Core::TryNextLoop() {
  const absl::MutexLock lock(&mutex_);
  if (AddLoop()) {
    next_loop_ = loops_.size();
    return loops_.back().get();
  }
  if (loops_.empty()) {
    return absl::ResourceExhaustedError("cannot start the thread of an event loop");
  }
  return loops_[next_loop_++ % loops_.size()].get();
}

EventLoop& Runtime::Core::NextLoop() {
  const absl::StatusOr<EventLoop*> loop = TryNextLoop();
  if (!loop.ok()) {
    std::fprintf(stderr, "anywire: %s\n", std::string(loop.status().message()).c_str());
    std::abort();
  }
  return **loop;
}

std::vector<EventLoop*> Runtime::Core::AllLoops() {
  const absl::MutexLock lock(&mutex_);
  while (AddLoop()) {
  }
  std::vector<EventLoop*> loops;
  const size_t first = next_loop_++;
  for (size_t i = 0; i < loops_.size(); ++i) {
    loops.push_back(loops_[(first + i) % loops_.size()].get());
  }
  return loops;
}

bool Runtime::Core::AddLoop() {
  const size_t index = loops_.size();
  if (index >= config_.runtime().io_threads) return false;
  try {
    loops_.push_back(std::make_unique<EventLoop>(absl::StrCat("anywire-io-", index), &spin_));
  } catch (const std::system_error&) {
    return false;  // the system has no thread for it
  }
  return true;
}

bool Runtime::Core::ReserveBuffer(size_t bytes) {
  const uint64_t limit = config_.runtime().process_buffer;
  if (buffered_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= limit) return true;
  ReleaseBuffer(bytes);
  return false;
}

void Runtime::Core::ReleaseBuffer(size_t bytes) {
  buffered_.fetch_sub(bytes, std::memory_order_relaxed);
}

Runtime::Runtime(TransportRegistry transports) : Runtime(std::move(transports), config::Config()) {}

Runtime::Runtime(TransportRegistry transports, config::Config config)
    : core_(std::make_unique<Core>(std::move(transports), std::move(config))) {}

Runtime::~Runtime() = default;

Runtime& Runtime::Default() {
  DefaultRuntime& instance = TheDefault();
  std::call_once(instance.once, [&instance] {
    int argc = 0;
    char* no_arguments[] = {nullptr};
    instance.runtime = MakeRuntime(argc, no_arguments, RegisterNothing);
  });
  return *instance.runtime;
}

void Init(int& argc, char** argv) { Init(argc, argv, RegisterNothing); }

void Init(int& argc, char** argv,
          absl::FunctionRef<absl::Status(TransportRegistry&)> register_transports) {
  DefaultRuntime& instance = TheDefault();
  bool first = false;
  std::call_once(instance.once, [&instance, &first, &argc, argv, register_transports] {
    first = true;
    instance.runtime = MakeRuntime(argc, argv, register_transports);
  });
  if (!first) {
    std::fprintf(stderr,
                 "anywire: Init was called twice, or after the first use of a channel or server; "
                 "call it once, first in main\n");
    std::abort();
  }
}

}  // namespace anywire
