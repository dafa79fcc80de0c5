#include "examples/filecopy/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

namespace anywire::examples {
namespace {

sigset_t EndingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

InterruptCancellation::InterruptCancellation() : stop_(eventfd(0, EFD_CLOEXEC)) {
  const sigset_t signals = EndingSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signals_ = UniqueFd(signalfd(-1, &signals, SFD_CLOEXEC));
  thread_ = std::thread([this] { Watch(); });
}

InterruptCancellation::~InterruptCancellation() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

void InterruptCancellation::Watch() {
  pollfd waits[] = {{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                    {.fd = signals_.get(), .events = POLLIN, .revents = 0}};
  while (poll(waits, 2, -1) >= 0 || errno == EINTR) {
    if (waits[0].revents != 0) return;
    if (waits[1].revents == 0) continue;
    // The next signal has its usual effect, on this thread.
    const sigset_t signals = EndingSignals();
    signalfd_siginfo info;
    if (read(signals_.get(), &info, sizeof info) != sizeof info) continue;
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    waits[1].fd = -1;
    source_.Cancel();
  }
}

}  // namespace anywire::examples
