// One end of a connection, without I/O, clock and threads: frames, packets, commands and the time
// go in; packets, frames and the next wake-up come out. PROTOCOL.md has what travels.
//
//   owner ── NewFrame ──>  | FrameSender |  ── PollDatagram ──>  socket
//   owner <── Receive ──   | FrameReceiver |  <── HandleDatagram ──
//
// After any function that is not const, the owner calls PollDatagram until it gives none, then
// looks at has_frames, TakeRoom and state, and sets its alarm for NextWakeup. A batch of packets
// is best handed in whole before that: it is then acknowledged once.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CONNECTION_MACHINE_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CONNECTION_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "anywire/frame.h"
#include "transports/udp/reliability/buffer_pool.h"
#include "transports/udp/reliability/client_handshake.h"
#include "transports/udp/reliability/congestion_controller.h"
#include "transports/udp/reliability/frame_receiver.h"
#include "transports/udp/reliability/frame_sender.h"
#include "transports/udp/reliability/keyed_random.h"
#include "transports/udp/reliability/loss_detector.h"
#include "transports/udp/reliability/options.h"
#include "transports/udp/reliability/pacer.h"
#include "transports/udp/reliability/packet.h"
#include "transports/udp/reliability/path_mtu.h"
#include "transports/udp/reliability/received_packets.h"
#include "transports/udp/reliability/time.h"

namespace anywire::udp {

// Used by one thread at a time.
class ConnectionMachine final : public FrameSink, private LossDetector::Listener {
 public:
  enum class State {
    kOpening,   // a client without an ACCEPT
    kHalfOpen,  // a server without a DATA packet
    kOpen,
    kClosing,   // Close was called: what is on its way is still being sent
    kDraining,  // the peer has closed, and all its frames have come; its CLOSE is acknowledged
    kEnded,
  };

  // A client's, which opens. `pool` outlives it. `seed`: from the operating system, secret.
  static std::unique_ptr<ConnectionMachine> Connect(const Options& options, BufferPool& pool,
                                                    const SipKey& seed, Instant now);
  // A server's, for an OPEN with a valid token.
  static std::unique_ptr<ConnectionMachine> Accept(const Options& options, BufferPool& pool,
                                                   const SipKey& seed, Instant now,
                                                   const OpenPacket& open, uint64_t server_id);
  ~ConnectionMachine() override;

  // ---- packets
  // A client's: any datagram from the server's address.
  void HandleDatagram(Instant now, absl::Span<const uint8_t> datagram);
  // A DATA packet for our id, whose check is right; the endpoint of a server hands it in.
  void HandleData(Instant now, const DataPacket& packet);
  // Something that anybody can make up, ICMP for instance, says that nobody is where the peer was.
  // The peer is asked; when it does not answer and the same is said again and again, the connection
  // ends, long before an idle one would.
  void HandleRefusal(Instant now);
  // A server's that is half open: ACCEPT is due, at first or because the client has not seen it,
  // and good for Options::half_open_timeout from now.
  void SendAccept(Instant now);

  // Writes the next packet, if there is one to be sent now, and returns its size. `to` has
  // Options::max_datagram_size bytes.
  size_t PollDatagram(Instant now, absl::Span<uint8_t> to);

  // ---- time
  // When to call HandleWakeup; may change with every call of anything. Early calls do no harm.
  Instant NextWakeup() const;
  void HandleWakeup(Instant now);

  // ---- frames out; when kOpen, or kHalfOpen (they wait). When ended, they go nowhere.
  // See FrameSink; the sink's largest frame is max_frame_size().
  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) override;
  // The same in two steps: a frame that has been prepared is not sent before Publish, so that it
  // may be filled beside all else; its memory stays even if the connection ends. Publish returns
  // whether any frames may be sent that might not before.
  absl::Span<uint8_t> PrepareFrame(uint64_t stream, size_t size);
  // A frame that needs no filling; see FrameSink::AddPiece. The head has at least a byte.
  bool PreparePiece(uint64_t stream, absl::Span<const uint8_t> head,
                    const SharedMessageMemory& memory, size_t offset, size_t size);
  bool Publish();
  // Once after there was no room for a frame: whether there is again.
  bool TakeRoom();
  // Whether that is still to come, or frames have not been sent once.
  bool has_unsent() const { return sender_.lacks_room() || !sender_.all_sent(); }
  // The largest frame that NewFrame gives and Receive delivers; known when no longer kOpening.
  size_t max_frame_size() const { return max_frame_size_; }

  // ---- frames in
  bool has_frames() const { return receiver_.has_frames(); }
  // Gives back the frames of the last Receive and those that have come; none is also an answer.
  // Views live until the next Receive or ReleaseFrames. Not calling it is back-pressure.
  absl::Span<const ReceivedFrame> Receive() { return receiver_.Receive(); }
  void ReleaseFrames() { receiver_.Release(); }

  // ---- the end
  // Whether to ask for a sign of life when nothing comes for a while (Options::keepalive_interval).
  void KeepAlive(bool on);
  // Says goodbye: frames given to us still travel, for at most Options::linger_timeout; then what
  // the peer has not taken is given up, and it is told. Nothing is received any more.
  void Close(Instant now);
  // Ends it now; the peer is told once. `text` is cut to kMaxAbortText.
  void Abort(absl::StatusCode code, absl::string_view text);

  State state() const { return state_; }
  // OK before kClosing, kDraining and kEnded; then why. UNAVAILABLE for the peer's or the path's
  // end and after Close, DEADLINE_EXCEEDED when a Close has been given up, DATA_LOSS for a breach
  // of the peer's, RESOURCE_EXHAUSTED and FAILED_PRECONDITION for an OPEN that was refused. The
  // frames that came before may still be received.
  const absl::Status& status() const { return status_; }

  // The owner's; not looked at here.
  void* tag() const { return tag_; }
  void set_tag(void* tag) { tag_ = tag; }

  uint64_t local_id() const { return local_id_; }
  uint64_t remote_id() const { return remote_id_; }  // known when no longer kOpening
  const RttEstimator& rtt() const { return loss_.rtt(); }
  size_t datagram_size() const { return mtu_.current(); }
  size_t congestion_window() const { return congestion_->window(); }  // bytes
  // Counts (kFrameCost) of frames held, to be sent and received.
  size_t held() const { return sender_.held() + receiver_.held(); }

 private:
  ConnectionMachine(const Options& options, BufferPool& pool, const KeyedRandom& random,
                    Instant now, uint64_t local_id);

  // connection_input.cc
  void HandleOpening(Instant now, PacketKind kind, absl::Span<const uint8_t> datagram);
  // Null, or how the peer is in breach.
  const char* HandleChunks(Instant now, absl::Span<const uint8_t> chunks, bool* ack_eliciting);
  const char* HandleChunk(Instant now, const ChunkReader& reader);
  void CheckPeerClosed(Instant now);
  // LossDetector::Listener
  void OnPieceAcked(const FramePiece& piece) override { sender_.OnPieceAcked(piece); }
  void OnPieceLost(const FramePiece& piece) override { sender_.OnPieceLost(piece); }
  void OnPacketAcked(Instant now, const SentPacket& packet) override;
  void OnPacketLost(Instant now, const SentPacket& packet) override;

  // connection_output.cc
  size_t WriteAccept(Instant now, absl::Span<uint8_t> to);
  size_t WriteAbort(Instant now, absl::Span<uint8_t> to);
  size_t WriteMtuProbe(Instant now, absl::Span<uint8_t> to);
  // What the next packet may be, bytes.
  size_t DataSize() const;
  size_t WriteData(Instant now, absl::Span<uint8_t> to);
  bool MaySend(Instant now);
  void WriteAckEliciting(ChunkWriter& writer, SentPacket& packet);
  // Completes a packet whose chunks `writer` has written into `to`.
  size_t Send(Instant now, const ChunkWriter& writer, SentPacket packet, uint8_t* to);

  // connection_machine.cc
  void SetPeer(uint64_t remote_id, const Parameters& peer);
  Instant IdleDeadline() const;
  Instant KeepAliveDeadline() const;
  void OnEndDue();
  void OnLossTimer(Instant now);
  void CheckClosed();
  // Has effect only once, as the first reason is the reason.
  void End(absl::Status why);
  void Breach(absl::string_view why);
  void QueueAbort(absl::StatusCode code, absl::string_view text);

  // RFC 9000, sections 10.1 and 10.2: no end is found in less, and one lasts as long.
  static constexpr int kEndProbeTimeouts = 3;
  // How long a peer has to answer that is said to be gone, with probes all the while, and how often
  // that has to be said.
  static constexpr int kDoubtProbeTimeouts = 8;
  static constexpr Duration kLeastDoubt = std::chrono::milliseconds(100);
  static constexpr int kRefusals = 3;

  const Options options_;
  BufferPool& pool_;
  void* tag_ = nullptr;
  const uint64_t local_id_;
  uint64_t remote_id_ = 0;
  KeyedRandom random_;
  State state_ = State::kOpening;
  absl::Status status_;
  size_t max_frame_size_ = 0;
  std::optional<ClientHandshake> handshake_;  // while kOpening

  // While kHalfOpen: whether ACCEPT is to be sent, and how often it was.
  bool accept_due_ = false;
  int accepts_sent_ = 0;
  Instant accept_sent_;

  const std::unique_ptr<CongestionController> congestion_;
  LossDetector loss_;
  Pacer pacer_;
  PathMtu mtu_{kBaseDatagramSize};
  ReceivedPackets received_;
  FrameSender sender_;
  FrameReceiver receiver_;

  Duration idle_timeout_;
  Instant idle_since_;  // the last packet came, or what was first sent after that
  bool sent_since_received_ = false;
  bool keep_alive_ = false;
  Instant last_sign_;            // of life, or the last time that one was asked for
  Instant doubt_ends_ = kNever;  // whether the peer is there, until it is heard of
  int refusals_ = 0;             // since that began
  bool ping_due_ = false;
  int probes_due_ = 0;  // packets past the congestion window
  bool close_due_ = false;
  bool close_acked_ = false;
  uint8_t abort_code_ = 0;  // not 0: to be sent
  std::string abort_text_;
  Instant paced_until_ = kNever;  // there is something to send by then
  Instant end_due_ = kNever;      // when kHalfOpen, kClosing or kDraining is over
  BufferPool::Buffer unsent_;     // a frame that goes nowhere
  uint64_t next_skip_ = 0;        // the packet number to leave out
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_CONNECTION_MACHINE_H_
