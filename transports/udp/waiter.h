// What a thread that waits for a connection is woken by: a descriptor of its own, so that it may
// wait for a socket as well.
#ifndef ANYWIRE_TRANSPORTS_UDP_WAITER_H_
#define ANYWIRE_TRANSPORTS_UDP_WAITER_H_

#include "anywire/event_loop.h"
#include "transports/stream/unique_fd.h"

namespace anywire::udp {

class Waiter {
 public:
  // The calling thread's.
  static Waiter& OfThisThread();

  // Waits until `fd` (negative: none) is readable or has an error, Wake is called, or `until`; may
  // return early without cause. Where the system has no descriptor left, it returns every few
  // milliseconds, so that the caller looks for itself.
  void Wait(int fd, Instant until);
  // ANY THREAD, while the waiter's thread cannot end.
  void Wake() const;

 private:
  Waiter();

  const UniqueFd wake_fd_;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_WAITER_H_
