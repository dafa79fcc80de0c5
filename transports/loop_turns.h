// For a listener whose connections may live anywhere: ListenOptions::loops, in turn.
#ifndef ANYWIRE_TRANSPORTS_LOOP_TURNS_H_
#define ANYWIRE_TRANSPORTS_LOOP_TURNS_H_

#include <cstddef>
#include <vector>

#include "anywire/event_loop.h"
#include "anywire/transport.h"

namespace anywire {

// One thread at a time.
class LoopTurns {
 public:
  // `loop` is the listener's.
  LoopTurns(EventLoop& loop, const Transport::ListenOptions& options) : loops_(options.loops) {
    if (loops_.empty()) loops_.push_back(&loop);
  }

  EventLoop& Next() { return *loops_[next_++ % loops_.size()]; }

 private:
  std::vector<EventLoop*> loops_;
  size_t next_ = 0;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_LOOP_TURNS_H_
