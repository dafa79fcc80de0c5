// A Listener over a listening stream socket: accepts, lets DecideProtocol look at the first bytes,
// and makes the connection of that protocol.
//
// Peers that have not sent their preface yet wait beside each other, so none holds up another; they
// are limited in number and in time. A process that is short of descriptors turns peers away and
// pauses; it goes on when it can.
#ifndef ANYWIRE_TRANSPORTS_STREAM_STREAM_LISTENER_H_
#define ANYWIRE_TRANSPORTS_STREAM_STREAM_LISTENER_H_

#include <chrono>
#include <deque>
#include <list>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "anywire/event_loop.h"
#include "anywire/loop_turns.h"
#include "anywire/transport.h"
#include "transports/stream/preface.h"
#include "transports/stream/stream_options.h"
#include "transports/stream/unique_fd.h"

namespace anywire {

class StreamListener final : public Listener, private EventLoop::Watch, private EventLoop::Alarm {
 public:
  // Makes a connection of what has been readied, on whichever loop it is given.
  using Make = absl::AnyInvocable<std::unique_ptr<Connection>(EventLoop& loop)>;
  struct Config {
    std::string address;  // as a URI
    StreamOptions options;
    Transport::ListenOptions listen;
    // What peers have to speak here; others are closed.
    StreamProtocol protocol = StreamProtocol::kAnywire;
    // Connections that are readied before Accept asks for them, for protocols in which the peer
    // waits for an answer. Without, whoever connects waits in the kernel.
    size_t ready_ahead = 0;
    // Sets up an accepted socket and tells its ends; an error drops the peer.
    absl::AnyInvocable<absl::StatusOr<ConnectionInfo>(int fd)> adopt;
    // Whether another connection may be readied now. While none may, peers wait behind their
    // preface, as long as for that, or in the kernel; asked again after a pause. None: always.
    absl::AnyInvocable<bool()> room = nullptr;
    // Readies it, in blocking mode, behind its preface; an error drops the peer. None: it becomes a
    // StreamConnection.
    absl::AnyInvocable<absl::StatusOr<Make>(UniqueFd fd, ConnectionInfo info)> ready = nullptr;
    // Gives the address back; runs before the socket is closed. Peers that have connected by then
    // are still accepted.
    absl::AnyInvocable<void(int fd)> release;
  };
  // `fd` listens already; it is made non-blocking.
  static absl::StatusOr<std::unique_ptr<Listener>> Create(EventLoop& loop, UniqueFd fd,
                                                          Config config);
  StreamListener(EventLoop& loop, UniqueFd fd, Config config);  // use Create
  ~StreamListener() noexcept override;

  kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> Accept() override;
  void Close() override;
  const std::string& address() const override { return config_.address; }

 private:
  using Accepted = absl::StatusOr<std::unique_ptr<Connection>>;
  class Undecided;

  void OnReady(uint32_t events) override;
  void OnAlarm(Instant now) override;
  bool AcceptOne();
  void OutOfDescriptors(int error);
  void Pause();
  bool paused() const { return paused_until_ != Instant::min(); }
  void WatchFor(uint32_t events);
  void OnFirstBytes(std::list<Undecided>::iterator undecided);
  void Decide(std::list<Undecided>::iterator undecided, StreamProtocol protocol);
  void ReadyHeld();
  void Ready(UniqueFd fd);
  absl::StatusOr<Make> ReadyStream(UniqueFd fd, ConnectionInfo info) const;
  std::unique_ptr<Connection> Give(Make make);
  // Whether to take another peer from the kernel.
  bool wanted() {
    return (has_waiting_ && waiting_->isWaiting()) || ready_.size() < config_.ready_ahead;
  }
  void SetAlarm();
  void StopListening();
  // Closed, and nobody is left who could become a connection.
  bool exhausted() const { return !fd_.valid() && undecided_.empty() && ready_.empty(); }
  void TellIfExhausted();

  EventLoop& loop_;
  Config config_;
  LoopTurns turns_;
  UniqueFd fd_;       // none: closed
  UniqueFd reserve_;  // given up to accept, and so be able to turn away, when there are no more
  bool watched_ = false;
  uint32_t watched_events_ = 0;
  std::list<Undecided> undecided_;  // oldest first
  std::deque<Make> ready_;
  kj::Own<kj::PromiseFulfiller<Accepted>> waiting_;
  bool has_waiting_ = false;
  std::chrono::nanoseconds pause_{0};  // the last one, while descriptors or room are short
  Instant paused_until_ = Instant::min();
  bool out_of_descriptors_ = false;  // and it has been said
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_STREAM_STREAM_LISTENER_H_
