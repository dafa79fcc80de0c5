#include "transports/udp/reliability/loss_detector.h"

#include <algorithm>

namespace anywire::udp {

using State = SentPacket::State;

void LossDetector::SkipNumber() {
  skipped_ = next_number();
  packets_.PushBack(SentPacket());
}

void LossDetector::OnPacketSent(SentPacket packet) {
  packet.state = State::kOutstanding;
  packet.first_piece = first_new_piece_;
  packet.pieces = static_cast<uint32_t>(pieces_.end() - first_new_piece_);
  first_new_piece_ = pieces_.end();
  packets_.PushBack(packet);
  if (packet.ack_eliciting) {
    last_ack_eliciting_ = packet.time_sent;
    bytes_in_flight_ += packet.window_bytes();
    ++in_flight_;
  }
  DropFinished();
  while (packets_.size() > kMaxPackets) GiveUpOldest(packet.time_sent);
  SetTimer();
}

void LossDetector::GiveUpOldest(Instant now) {
  SentPacket& oldest = packets_.front();
  if (!oldest.is_mtu_probe) congestion_.OnLost(now, oldest.time_sent);
  Lose(now, oldest);
  DropFinished();
}

const char* LossDetector::OnAck(Instant now, const AckChunk& ack) {
  const uint64_t largest = ack.largest();
  if (largest >= next_number()) return "a packet is acknowledged that was not sent";
  const bool largest_is_new =
      packets_.Contains(largest) && packets_[largest].state == State::kOutstanding;
  const Instant largest_sent = largest_is_new ? packets_[largest].time_sent : Instant();
  bool any_eliciting = false;
  for (size_t i = 0; i < ack.count; ++i) {
    if (skipped_ >= ack.ranges[i].begin && skipped_ < ack.ranges[i].end) {
      return "a packet is acknowledged that was not sent";
    }
    // As far as we remember: a range may be as wide as it likes.
    const uint64_t begin = std::max(ack.ranges[i].begin, packets_.begin());
    for (uint64_t number = begin; number < ack.ranges[i].end; ++number) {
      SentPacket& packet = packets_[number];
      if (packet.state != State::kOutstanding) continue;
      any_eliciting |= packet.ack_eliciting;
      Acknowledge(now, packet);
    }
  }
  largest_acked_ = has_acked_ ? std::max(largest_acked_, largest) : largest;
  has_acked_ = true;
  if (any_eliciting) {
    probe_timeouts_ = 0;
    if (largest_is_new) TakeSample(now, now - largest_sent, ack.delay_us);
  }
  DetectLost(now);
  DropFinished();
  SetTimer();
  return nullptr;
}

void LossDetector::TakeSample(Instant now, Duration round_trip, uint64_t delay_us) {
  const auto most = std::chrono::duration_cast<std::chrono::microseconds>(peer_max_ack_delay_);
  const auto delay = std::min(delay_us, static_cast<uint64_t>(most.count()));
  rtt_.Update(round_trip, std::chrono::microseconds(delay));
  if (first_rtt_sample_ == kNever) first_rtt_sample_ = now;
}

void LossDetector::SeedRtt(Instant now, Duration round_trip) {
  rtt_.Update(round_trip, Duration(0));
  first_rtt_sample_ = now;
}

void LossDetector::Acknowledge(Instant now, SentPacket& packet) {
  packet.state = State::kAcked;
  if (packet.ack_eliciting) {
    bytes_in_flight_ -= packet.window_bytes();
    --in_flight_;
    congestion_.OnAcked(now, packet.time_sent, packet.window_bytes(), rtt_.smoothed(),
                        !app_limited_);
  }
  TellPieces(packet, &Listener::OnPieceAcked);
  listener_.OnPacketAcked(now, packet);
}

void LossDetector::TellPieces(const SentPacket& packet, void (Listener::*tell)(const FramePiece&)) {
  for (uint32_t i = 0; i < packet.pieces; ++i) {
    (listener_.*tell)(pieces_[packet.first_piece + i]);
  }
}

// DetectAndRemoveLostPackets of appendix A.10, and what follows from it in B.8.
void LossDetector::DetectLost(Instant now) {
  loss_time_ = kNever;
  if (!has_acked_) return;
  const Duration loss_delay = rtt_.LossDelay();
  Instant latest_lost = Instant::min();
  // A time in which all packets were lost, to see whether it was long.
  Instant row_begin = kNever;
  bool persistent = false;
  const uint64_t end = std::min(packets_.end(), largest_acked_ + 1);
  for (uint64_t number = packets_.begin(); number < end; ++number) {
    SentPacket& packet = packets_[number];
    if (packet.state == State::kAcked) row_begin = kNever;
    if (packet.state == State::kLost && packet.ack_eliciting &&
        packet.time_sent > first_rtt_sample_) {
      row_begin = std::min(row_begin, packet.time_sent);
    }
    if (packet.state != State::kOutstanding) continue;
    if (largest_acked_ < number + kPacketThreshold && packet.time_sent + loss_delay > now) {
      if (packet.ack_eliciting) loss_time_ = std::min(loss_time_, packet.time_sent + loss_delay);
      continue;
    }
    const bool counts = packet.ack_eliciting && !packet.is_mtu_probe;
    if (counts) {
      latest_lost = std::max(latest_lost, packet.time_sent);
      if (packet.time_sent > first_rtt_sample_) {
        row_begin = std::min(row_begin, packet.time_sent);
        persistent |= packet.time_sent - row_begin > PersistentCongestionTime();
      }
    }
    Lose(now, packet);
  }
  if (latest_lost != Instant::min()) congestion_.OnLost(now, latest_lost);
  if (persistent) congestion_.OnPersistentCongestion();
}

Duration LossDetector::PersistentCongestionTime() const {
  return ProbeTimeout() * kPersistentCongestionThreshold;
}

void LossDetector::Lose(Instant now, SentPacket& packet) {
  packet.state = State::kLost;
  if (packet.ack_eliciting) {
    bytes_in_flight_ -= packet.window_bytes();
    --in_flight_;
  }
  TellPieces(packet, &Listener::OnPieceLost);
  listener_.OnPacketLost(now, packet);
}

void LossDetector::DropFinished() {
  while (!packets_.empty()) {
    const SentPacket& packet = packets_.front();
    if (packet.state == State::kOutstanding && packet.ack_eliciting) return;
    const uint64_t end_of_pieces = packet.first_piece + packet.pieces;
    while (pieces_.begin() < end_of_pieces) pieces_.PopFront();
    packets_.PopFront();
  }
}

void LossDetector::SetTimer() {
  if (in_flight_ == 0) {
    timer_ = kNever;
  } else if (loss_time_ != kNever) {
    timer_ = loss_time_;
  } else {
    const Duration timeout = ProbeTimeout();
    const int doublings = std::min(probe_timeouts_, kMaxBackoff);
    timer_ = std::max(last_ack_eliciting_, last_timeout_) +
             std::min(timeout * (1 << doublings), kMaxProbeTimeout);
  }
}

int LossDetector::OnTimer(Instant now) {
  if (now < timer_) return 0;
  if (loss_time_ != kNever) {
    DetectLost(now);
    DropFinished();
    SetTimer();
    return 0;
  }
  ++probe_timeouts_;
  last_timeout_ = now;
  SetTimer();
  return 2;
}

void LossDetector::ResendOldest(int count) {
  for (uint64_t number = packets_.begin(); number < packets_.end() && count > 0; ++number) {
    const SentPacket& packet = packets_[number];
    if (packet.state != State::kOutstanding || !packet.ack_eliciting) continue;
    if (packet.pieces == 0) continue;
    TellPieces(packet, &Listener::OnPieceLost);
    --count;
  }
}

}  // namespace anywire::udp
