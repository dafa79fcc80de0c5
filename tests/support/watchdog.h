// A bound on everything a test waits for: a test that hangs becomes a crash that names it.
#ifndef ANYWIRE_TESTS_SUPPORT_WATCHDOG_H_
#define ANYWIRE_TESTS_SUPPORT_WATCHDOG_H_

#include <string>

#include "absl/time/time.h"

namespace anywire::test {

// While it lives, the process aborts with a message that names `what` once `limit` has passed
// (several times `limit` under the sanitizers). One at a time in a process. Uses the process's
// SIGALRM and no thread, so it does not show in a census.
class Watchdog {
 public:
  Watchdog(const std::string& what, absl::Duration limit);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
};

// How much slower this build runs than an ordinary one: 1, or more under a sanitizer.
int BuildSlowness();

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_WATCHDOG_H_
