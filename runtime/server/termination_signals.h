// SIGTERM and SIGINT as something to wait for.
//
// The handlers only count and write to a descriptor, so every thread of the program goes on as
// before, and what the program had set for the two signals is put back at the end. A signal that
// the program was started with as ignored (nohup, a shell's background job) stays ignored.
#ifndef ANYWIRE_RUNTIME_SERVER_TERMINATION_SIGNALS_H_
#define ANYWIRE_RUNTIME_SERVER_TERMINATION_SIGNALS_H_

#include "absl/time/time.h"

namespace anywire {

// Any number of these may exist at once; each sees every signal that comes while it exists.
class TerminationSignals {
 public:
  TerminationSignals();
  ~TerminationSignals();
  TerminationSignals(const TerminationSignals&) = delete;
  TerminationSignals& operator=(const TerminationSignals&) = delete;

  // How many have come so far.
  int count() const;
  // Returns at once when something has happened since the last Wait, else when the next signal
  // comes, on Wake, or after `timeout`.
  void Wait(absl::Duration timeout);
  // Any thread.
  void Wake();

 private:
  int wake_fd_;
  int slot_ = -1;
  int count_before_;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_TERMINATION_SIGNALS_H_
