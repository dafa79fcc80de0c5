// Which packets of the peer have come: each is taken once, and acknowledged in time (RFC 9000,
// section 13.2).
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_RECEIVED_PACKETS_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_RECEIVED_PACKETS_H_

#include <cstdint>

#include "transports/udp/reliability/chunk.h"
#include "transports/udp/reliability/interval_set.h"
#include "transports/udp/reliability/options.h"
#include "transports/udp/reliability/time.h"

namespace anywire::udp {

class ReceivedPackets {
 public:
  // So many ranges are remembered; what is below them counts as received.
  static constexpr size_t kMaxRanges = 64;
  // So many are told in one ACK: losses of long ago are of no interest.
  static constexpr size_t kMaxToldRanges = 32;

  explicit ReceivedPackets(const Options& options)
      : max_ack_delay_(options.max_ack_delay),
        ack_every_(options.ack_every),
        ack_every_bytes_(options.ack_every_bytes) {}

  bool IsNew(uint64_t number) const { return number >= floor_ && !packets_.Contains(number); }
  // Takes a packet of `size` bytes that is new. An ack-eliciting one is acknowledged at once when
  // it is out of order, or with others that are many or large, and otherwise by the time that
  // deadlines are for.
  void Record(Instant now, uint64_t number, size_t size, bool ack_eliciting);

  // When an acknowledgement is due of its own; kNever when none is.
  Instant ack_due() const { return ack_due_; }
  // Whether there is anything that the peer has not been told and waits for.
  bool has_news() const { return unacknowledged_ > 0; }

  // Writes an ACK if there is anything to tell and room for it. Returns whether it did; OnAckSent
  // follows, if the packet is sent.
  bool WriteAck(Instant now, ChunkWriter& writer) const;
  void OnAckSent();
  // The peer has received an ACK of ours whose largest number was this: what was told in it need
  // not be told again.
  void OnAckReceived(uint64_t largest);

  // The largest number that has come; not before Record.
  uint64_t largest() const { return packets_.back().end - 1; }
  size_t ranges() const { return packets_.count(); }

 private:
  const Duration max_ack_delay_;
  const int ack_every_;
  const size_t ack_every_bytes_;
  IntervalSet packets_;
  uint64_t floor_ = 0;       // everything below counts as received
  uint64_t told_below_ = 0;  // the peer knows of ranges that end below this
  int unacknowledged_ = 0;   // ack-eliciting packets since the last ACK
  size_t unacknowledged_bytes_ = 0;
  Instant largest_received_;  // when largest() came
  Instant ack_due_ = kNever;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_RECEIVED_PACKETS_H_
