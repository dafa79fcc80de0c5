// Connections between the sockets of a listener, on any loops, and its Accept, on its own.
#ifndef ANYWIRE_TRANSPORTS_UDP_UDP_BACKLOG_H_
#define ANYWIRE_TRANSPORTS_UDP_UDP_BACKLOG_H_

#include <cstddef>
#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "anywire/event_loop.h"
#include "anywire/mutex.h"
#include "anywire/transport.h"

namespace anywire::udp {

class UdpBacklog : public std::enable_shared_from_this<UdpBacklog> {
 public:
  // Hears, on its loop's thread, that there may be something new.
  class Listener {
   public:
    virtual void OnBacklog() = 0;

   protected:
    ~Listener() = default;
  };

  // Until Abandon.
  UdpBacklog(EventLoop& loop, Listener& listener, size_t limit)
      : loop_(loop), limit_(limit), listener_(&listener) {}

  // ---- any thread

  // Whether there is somebody to give connections to, and room for one more.
  bool HasRoom() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Takes it, whether there is room or not.
  void Push(std::unique_ptr<Connection> connection) ABSL_LOCKS_EXCLUDED(mutex_);
  // There is less to wait for.
  void Tell() ABSL_LOCKS_EXCLUDED(mutex_);

  // ---- the listener's thread

  // Null when there is none.
  std::unique_ptr<Connection> Pop() ABSL_LOCKS_EXCLUDED(mutex_);
  // Nobody takes any; drops those that are there.
  void Abandon() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void TellLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  EventLoop& loop_;
  const size_t limit_;
  mutable Mutex mutex_;
  Listener* listener_ ABSL_GUARDED_BY(mutex_);  // while there is one, there is its loop
  std::deque<std::unique_ptr<Connection>> connections_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_UDP_BACKLOG_H_
