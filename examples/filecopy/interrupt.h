// SIGINT and SIGTERM as a cancellation, so that a copy that is told to stop leaves nothing half
// done.
#ifndef ANYWIRE_EXAMPLES_FILECOPY_INTERRUPT_H_
#define ANYWIRE_EXAMPLES_FILECOPY_INTERRUPT_H_

#include <thread>

#include "anywire/cancellation.h"
#include "examples/filecopy/beneath.h"

namespace anywire::examples {

// From its construction on, the first signal cancels token(); a second one ends the process at
// once. Make it before other threads are started: they must inherit that the signals are blocked.
class InterruptCancellation {
 public:
  InterruptCancellation();
  ~InterruptCancellation();
  CancellationToken token() const { return source_.token(); }

 private:
  void Watch();
  CancellationSource source_;
  UniqueFd signals_;
  UniqueFd stop_;
  std::thread thread_;
};

}  // namespace anywire::examples

#endif  // ANYWIRE_EXAMPLES_FILECOPY_INTERRUPT_H_
