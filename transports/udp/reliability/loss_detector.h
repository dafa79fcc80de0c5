// Which packets have arrived, which are lost, and when to ask (RFC 9002, section 6 and appendix A).
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_LOSS_DETECTOR_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_LOSS_DETECTOR_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "transports/udp/reliability/chunk.h"
#include "transports/udp/reliability/congestion_controller.h"
#include "transports/udp/reliability/rtt_estimator.h"
#include "transports/udp/reliability/sent_packet.h"
#include "transports/udp/reliability/sequence_ring.h"

namespace anywire::udp {

class LossDetector {
 public:
  static constexpr uint64_t kPacketThreshold = 3;           // RFC 9002, section 6.1.1
  static constexpr int kPersistentCongestionThreshold = 3;  // section 7.6.1
  static constexpr int kMaxBackoff = 16;                    // doublings of the probe timeout
  // A packet in so long congests nothing, and finds a path that is back.
  static constexpr Duration kMaxProbeTimeout = std::chrono::seconds(10);
  // Packets remembered at most: small ones do not fill a window of bytes, and those without
  // ack-eliciting chunks fill none. Beyond it the oldest is taken for lost.
  static constexpr size_t kMaxPackets = 8192;

  // Hears what becomes of packets. Calls nothing of the detector's meanwhile.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnPieceAcked(const FramePiece& piece) = 0;
    virtual void OnPieceLost(const FramePiece& piece) = 0;
    // After its pieces.
    virtual void OnPacketAcked(Instant now, const SentPacket& packet) = 0;
    virtual void OnPacketLost(Instant now, const SentPacket& packet) = 0;
  };

  // `congestion` and `listener` outlive it.
  LossDetector(const Options& options, CongestionController& congestion, Listener& listener)
      : congestion_(congestion), listener_(listener), rtt_(options) {}

  // What the peer has announced; until then, 0.
  void SetPeerMaxAckDelay(Duration delay) { peer_max_ack_delay_ = delay; }

  // What the handshake's round trip was.
  void SeedRtt(Instant now, Duration round_trip);

  // ---- sending
  // The number that the next packet has.
  uint64_t next_number() const { return packets_.end(); }
  // Whether one more is remembered without giving up the oldest.
  bool MayRemember() const { return packets_.size() < kMaxPackets; }
  // Leaves the next number out. An acknowledgement of it is a breach, until another is left out.
  void SkipNumber();
  // A part of a frame that the packet at hand carries.
  void AddPiece(const FramePiece& piece) { pieces_.PushBack(piece); }
  // The packet at hand, with next_number() and the pieces added since the last, is sent. state,
  // first_piece and pieces are filled in here.
  void OnPacketSent(SentPacket packet);
  // Whether sending has been short of data, not of window, and the window should not grow.
  void SetAppLimited(bool limited) { app_limited_ = limited; }
  // As far as the congestion window allows; not below 0.
  size_t window_left() const {
    return congestion_.window() > bytes_in_flight_ ? congestion_.window() - bytes_in_flight_ : 0;
  }

  // ---- receiving
  // Null, or how the peer is in breach.
  const char* OnAck(Instant now, const AckChunk& ack);

  // ---- time
  // When OnTimer is due; kNever when nothing is in flight.
  Instant timer() const { return timer_; }
  // Finds losses, or else that nothing has been heard for a probe timeout. Then it returns how many
  // probes to send, past the congestion window; 0 otherwise.
  int OnTimer(Instant now);
  // Hands to the listener, as if they were lost, the pieces of the `count` oldest packets in
  // flight, which may still arrive: what probes carry.
  void ResendOldest(int count);

  // Without path MTU probes.
  size_t bytes_in_flight() const { return bytes_in_flight_; }
  bool has_in_flight() const { return in_flight_ > 0; }
  int probe_timeouts() const { return probe_timeouts_; }
  const RttEstimator& rtt() const { return rtt_; }
  // One probe timeout, without back-off; at most kMaxProbeTimeout, as what is made of it is of use
  // only while somebody waits.
  Duration ProbeTimeout() const {
    return std::min(rtt_.ProbeTimeout(peer_max_ack_delay_), kMaxProbeTimeout);
  }
  size_t remembered() const { return packets_.size(); }

 private:
  void Acknowledge(Instant now, SentPacket& packet);
  void TakeSample(Instant now, Duration round_trip, uint64_t delay_us);
  void DetectLost(Instant now);
  void GiveUpOldest(Instant now);
  void Lose(Instant now, SentPacket& packet);
  void TellPieces(const SentPacket& packet, void (Listener::*tell)(const FramePiece&));
  void DropFinished();
  void SetTimer();
  Duration PersistentCongestionTime() const;

  CongestionController& congestion_;
  Listener& listener_;
  RttEstimator rtt_;
  Duration peer_max_ack_delay_{0};

  SequenceRing<SentPacket> packets_;
  SequenceRing<FramePiece> pieces_;
  uint64_t first_new_piece_ = 0;
  size_t bytes_in_flight_ = 0;
  size_t in_flight_ = 0;  // packets
  bool app_limited_ = true;

  uint64_t skipped_ = ~uint64_t{0};  // the number left out last
  bool has_acked_ = false;
  uint64_t largest_acked_ = 0;
  Instant first_rtt_sample_ = kNever;
  Instant last_ack_eliciting_;
  // The next probe timeout begins no earlier, though what was to be sent could not be.
  Instant last_timeout_;
  Instant loss_time_ = kNever;
  Instant timer_ = kNever;
  int probe_timeouts_ = 0;  // in a row
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_LOSS_DETECTOR_H_
