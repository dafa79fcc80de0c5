// A socket with the connections on it: moves datagrams between the kernel and the machines, keeps
// the machines' time, and tells their owners on its loop's thread.
//
// Everything of a socket's connections is under its one mutex, but for system calls and calls of
// Events. Any thread may send, and may take in what has come; only the loop's thread tells. What
// another thread finds to be told it leaves in a queue, and sets the alarm.
//
// A connection that its owner has let go of lingers: what has been sent still arrives, or is given
// up after a while. Then, or when the loop ends, the socket goes; see Linger.
#ifndef ANYWIRE_TRANSPORTS_UDP_UDP_SOCKET_H_
#define ANYWIRE_TRANSPORTS_UDP_UDP_SOCKET_H_

#include <kj/async.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "anywire/event_loop.h"
#include "anywire/mutex.h"
#include "anywire/transport.h"
#include "transports/udp/datagram_socket.h"
#include "transports/udp/reliability/buffer_pool.h"
#include "transports/udp/udp_link.h"
#include "transports/udp/wakeup_heap.h"

namespace anywire::udp {

class UdpSocket : private EventLoop::Watch, private EventLoop::Alarm {
 public:
  // Datagram bytes that wait for room in the kernel; those beyond are dropped, as a network would.
  static constexpr size_t kMaxUnsent = 256 << 10;

  ~UdpSocket() noexcept override;

  EventLoop& loop() const { return loop_; }

  // ---- of a connection's owner, as Connection has them (udp_socket_owner.cc)
  void Start(UdpLink& link, Connection::Events& events) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Span<uint8_t> NewFrame(UdpLink& link, uint64_t stream, size_t size)
      ABSL_LOCKS_EXCLUDED(mutex_);
  bool AddPiece(UdpLink& link, uint64_t stream, absl::Span<const uint8_t> head,
                const SharedMessageMemory& memory, size_t offset, size_t size)
      ABSL_LOCKS_EXCLUDED(mutex_);
  bool Publish(UdpLink& link) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Transmit(UdpLink& link) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status TransmitUntil(UdpLink& link, Instant wait_until) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<absl::Span<const ReceivedFrame>> Receive(UdpLink& link, Instant wait_until)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void ReleaseFrames(UdpLink& link) ABSL_LOCKS_EXCLUDED(mutex_);
  void WatchReadable(UdpLink& link, bool on) ABSL_LOCKS_EXCLUDED(mutex_);
  void Abort(UdpLink& link) ABSL_LOCKS_EXCLUDED(mutex_);
  // The owner goes. `keep` keeps this socket.
  void LetGo(UdpLink& link, std::shared_ptr<void> keep) ABSL_LOCKS_EXCLUDED(mutex_);

 protected:
  // `waiters` outlives it.
  UdpSocket(EventLoop& loop, WaiterPool& waiters, DatagramSocket socket);
  // Watches the descriptor.
  absl::Status Open();

  // ---- what kinds of sockets do differently
  virtual void Take(Instant now, const DatagramPath& from, absl::Span<const uint8_t> datagram)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) = 0;
  // ICMP has said something of what was sent, if it is true.
  virtual void OnIcmp(int /*error*/) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {}
  // Whatever has happened to the link, its machine's datagrams have been sent since.
  virtual void OnSettled(UdpLink& /*link*/) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {}
  // Waits, as long as nothing happens, until `wait_until`; false when that has come. `waiter` is
  // the link's for what it waits for. Releases and retakes the lock.
  virtual bool Await(UdpLink& link, Waiter* UdpLink::*waiter, Instant wait_until)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Its owner wants to be told of what comes, or goes.
  virtual void OnWatched() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {}
  // On the loop's thread: at the alarm, and at the end of each turn.
  virtual void OnAlarmBegins(Instant /*now*/) {}
  virtual void OnTurnEnds() {}
  // The link is over: destroys it.
  virtual void Destroy(UdpLink& link) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) = 0;
  // What keeps this socket; null when its last owner is gone.
  virtual std::shared_ptr<void> Keep() = 0;

  // ---- for them
  // Takes in what has come, a batch, and settles. Returns whether there was anything.
  bool Read() ABSL_LOCKS_EXCLUDED(mutex_) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  // Something has happened to the link: Settle will see to it.
  void Touch(UdpLink& link) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { touched_.Push(link); }
  // Sends what the machines of touched links have to send, and sees to what else has come of it.
  // Releases and retakes the lock.
  void Settle(Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Sends what the link's machine has to send. Releases and retakes the lock.
  void Flush(UdpLink& link, Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // When HandleWakeups has something to do for the link.
  Instant NextWakeup(const UdpLink& link) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return is_blocked_ ? wakeups_.first_at() : link.machine->NextWakeup();
  }
  // Hands the time to machines that are due; Settle follows.
  void HandleWakeups(Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What there is to tell of the link the loop tells, and now.
  void Note(UdpLink& link) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the loop's thread takes in what comes as it comes.
  void ReadOnLoop(bool on) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Waits as Waiter::Wait does. Releases and retakes the lock.
  void WaitFor(UdpLink& link, Waiter* UdpLink::*waiter, int fd, Instant until)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Has the loop look after this socket, and call OnAlarmBegins, no later than that.
  void SetAlarm(Instant when) { SetNoLaterThan(when); }
  // Before it is forgotten in another way than by Destroy.
  void Forget(UdpLink& link) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { wakeups_.Remove(link); }

  EventLoop& loop_;
  WaiterPool& waiters_;
  mutable Mutex mutex_ ABSL_ACQUIRED_AFTER(read_mutex_);
  DatagramSocket socket_;
  BufferPool pool_ ABSL_GUARDED_BY(mutex_);
  bool reads_on_loop_ ABSL_GUARDED_BY(mutex_) = false;

 private:
  void OnReady(uint32_t events) override;
  void OnAlarm(Instant now) override;
  void EndTurn() ABSL_LOCKS_EXCLUDED(mutex_);
  void Tell() ABSL_LOCKS_EXCLUDED(mutex_);
  // Calls OnWritable if it is due and no thread is in it. Releases and retakes the lock.
  void TellRoom(UdpLink& link, bool by_loop) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The system has no room for the rest of `batch`.
  void Block(const SendBatch& batch, size_t sent, const DatagramPath& path, int error)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ResumeSending(Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void UpdateWatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Release(UdpLink& link) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status EndOf(const UdpLink& link) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Linger(std::shared_ptr<void> keep) ABSL_LOCKS_EXCLUDED(mutex_);

  // Held from the receiving of datagrams to their being taken, so that they are in order.
  Mutex read_mutex_;

  // The loop's.
  bool is_watched_ = false;  // by the kernel
  kj::Own<kj::PromiseFulfiller<void>> lingering_ends_;
  bool is_kept_ = false;  // by the loop, until lingering_ends_

  UdpLinkQueue<&UdpLink::is_touched, &UdpLink::next_touched> touched_ ABSL_GUARDED_BY(mutex_);
  UdpLinkQueue<&UdpLink::has_news, &UdpLink::next_with_news> news_ ABSL_GUARDED_BY(mutex_);
  WakeupHeap<UdpLink, &UdpLink::wakeup> wakeups_ ABSL_GUARDED_BY(mutex_);
  bool is_in_turn_ ABSL_GUARDED_BY(mutex_) = false;     // the loop tells all news before it is over
  UdpLink* telling_ ABSL_GUARDED_BY(mutex_) = nullptr;  // and of which now, unless let go of
  size_t lingering_ ABSL_GUARDED_BY(mutex_) = 0;        // links

  uint32_t watched_events_ ABSL_GUARDED_BY(mutex_) = 0;

  // While the kernel has no room.
  struct Unsent {
    DatagramPath path;
    std::vector<uint8_t> bytes;
  };
  bool is_blocked_ ABSL_GUARDED_BY(mutex_) = false;
  Instant resume_at_ ABSL_GUARDED_BY(mutex_) = Instant::max();  // if it does not say when there is
  std::deque<Unsent> unsent_ ABSL_GUARDED_BY(mutex_);
  size_t unsent_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  UdpLinkQueue<&UdpLink::is_stalled, &UdpLink::next_stalled> stalled_
      ABSL_GUARDED_BY(mutex_);  // to be flushed then
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_UDP_SOCKET_H_
