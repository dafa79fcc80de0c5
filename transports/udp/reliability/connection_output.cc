// What goes: packets, filled with what is due.
#include "absl/base/macros.h"
#include "transports/udp/reliability/connection_machine.h"

namespace anywire::udp {
namespace {

// A packet number is left out once in so many packets at least, and at most so many more.
constexpr uint64_t kSkipEvery = 128;

}  // namespace

size_t ConnectionMachine::PollDatagram(Instant now, absl::Span<uint8_t> to) {
  ABSL_HARDENING_ASSERT(to.size() >= options_.max_datagram_size);
  switch (state_) {
    case State::kOpening:
      return handshake_->WriteOpenIfDue(now, to);
    case State::kHalfOpen:
      return accept_due_ ? WriteAccept(now, to) : 0;
    case State::kOpen:
      if (const size_t size = WriteMtuProbe(now, to)) return size;
      return WriteData(now, to);
    case State::kClosing:
    case State::kDraining:
      return WriteData(now, to);
    case State::kEnded:
      break;
  }
  return abort_code_ != 0 ? WriteAbort(now, to) : 0;
}

size_t ConnectionMachine::WriteAccept(Instant now, absl::Span<uint8_t> to) {
  accept_due_ = false;
  ++accepts_sent_;
  accept_sent_ = now;
  return udp::WriteAccept({remote_id_, local_id_, ParametersOf(options_)}, to);
}

size_t ConnectionMachine::WriteAbort(Instant now, absl::Span<uint8_t> to) {
  ChunkWriter writer(to.subspan(kDataHeaderSize, kBaseDatagramSize - kDataHeaderSize - kCheckSize));
  writer.Abort(abort_code_, abort_text_);
  abort_code_ = 0;
  return Send(now, writer, SentPacket(), to.data());
}

// One in a round trip or less, and beside the congestion window, which may be smaller than a large
// datagram; but not while that is full.
size_t ConnectionMachine::WriteMtuProbe(Instant now, absl::Span<uint8_t> to) {
  const size_t size = mtu_.ProbeDue(now);
  if (size == 0 || loss_.window_left() == 0 || !loss_.MayRemember()) return 0;
  // It may be too large to arrive, and so stands for no packet that has to.
  if (ping_due_ || probes_due_ > 0) return 0;
  // Whether the path carries anything is to be found out with what it has carried.
  if (loss_.probe_timeouts() > 0) return 0;
  ChunkWriter writer(to.subspan(kDataHeaderSize, size - kDataHeaderSize - kCheckSize));
  writer.Ping();
  writer.Padding();
  SentPacket packet;
  packet.ack_eliciting = true;
  packet.is_mtu_probe = true;
  mtu_.OnProbeSent();
  return Send(now, writer, packet, to.data());
}

// A probe that is lost for its size would find out nothing.
size_t ConnectionMachine::DataSize() const {
  const bool is_small = probes_due_ > 0 && (loss_.probe_timeouts() > 1 || mtu_.in_doubt());
  return is_small ? kBaseDatagramSize : mtu_.current();
}

size_t ConnectionMachine::WriteData(Instant now, absl::Span<uint8_t> to) {
  ChunkWriter writer(to.subspan(kDataHeaderSize, DataSize() - kDataHeaderSize - kCheckSize));
  SentPacket packet;
  const bool ack_due = received_.ack_due() <= now;
  if (received_.WriteAck(now, writer)) {
    packet.has_ack = true;
    packet.largest_acked = received_.largest();
  }
  if (state_ != State::kDraining && MaySend(now)) WriteAckEliciting(writer, packet);
  if (!packet.ack_eliciting && !ack_due) return 0;
  return Send(now, writer, packet, to.data());
}

// Whether congestion window and pacer let an ack-eliciting packet go, or it is a probe.
bool ConnectionMachine::MaySend(Instant now) {
  paced_until_ = kNever;
  if (probes_due_ > 0) return true;
  if (!loss_.MayRemember()) {
    loss_.SetAppLimited(true);  // or by us, but not by the window
    return false;
  }
  const bool has_something = sender_.may_have_chunk() ||
                             (state_ == State::kOpen && receiver_.credit_due()) ||
                             (close_due_ && sender_.all_sent());
  const bool has_window = loss_.window_left() >= mtu_.current();
  loss_.SetAppLimited(!has_something && has_window);
  if (!has_window) return false;
  if (!has_something) return ping_due_;
  const Instant ready =
      pacer_.ReadyAt(now, mtu_.current(), congestion_->window(), loss_.rtt().smoothed());
  if (ready <= now) return true;
  paced_until_ = ready;
  return false;
}

void ConnectionMachine::WriteAckEliciting(ChunkWriter& writer, SentPacket& packet) {
  if (state_ == State::kOpen && receiver_.credit_due() && writer.MaxData(receiver_.credit())) {
    receiver_.OnCreditSent();
    packet.has_max_data = packet.ack_eliciting = true;
  }
  for (FramePiece piece; sender_.WriteChunk(writer, &piece);) {
    loss_.AddPiece(piece);
    packet.ack_eliciting = true;
  }
  if (close_due_ && sender_.all_sent() && writer.Close(sender_.frames_begun())) {
    close_due_ = false;
    packet.has_close = packet.ack_eliciting = true;
  }
  // If nothing else asks for an acknowledgement.
  if (!packet.ack_eliciting && (ping_due_ || probes_due_ > 0)) {
    packet.ack_eliciting = writer.Ping();
  }
}

size_t ConnectionMachine::Send(Instant now, const ChunkWriter& writer, SentPacket packet,
                               uint8_t* to) {
  if (packet.ack_eliciting && loss_.next_number() >= next_skip_) {
    if (next_skip_ != 0) loss_.SkipNumber();
    next_skip_ = loss_.next_number() + kSkipEvery + random_.Next() % (2 * kSkipEvery);
  }
  WriteDataHeader(remote_id_, loss_.next_number(), to);
  const size_t size = SealPacket(to, kDataHeaderSize + writer.size());
  packet.time_sent = now;
  packet.size = static_cast<uint32_t>(size);
  loss_.OnPacketSent(packet);
  if (packet.has_ack) received_.OnAckSent();
  if (!packet.ack_eliciting) return size;
  pacer_.OnSent(packet.window_bytes());
  ping_due_ = false;
  if (probes_due_ > 0) --probes_due_;
  if (!sent_since_received_) {
    sent_since_received_ = true;
    idle_since_ = now;
  }
  return size;
}

}  // namespace anywire::udp
