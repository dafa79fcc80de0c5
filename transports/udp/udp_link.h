// A connection as its socket has it. It is there before the Connection that users have, and stays
// after that: what has been sent still has to arrive.
#ifndef ANYWIRE_TRANSPORTS_UDP_UDP_LINK_H_
#define ANYWIRE_TRANSPORTS_UDP_UDP_LINK_H_

#include <memory>

#include "anywire/transport.h"
#include "transports/udp/datagram_path.h"
#include "transports/udp/reliability/connection_machine.h"
#include "transports/udp/waiter.h"
#include "transports/udp/wakeup_heap.h"

namespace anywire::udp {

// All of it is guarded by its socket's mutex.
struct UdpLink {
  using State = ConnectionMachine::State;

  std::unique_ptr<ConnectionMachine> machine;
  DatagramPath path;

  // ---- its owner
  bool is_owned = false;                 // there is a Connection, or will be
  Connection::Events* events = nullptr;  // once that has been started
  bool is_watching = false;              // it wants OnReadable
  bool is_aborted = false;               // by it
  bool has_published = false;            // since it last transmitted
  bool has_given = false;                // frames, which it has not released
  bool has_room_news = false;            // OnWritable is due
  Waiter* receiver = nullptr;            // a thread that waits in Receive
  Waiter* sender = nullptr;              // and in TransmitUntil
  bool is_telling_room = false;          // a thread is in OnWritable

  // ---- its socket
  bool is_lingering = false;  // it has been let go of
  bool is_announced = false;  // of a server: it is not half open, and Accept knows
  bool is_flushing = false;   // a thread sends what the machine gives
  bool flush_again = false;   // and is to look for more
  Wakeup wakeup;
  bool is_touched = false;  // in UdpSocket::touched_
  UdpLink* next_touched = nullptr;
  bool is_stalled = false;  // in UdpSocket::stalled_
  UdpLink* next_stalled = nullptr;
  bool has_news = false;  // in UdpSocket::news_
  UdpLink* next_with_news = nullptr;

  // Neither sends nor receives any more. (It may have frames that have been received.)
  bool has_ended() const {
    return is_aborted || machine->state() == State::kDraining || machine->state() == State::kEnded;
  }
  bool is_readable() const { return has_ended() || machine->has_frames(); }
  // Whether nobody needs it any more.
  bool is_over() const {
    const bool is_used = is_owned || is_flushing || is_touched;
    return !is_used && machine->state() == State::kEnded;
  }
};

// First in, first out; a link is in it once.
template <bool UdpLink::*is_in, UdpLink* UdpLink::*next>
class UdpLinkQueue {
 public:
  bool empty() const { return first_ == nullptr; }
  void Push(UdpLink& link) {
    if (link.*is_in) return;
    link.*is_in = true;
    link.*next = nullptr;
    (first_ == nullptr ? first_ : last_->*next) = &link;
    last_ = &link;
  }
  // Null when there is none.
  UdpLink* Pop() {
    UdpLink* const link = first_;
    if (link == nullptr) return nullptr;
    first_ = link->*next;
    link->*is_in = false;
    return link;
  }

 private:
  UdpLink* first_ = nullptr;
  UdpLink* last_ = nullptr;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_UDP_LINK_H_
