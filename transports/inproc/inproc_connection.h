// A connection inside the process, and with it the reading of transport.h that others copy.
//
//   NewFrame     Publish       Transmit     Receive    ReleaseFrames
//   ────> filling ───> published ────> inbox ────> held ────> (memory used again)
//         sender's        under the link's lock    receiver's
//
// Delivery is synchronous: when the peer is watching, Transmit calls its OnReadable on the sender's
// thread; when a thread of the peer waits in Receive, Transmit wakes it. No lock is held around a
// call of Events. What may not call Events (all but Transmit) asks the end's own loop to do it, by
// an alarm.
#ifndef ANYWIRE_TRANSPORTS_INPROC_INPROC_CONNECTION_H_
#define ANYWIRE_TRANSPORTS_INPROC_INPROC_CONNECTION_H_

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>  // std::unique_lock
#include <string>
#include <thread>

#include "anywire/event_loop.h"
#include "anywire/mutex.h"
#include "anywire/transport.h"
#include "transports/inproc/frame_batch.h"

namespace anywire {

// Frames change hands, whatever their size: a message may be one.
inline constexpr size_t kInprocMaxFrameSize = 4 << 20;
// Bytes of one direction between NewFrame and ReleaseFrames. When half is free, where who waits for
// room is told, any frame fits.
inline constexpr size_t kInprocMaxWaiting = 2 * kInprocMaxFrameSize;

// What the two ends share.
class InprocLink {
 public:
  // Ends the link on behalf of one end, which need not have a connection (any more).
  void Abort(int end);

 private:
  friend class InprocConnection;

  // The direction towards one end, and what that end wants to hear. Guarded by mutex_ but for the
  // atomic.
  struct End {
    FrameBatch published;  // by the other end
    FrameBatch inbox;
    std::atomic<size_t> waiting{0};  // bytes from NewFrame to ReleaseFrames
    bool refused = false;            // the other end found no room

    EventLoop::Alarm* alarm = nullptr;  // null: not started, or destroyed
    Connection::Events* events = nullptr;
    bool watching = false;
    bool room_news = false;       // OnWritable is due
    bool in_on_readable = false;  // on whatever thread
    std::thread::id on_readable_thread;
    bool in_receive = false;  // a thread sleeps there
    bool received = false;    // something, since OnReadable was called last
    bool aborted = false;     // by itself
  };

  bool Readable(int end) const;
  void AskLoop(End& end);
  void CallOnReadable(int end, std::unique_lock<Mutex>& lock);
  absl::Status EndedStatus(int end) const;
  void AbortLocked(int end);

  mutable Mutex mutex_;
  // Of either end: its inbox, its end, the return of its OnReadable. One for both, since it has
  // memory of its own and hardly ever do both ends wait.
  std::condition_variable_any changed_;
  End ends_[2];
};

class InprocConnection final : public Connection, private EventLoop::Alarm {
 public:
  // `end` is 0 for the side that connects and 1 for the other.
  InprocConnection(EventLoop& loop, std::shared_ptr<InprocLink> link, int end,
                   const std::string& address);
  ~InprocConnection() override;

  void Start(Events& events) override;
  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) override;
  bool takes_memory() const override { return true; }
  bool AddFrame(uint64_t stream, MessageMemory& memory, size_t offset, size_t size) override;
  bool Publish() override;
  absl::Status Transmit() override;
  absl::StatusOr<absl::Span<const ReceivedFrame>> Receive(Instant wait_until) override;
  void ReleaseFrames() override;
  void WatchReadable(bool on) override;
  void Abort() override { link_->Abort(end_); }
  const ConnectionInfo& info() const override { return info_; }
  EventLoop& loop() const override { return Alarm::loop(); }

 private:
  void OnAlarm(Instant now) override;
  bool HasRoom(size_t size) const;
  // Counts a frame of this size as waiting, if there is room.
  bool Admit(size_t size);

  const std::shared_ptr<InprocLink> link_;
  const int end_;
  InprocLink::End& mine_;
  InprocLink::End& peer_;
  ConnectionInfo info_;

  FrameBatch filling_;  // of NewFrame and Publish alone

  FrameBatch held_;  // of Receive and ReleaseFrames alone
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_INPROC_INPROC_CONNECTION_H_
