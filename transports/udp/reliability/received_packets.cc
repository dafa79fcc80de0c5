#include "transports/udp/reliability/received_packets.h"

#include <algorithm>

namespace anywire::udp {

void ReceivedPackets::Record(Instant now, uint64_t number, size_t size, bool ack_eliciting) {
  const bool is_largest = packets_.empty() || number > largest();
  const bool in_order = packets_.empty() ? number == 0 : number == largest() + 1;
  packets_.Add({number, number + 1});
  if (is_largest) largest_received_ = now;
  if (packets_.count() > kMaxRanges) {
    floor_ = packets_.front().end;
    packets_.PopFront();
  }
  // One that comes late lies in a range of which the peer had been told without it.
  told_below_ = std::min(told_below_, number);
  if (!ack_eliciting) return;
  ++unacknowledged_;
  unacknowledged_bytes_ += size;
  const bool at_once =
      !in_order || unacknowledged_ >= ack_every_ || unacknowledged_bytes_ >= ack_every_bytes_;
  ack_due_ = std::min(ack_due_, at_once ? now : now + max_ack_delay_);
}

bool ReceivedPackets::WriteAck(Instant now, ChunkWriter& writer) const {
  if (!has_news()) return false;
  const auto delay = std::chrono::duration_cast<std::chrono::microseconds>(now - largest_received_);
  const auto delay_us = static_cast<uint64_t>(std::max<int64_t>(delay.count(), 0));
  return writer.Ack(packets_, kMaxToldRanges, told_below_, delay_us);
}

void ReceivedPackets::OnAckSent() {
  unacknowledged_ = 0;
  unacknowledged_bytes_ = 0;
  ack_due_ = kNever;
}

void ReceivedPackets::OnAckReceived(uint64_t largest) {
  told_below_ = std::max(told_below_, largest);
}

}  // namespace anywire::udp
