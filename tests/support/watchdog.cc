#include "tests/support/watchdog.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace anywire::test {
namespace {

// Written before the timer starts, read by the signal handler.
char message[512];

void OnAlarm(int) {
  // Only what a signal handler may do.
  const ssize_t written = write(STDERR_FILENO, message, std::strlen(message));
  static_cast<void>(written);
  std::abort();
}

void SetTimer(absl::Duration limit) {
  itimerval timer = {};
  timer.it_value = absl::ToTimeval(limit);
  setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace

int BuildSlowness() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return 5;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(undefined_behavior_sanitizer)
  return 5;
#else
  return 1;
#endif
#else
  return 1;
#endif
}

Watchdog::Watchdog(const std::string& what, absl::Duration limit) {
  limit *= BuildSlowness();
  const std::string text = absl::StrCat("\nWATCHDOG: ", what, " hangs: it has not ended within ",
                                        absl::FormatDuration(limit), "\n");
  std::snprintf(message, sizeof(message), "%s", text.c_str());
  struct sigaction action = {};
  action.sa_handler = OnAlarm;
  sigaction(SIGALRM, &action, nullptr);
  SetTimer(limit);
}

Watchdog::~Watchdog() { SetTimer(absl::ZeroDuration()); }

}  // namespace anywire::test
