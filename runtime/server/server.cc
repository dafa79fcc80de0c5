#include "anywire/server.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "anywire/runtime.h"
#include "runtime/server/server_core.h"
#include "runtime/server/termination_signals.h"

namespace anywire {
namespace {

// Handlers whose calls have been cancelled have this long to notice before the process ends without
// them.
constexpr std::chrono::seconds kHandlerGrace{2};
// How often Run looks whether that time is up.
constexpr absl::Duration kLookAgain = absl::Milliseconds(50);

constexpr int kDrained = 0;
constexpr int kCancelled = 1;
constexpr int kNotStarted = 2;

}  // namespace

Server::Server(Runtime& runtime) : core_(std::make_shared<Core>(runtime)) {}
Server::Server() : Server(Runtime::Default()) {}
Server::Server(absl::string_view name) : Server() { Listen(name); }

Server::~Server() = default;

void Server::Listen(absl::string_view target) { core_->Listen(target); }
void Server::AddService(Service* service) { core_->AddService(*service); }
void Server::AddInterceptor(std::shared_ptr<ServerInterceptor> interceptor) {
  core_->AddInterceptor(std::move(interceptor));
}
absl::Status Server::Start() { return core_->Start(); }
std::vector<std::string> Server::addresses() const { return core_->addresses(); }
void Server::Shutdown(absl::Duration drain) { core_->Shutdown(drain); }
void Server::Shutdown() { core_->Shutdown(); }
void Server::Wait() { core_->Wait(); }

int Server::Run() {
  TerminationSignals signals;
  core_->SetHook([&signals] { signals.Wake(); });
  const absl::Cleanup unhook = [this] { core_->SetHook({}); };
  const absl::Status status = core_->progress().started ? absl::OkStatus() : core_->Start();
  if (!status.ok() && !core_->progress().shutting_down) {
    std::fprintf(stderr, "anywire: %s\n", std::string(status.message()).c_str());
    return kNotStarted;
  }
  int seen = 0;
  for (;;) {
    const Core::Progress progress = core_->progress();
    if (progress.ended) break;
    if (progress.calls_ended < Core::Clock::now() - kHandlerGrace) {
      std::fprintf(stderr,
                   "anywire: handlers run on after their calls have been cancelled; exiting\n");
      std::fflush(nullptr);
      _exit(kCancelled);
    }
    if (const int count = signals.count(); count != seen) {
      seen = count;
      if (count == 1) {
        core_->Shutdown();
      } else {
        core_->Shutdown(absl::ZeroDuration());
      }
      continue;
    }
    signals.Wait(progress.shutting_down ? kLookAgain : absl::InfiniteDuration());
  }
  core_->Wait();
  return core_->progress().cancelled_calls == 0 ? kDrained : kCancelled;
}

}  // namespace anywire
