// Threads of the library take no signals of the program.
#ifndef ANYWIRE_TRANSPORTS_SIGNALS_BLOCKED_H_
#define ANYWIRE_TRANSPORTS_SIGNALS_BLOCKED_H_

#include <pthread.h>
#include <signal.h>

namespace anywire {

// Keeps signals from the threads that are started while it exists: they are for the program's own
// threads. Those that a fault raises are the faulty thread's, and a profiler's are everybody's. To
// be destroyed on the thread that made it.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    for (int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) {
      sigdelset(&all, own);
    }
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SIGNALS_BLOCKED_H_
