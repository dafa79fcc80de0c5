// What comes: packets, chunks, and what they say of our own packets.
#include <algorithm>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "transports/udp/reliability/connection_machine.h"

namespace anywire::udp {

void ConnectionMachine::HandleDatagram(Instant now, absl::Span<const uint8_t> datagram) {
  if (state_ == State::kEnded) return;
  const std::optional<PacketKind> kind = IdentifyPacket(datagram);
  if (!kind) return;
  if (state_ == State::kOpening) {
    HandleOpening(now, *kind, datagram);
  } else if (*kind == PacketKind::kData) {
    const std::optional<DataPacket> packet = ReadData(datagram);
    if (packet && packet->id == local_id_) HandleData(now, *packet);
  } else if (*kind == PacketKind::kReset) {
    const std::optional<ResetPacket> reset = ReadReset(datagram);
    if (!reset || reset->id != remote_id_) return;
    End(absl::UnavailableError("the server does not know the connection any more"));
  }
}

void ConnectionMachine::HandleOpening(Instant now, PacketKind kind,
                                      absl::Span<const uint8_t> datagram) {
  if (kind == PacketKind::kRetry) {
    if (const std::optional<RetryPacket> retry = ReadRetry(datagram)) {
      handshake_->OnRetry(now, *retry);
    }
  } else if (kind == PacketKind::kRefuse) {
    const std::optional<RefusePacket> refuse = ReadRefuse(datagram);
    const absl::Status status = refuse ? handshake_->OnRefuse(*refuse) : absl::OkStatus();
    if (!status.ok()) End(status);
  } else if (kind == PacketKind::kAccept) {
    const std::optional<AcceptPacket> accept = ReadAccept(datagram);
    if (!accept || !handshake_->OnAccept(now, *accept)) return;
    SetPeer(accept->server_id, accept->parameters);
    if (handshake_->round_trip()) loss_.SeedRtt(now, *handshake_->round_trip());
    handshake_.reset();
    state_ = State::kOpen;
    ping_due_ = true;  // the server waits for a first packet
    idle_since_ = last_sign_ = now;
  }
}

void ConnectionMachine::HandleRefusal(Instant now) {
  if (state_ != State::kOpen && state_ != State::kClosing) return;
  if (doubt_ends_ == kNever) {
    doubt_ends_ = now + std::max(kLeastDoubt, kDoubtProbeTimeouts * loss_.ProbeTimeout());
    refusals_ = 0;
    ping_due_ = true;
    probes_due_ = std::max(probes_due_, 1);
  }
  ++refusals_;
}

void ConnectionMachine::HandleData(Instant now, const DataPacket& packet) {
  if (state_ == State::kEnded || !received_.IsNew(packet.number)) return;
  if (state_ == State::kHalfOpen) {
    state_ = State::kOpen;
    end_due_ = kNever;
    if (accepts_sent_ == 1) loss_.SeedRtt(now, now - accept_sent_);
  }
  idle_since_ = last_sign_ = now;
  doubt_ends_ = kNever;
  sent_since_received_ = false;
  bool ack_eliciting = false;
  const char* const breach = HandleChunks(now, packet.chunks, &ack_eliciting);
  if (breach != nullptr) {
    Breach(breach);
    return;
  }
  received_.Record(now, packet.number, packet.chunks.size(), ack_eliciting);
  CheckPeerClosed(now);
  CheckClosed();
}

const char* ConnectionMachine::HandleChunks(Instant now, absl::Span<const uint8_t> chunks,
                                            bool* ack_eliciting) {
  ChunkReader reader(chunks);
  while (reader.Next()) {
    switch (reader.kind()) {
      case ChunkKind::kPing:
      case ChunkKind::kMaxData:
      case ChunkKind::kClose:
      case ChunkKind::kFrame:
        *ack_eliciting = true;
        break;
      case ChunkKind::kPadding:
      case ChunkKind::kAck:
      case ChunkKind::kAbort:
        break;
    }
    if (const char* const breach = HandleChunk(now, reader)) return breach;
    if (state_ == State::kEnded) return nullptr;
  }
  return reader.error();
}

const char* ConnectionMachine::HandleChunk(Instant now, const ChunkReader& reader) {
  switch (reader.kind()) {
    case ChunkKind::kPadding:
    case ChunkKind::kPing:
      return nullptr;
    case ChunkKind::kAck:
      return loss_.OnAck(now, reader.ack());
    case ChunkKind::kMaxData:
      sender_.OnCredit(reader.value());
      return nullptr;
    case ChunkKind::kFrame:
      // When we have closed, nobody wants it.
      return state_ == State::kOpen ? receiver_.OnFrame(reader.frame()) : nullptr;
    case ChunkKind::kClose:
      return state_ == State::kOpen ? receiver_.OnClose(reader.value()) : nullptr;
    case ChunkKind::kAbort:
      break;
  }
  End(absl::UnavailableError(
      absl::StrCat("the peer gave the connection up: ", absl::CHexEscape(reader.abort().text))));
  return nullptr;
}

void ConnectionMachine::CheckPeerClosed(Instant now) {
  if (state_ != State::kOpen || !receiver_.is_complete()) return;
  state_ = State::kDraining;
  status_ = absl::UnavailableError("closed by peer");
  sender_.Clear();
  // Its CLOSE may come again, until our acknowledgement has reached it (RFC 9000, section 10.2).
  end_due_ = now + kEndProbeTimeouts * loss_.ProbeTimeout();
}

void ConnectionMachine::OnPacketAcked(Instant now, const SentPacket& packet) {
  if (packet.has_ack) received_.OnAckReceived(packet.largest_acked);
  if (packet.has_close) close_acked_ = true;
  if (!packet.is_mtu_probe) {
    mtu_.OnDatagramAcked(packet.size);
    return;
  }
  mtu_.OnProbeAcked(now, packet.size);
  congestion_->SetDatagramSize(mtu_.current());
}

void ConnectionMachine::OnPacketLost(Instant now, const SentPacket& packet) {
  if (packet.has_max_data) receiver_.OnCreditLost();
  if (packet.has_close) close_due_ = state_ == State::kClosing && !close_acked_;
  if (packet.is_mtu_probe) {
    mtu_.OnProbeLost(now, packet.size);
  } else if (mtu_.OnDatagramLost(now, packet.time_sent, packet.size)) {
    congestion_->SetDatagramSize(mtu_.current());
  }
}

}  // namespace anywire::udp
