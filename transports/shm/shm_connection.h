// A Connection through shared memory; PROTOCOL.md has the format.
//
// While the peer is awake, sending and receiving are loads and stores. Who finds nothing to receive
// says so in the ring and sleeps: a thread that waits in Receive by futex, the loop on the
// connection's socket. The socket is also how the loop hears of room, and, by its end, that the
// peer has gone; it carries nothing else.
#ifndef ANYWIRE_TRANSPORTS_SHM_SHM_CONNECTION_H_
#define ANYWIRE_TRANSPORTS_SHM_SHM_CONNECTION_H_

#include <sys/types.h>

#include <atomic>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "anywire/event_loop.h"
#include "anywire/mutex.h"
#include "anywire/transport.h"
#include "transports/shm/shm_input.h"
#include "transports/shm/shm_offers.h"
#include "transports/shm/shm_options.h"
#include "transports/shm/shm_output.h"
#include "transports/shm/shm_region.h"

namespace anywire {

// The user id that stands for all that have none in our user namespace. It says nothing of who they
// are.
uid_t OverflowUid();
// Whether large frames of `peer` are parsed in the ring. `own`: the user id that we run with.
bool ParsedInPlace(InPlace in_place, const PeerIdentity& peer, uid_t own);

class ShmConnection final : public Connection, private EventLoop::Watch, private EventLoop::Alarm {
 public:
  // `socket` is behind the handshake, in which `region` has been agreed on; `output` is the
  // direction in which this side sends. Of `info`, what the region decides is filled in here.
  ShmConnection(EventLoop& loop, ShmSocket socket, std::unique_ptr<ShmRegion> region,
                ShmRegion::Direction output, ConnectionInfo info, const ShmOptions& options);
  ~ShmConnection() override;

  void Start(Events& events) override;
  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) override;
  bool Publish() override { return output_.Publish() || state_.load() != State::kOpen; }
  absl::Status Transmit() override;
  absl::StatusOr<absl::Span<const ReceivedFrame>> Receive(Instant wait_until) override;
  void ReleaseFrames() override {
    if (input_.Release()) RingSocket();
  }
  void WatchReadable(bool on) override;
  void Abort() override;
  const ConnectionInfo& info() const override { return info_; }
  EventLoop& loop() const override { return loop_; }

 private:
  enum class State {
    kOpen,
    kGone,        // the peer has closed its socket, or died
    kBrokenRoom,  // its index of what it has read makes no sense
    kBrokenRing,  // it has rung without being asked
    kUnwatched,   // our loop has no room to watch the socket
    kAborted,     // by us
  };

  void OnReady(uint32_t events) override;
  void OnAlarm(Instant) override { Attend(/*rung=*/false); }
  void Attend(bool rung);
  void HearRings();
  void RingSocket();

  void End(State state) ABSL_LOCKS_EXCLUDED(sleep_mutex_);
  absl::Status EndStatus(State state) const;
  absl::StatusOr<absl::Span<const ReceivedFrame>> ReceiveLast();
  void LookForPeer();

  absl::Span<uint8_t> NewFrameWithoutRoom(uint64_t stream, size_t size);
  absl::Span<uint8_t> Nowhere(size_t size);
  bool SleepUntil(Instant wait_until);
  bool Readable() const { return state_.load() != State::kOpen || input_.consumer().HasNews(); }
  void Arm() ABSL_EXCLUSIVE_LOCKS_REQUIRED(sleep_mutex_);

  EventLoop& loop_;
  const ShmSocket socket_;
  const std::unique_ptr<ShmRegion> region_;
  ConnectionInfo info_;
  Events* events_ = nullptr;
  bool watched_ = false;
  bool* destroyed_ = nullptr;  // the loop's: set while it calls Events
  std::atomic<State> state_{State::kOpen};

  ShmOutput output_;
  absl::Status send_status_;              // Transmit's
  std::unique_ptr<uint8_t[]> nowhere_;    // NewFrame's: for frames that do not travel
  std::atomic<bool> refused_{false};      // NewFrame found no room, and nobody has been told of any
  std::atomic<uint64_t> rings_asked_{0};  // at most so many bytes may come on the socket
  uint64_t rings_heard_ = 0;              // the loop's

  ShmInput input_;
  absl::Status receive_status_;  // Receive's
  unsigned empty_polls_ = 0;     // Receive's

  // Of the sleeping of input_: a thread's in Receive, or the loop's.
  Mutex sleep_mutex_;
  bool watching_ ABSL_GUARDED_BY(sleep_mutex_) = false;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_SHM_CONNECTION_H_
