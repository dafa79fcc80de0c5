// THE SEAM: what a transport is to the rest of anywire.
//
// A Transport turns addresses into Connections, by connecting and by listening. A Connection moves
// whole frames, each of one stream, both ways. The runtime above knows nothing of sockets; a
// transport knows nothing of methods, calls or deadlines. `transports/inproc` is the reference:
// read it first and copy its shape. `transports/README.md` says how to add one; `tests/conformance`
// says when it is right.
//
// What a connection promises: frames of one stream arrive in the order sent, each exactly once and
// unchanged, or the connection fails. Between streams a transport may reorder
// (`ConnectionInfo::ordered_across_streams` says whether it does). It never delivers a part of a
// frame.
//
// Threads. On an EventLoop's thread: Transport::Connect and Listen, Listener's functions and the
// destruction of all of these. A Connection that has been started is destroyed on its own loop()'s
// thread, one that has not on any loop's. A started Connection is driven by any threads, under
// these rules, which its owner keeps:
//   * NewFrame, AddFrame, AddPiece and Publish are one at a time with each other.
//   * Transmit and TransmitUntil are one at a time with each other, and may run beside the rest.
//   * Receive and ReleaseFrames are one at a time with each other, and may run beside the rest.
//   * WatchReadable, Abort and info may be called by any thread at any time.
//   * Destruction is beside nothing: no other function of the connection is running. It waits
//     for an Events call that is under way on another thread, so hold no lock that Events takes.
//     Inside a call of its own Events that the loop makes, a connection may be destroyed as the
//     last thing done.
// No function of Connection except Transmit and TransmitUntil calls Events before it returns, so a
// lock may be held around it; hold none that the Events functions take around those two.
//
// Errors are absl::Status: UNAVAILABLE for a peer or a path that is gone (the text says which and
// why), INVALID_ARGUMENT for an address that cannot be meant, PERMISSION_DENIED, RESOURCE_EXHAUSTED
// for descriptors and memory, DATA_LOSS for bytes of the peer that break the transport's own rules.
// kj exceptions do not cross this interface.
#ifndef ANYWIRE_TRANSPORTS_TRANSPORT_H_
#define ANYWIRE_TRANSPORTS_TRANSPORT_H_

#include <kj/async.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "anywire/event_loop.h"
#include "anywire/frame.h"

namespace anywire {

// Who is at the other end, as far as somebody besides the peer vouches for it: the operating
// system, or a proof that the transport has checked. Never taken from the peer's bytes.
struct PeerIdentity {
  struct Credentials {
    uid_t uid = 0;
    gid_t gid = 0;
    pid_t pid = 0;  // for display only: process ids are reused
  };
  std::optional<Credentials> credentials;  // unix sockets, shared memory, inside the process
};

// Of whom a transport that shares memory with its peers shows frames where they lie, and so while
// the peer could still change them: what is looked at twice may have changed in between. Those of
// others it copies first. Only frames are shown so that are large enough to be worth it.
enum class InPlace {
  kNever,     // nobody
  kSameUser,  // peers with our own user id, as the system vouches for it
  kAlways,    // everybody
};

// How a transport that has to find out for itself what a path carries does so, where it is of
// several minds.
enum class CongestionControl {
  kNewReno,
  kCubic,
};

// What is known of a connection from its start to its end; constant.
struct ConnectionInfo {
  // As URIs of the scheme, e.g. "tcp://127.0.0.1:4000"; "" where a side has none.
  std::string local_address;
  std::string remote_address;
  PeerIdentity peer;
  // Largest frame that NewFrame gives and Receive delivers, in bytes; at least 1,024.
  size_t max_frame_size = 0;
  // A message for which this is too little goes in several frames of this size, so that the frames
  // of other calls pass between them. More than that is for transports in which a frame is on its
  // way no longer for being large.
  size_t piece_size = 16 << 10;
  bool ordered_across_streams = false;
  bool host_private = false;  // no other host can read or write what travels here
  // A thread that waits in Receive costs less for each frame than watching does (as with a socket,
  // where it saves the question which descriptor is ready).
  bool waiting_is_cheaper = false;
};

// One connection. Made by Transport::Connect or Listener::Accept; owned by whoever asked.
class Connection : public FrameSink {
 public:
  // The upward calls. They may come on any thread, also from inside Transmit of either end (a
  // transport inside the process delivers synchronously), but none comes before Start or after the
  // destructor began, and never two of the same function at once.
  class Events {
   public:
    virtual ~Events() = default;
    // Receive has something to give: frames or the end. Repeats while that holds and watching is on
    // (level-triggered); an implementation may call it without cause.
    virtual void OnReadable() = 0;
    // Once after NewFrame found no room, or Transmit left bytes unsent: there is room, or sending
    // has failed; Publish and Transmit again. May come from inside the very Transmit that made the
    // room, and without cause.
    virtual void OnWritable() = 0;
  };

  ~Connection() override = default;

  // Called once, on any thread, before any other function but info() and loop(). `events` outlives
  // the connection. Watching starts off.
  virtual void Start(Events& events) = 0;

  // SENDING. NewFrame (see FrameSink) gives a frame to fill, Publish makes all frames filled so far
  // ready to travel and Transmit moves them. The two are apart so that many threads may fill frames
  // under one lock while one of them is in a system call without it: NewFrame may run beside
  // Transmit, Publish may not. Publish returns true when Transmit has something to do.
  //
  // NewFrame refuses (null) when as many bytes wait as the transport is willing to hold, so no
  // sender can make it grow without bound. One frame always fits when nothing waits. On a
  // connection that has failed frames go nowhere, and Transmit says why. All this goes for AddFrame
  // and AddPiece too; how much memory pieces hold beside their own bytes is their owner's to bound.
  virtual bool Publish() = 0;

  // Sends what was published before the call, as far as the other side takes it without waiting. OK
  // also when some is left; then OnWritable comes later. An error is final and the same for every
  // later call; frames in flight may or may not have arrived.
  virtual absl::Status Transmit() = 0;

  // The same by a thread that has nothing to do before all is sent: waits for room until
  // `wait_until`, and leaves to OnWritable what is not sent by then. A waiting TransmitUntil
  // returns early, with an error, when Abort is called. A transport in which waiting is no cheaper
  // than OnWritable need not have it.
  virtual absl::Status TransmitUntil(std::chrono::steady_clock::time_point /*wait_until*/) {
    return Transmit();
  }

  // RECEIVING. Returns what has arrived: one or more frames, or none when `wait_until` passes first
  // (a time in the past: does not wait; time_point::max(): waits without limit). The views live
  // until the next Receive or ReleaseFrames, whichever is first, and ReleaseFrames may be called by
  // another thread than Receive. Frames that came before an error of the peer are given before it.
  // An error is final: UNAVAILABLE "closed by peer" after the peer's Abort or death.
  //
  // A waiting Receive returns early, with an error, when Abort is called. While a thread waits in
  // it, watching must be off.
  virtual absl::StatusOr<absl::Span<const ReceivedFrame>> Receive(
      std::chrono::steady_clock::time_point wait_until) = 0;

  // Gives back the frames of the last Receive. Owners call it when they stop receiving for a while;
  // not calling Receive is back-pressure to the peer.
  virtual void ReleaseFrames() = 0;

  // Whether OnReadable is wanted. Takes effect at once, except that one call already on its way may
  // still come.
  virtual void WatchReadable(bool on) = 0;

  // ENDING. Abort ends both directions at once: frames not yet transmitted go nowhere, or go as if
  // they had been; the peer sees the end, a waiting Receive returns, and every later Receive and
  // Transmit here is UNAVAILABLE. What has been transmitted is not taken back, by the destructor
  // neither: whoever wants a goodbye sends it as a frame and transmits it before. May be called
  // twice.
  virtual void Abort() = 0;

  virtual const ConnectionInfo& info() const = 0;
  // Where it lives. Constant, and like info() for any thread from the start to the end.
  virtual EventLoop& loop() const = 0;
};

// An open listening address. Destroying it closes it, and drops the connections that Accept has not
// given.
class Listener {
 public:
  virtual ~Listener() = default;
  // The next connection. Failures that concern one peer, or that pass (descriptors are used up),
  // are dealt with inside, with a pause where needed, and never end the listener. One Accept at a
  // time; dropping the promise is allowed, and loses no connection that was not yet given.
  // UNAVAILABLE once the listener is destroyed, or closed and has no more to give.
  virtual kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> Accept() = 0;
  // Stops listening and gives the address back (a socket file is removed). Where connections use
  // the listening socket itself, as with datagrams, other processes have it once the last of them
  // is gone, and this one may listen there again at once. Peers that have connected may have sent
  // something already, and are not dropped: Accept goes on to give them.
  // May be called twice. On the thread of the listener's loop.
  virtual void Close() = 0;
  // The address in full, with what the system chose: the port of "tcp://127.0.0.1:0".
  virtual const std::string& address() const = 0;
};

// How one URI scheme is spoken. One object serves all loops and threads, and outlives what it made.
class Transport {
 public:
  virtual ~Transport() = default;

  // The part before ':', lower case: "tcp".
  virtual absl::string_view scheme() const = 0;

  // Whether `address` (the part after "scheme:" and, where there is one, "//") is well formed; no
  // I/O. The error reads "what is wrong; allowed: what is right": users of the configuration see it
  // behind the place in their file and the URI.
  virtual absl::Status CheckAddress(absl::string_view address) const = 0;

  struct ConnectOptions {
    // For a transport that shares memory with its peers; none: its own default.
    std::optional<InPlace> in_place = std::nullopt;
    // For a transport that does what the system does for others; none: its own default. The window
    // is in bytes, of each direction of a connection: what may be on its way, or be unread. Out of
    // the transport's range: INVALID_ARGUMENT.
    std::optional<CongestionControl> congestion_control = std::nullopt;
    std::optional<size_t> window = std::nullopt;
  };
  // Connects. The connection uses `loop` for its readiness; call on that loop's thread. The caller
  // bounds the time by dropping the promise, which abandons the attempt.
  virtual kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> Connect(
      EventLoop& loop, absl::string_view address, const ConnectOptions& options) = 0;

  // Listens; the listener itself lives on `loop`.
  struct ListenOptions {
    // Those among which accepted connections are shared out: in turn, or as the system does it for
    // a transport in which that decides who receives what. They outlive the listener and its
    // connections. Empty: `loop` alone.
    std::vector<EventLoop*> loops;
    // Permissions of a socket file that Listen makes; none: the transport's own default. Without
    // meaning where there is no such file.
    std::optional<mode_t> socket_mode = std::nullopt;
    // Bytes of each ring of a connection, for a transport that has such; none: its own default.
    std::optional<size_t> ring_size = std::nullopt;
    // As in ConnectOptions.
    std::optional<InPlace> in_place = std::nullopt;
    std::optional<CongestionControl> congestion_control = std::nullopt;
    std::optional<size_t> window = std::nullopt;
  };
  virtual absl::StatusOr<std::unique_ptr<Listener>> Listen(EventLoop& loop,
                                                           absl::string_view address,
                                                           const ListenOptions& options) = 0;

  // An address nobody uses, on which Listen succeeds; tests and demos run on every registered
  // transport by it. Connect to what Listener::address() then says. `scratch_dir` is an existing
  // folder for transports that need a file.
  virtual std::string FreshAddress(absl::string_view scratch_dir) = 0;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_TRANSPORT_H_
