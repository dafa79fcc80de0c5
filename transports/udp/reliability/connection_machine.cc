#include "transports/udp/reliability/connection_machine.h"

#include <algorithm>
#include <utility>

#include "absl/base/macros.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace anywire::udp {

std::unique_ptr<ConnectionMachine> ConnectionMachine::Connect(const Options& options,
                                                              BufferPool& pool, const SipKey& seed,
                                                              Instant now) {
  KeyedRandom random(seed);
  const uint64_t id = random.Next();
  std::unique_ptr<ConnectionMachine> machine(new ConnectionMachine(options, pool, random, now, id));
  machine->handshake_.emplace(options, id, now);
  return machine;
}

std::unique_ptr<ConnectionMachine> ConnectionMachine::Accept(const Options& options,
                                                             BufferPool& pool, const SipKey& seed,
                                                             Instant now, const OpenPacket& open,
                                                             uint64_t server_id) {
  std::unique_ptr<ConnectionMachine> machine(
      new ConnectionMachine(options, pool, KeyedRandom(seed), now, server_id));
  machine->SetPeer(open.client_id, open.parameters);
  machine->state_ = State::kHalfOpen;
  machine->SendAccept(now);
  return machine;
}

void ConnectionMachine::SendAccept(Instant now) {
  if (state_ != State::kHalfOpen) return;
  accept_due_ = true;
  end_due_ = now + options_.half_open_timeout;
}

ConnectionMachine::ConnectionMachine(const Options& options, BufferPool& pool,
                                     const KeyedRandom& random, Instant now, uint64_t local_id)
    : options_(Checked(options)),
      pool_(pool),
      local_id_(local_id),
      random_(random),
      congestion_(MakeCongestionController(options.congestion_control, kBaseDatagramSize)),
      loss_(options, *congestion_, *this),
      received_(options),
      sender_(options, pool),
      receiver_(options, pool),
      idle_timeout_(options.idle_timeout),
      idle_since_(now),
      last_sign_(now) {}

ConnectionMachine::~ConnectionMachine() = default;

void ConnectionMachine::SetPeer(uint64_t remote_id, const Parameters& peer) {
  remote_id_ = remote_id;
  max_frame_size_ = std::min<size_t>(options_.max_frame_size, peer.max_frame_size);
  mtu_ = PathMtu(std::min<size_t>(options_.max_datagram_size, peer.max_datagram_size));
  idle_timeout_ =
      std::min<Duration>(idle_timeout_, std::chrono::milliseconds(peer.idle_timeout_ms));
  loss_.SetPeerMaxAckDelay(std::chrono::microseconds(peer.max_ack_delay_us));
  sender_.OnCredit(peer.receive_window);
}

absl::Span<uint8_t> ConnectionMachine::NewFrame(uint64_t stream, size_t size) {
  const absl::Span<uint8_t> bytes = PrepareFrame(stream, size);
  Publish();
  return bytes;
}

absl::Span<uint8_t> ConnectionMachine::PrepareFrame(uint64_t stream, size_t size) {
  if (state_ == State::kOpen || state_ == State::kHalfOpen) {
    ABSL_HARDENING_ASSERT(size >= 1 && size <= max_frame_size_);
    return sender_.PrepareFrame(stream, size);
  }
  // max_frame_size_ is not known when the attempt to connect has failed.
  ABSL_HARDENING_ASSERT(state_ != State::kOpening && size >= 1 && size <= kLargestMaxFrameSize);
  unsent_ = pool_.Take(size);
  return absl::MakeSpan(unsent_.get(), size);
}

bool ConnectionMachine::PreparePiece(uint64_t stream, absl::Span<const uint8_t> head,
                                     const SharedMessageMemory& memory, size_t offset,
                                     size_t size) {
  if (state_ != State::kOpen && state_ != State::kHalfOpen) return true;
  ABSL_HARDENING_ASSERT(head.size() >= 1 && head.size() + size <= max_frame_size_);
  return sender_.PreparePiece(stream, head, memory, offset, size);
}

bool ConnectionMachine::Publish() {
  if (state_ == State::kOpen || state_ == State::kHalfOpen) return sender_.Publish();
  sender_.DropPrepared();
  return false;
}

bool ConnectionMachine::TakeRoom() { return sender_.TakeRoom(); }

Instant ConnectionMachine::IdleDeadline() const {
  // RFC 9000, section 10.1.
  return idle_since_ + std::max(idle_timeout_, kEndProbeTimeouts * loss_.ProbeTimeout());
}

Instant ConnectionMachine::KeepAliveDeadline() const {
  return keep_alive_ && state_ == State::kOpen ? last_sign_ + options_.keepalive_interval : kNever;
}

Instant ConnectionMachine::NextWakeup() const {
  switch (state_) {
    case State::kOpening:
      return handshake_->timer();
    case State::kHalfOpen:
      return end_due_;
    case State::kDraining:
      return std::min(end_due_, received_.ack_due());
    case State::kOpen:
    case State::kClosing:
      return std::min({loss_.timer(), received_.ack_due(), paced_until_, IdleDeadline(),
                       KeepAliveDeadline(), doubt_ends_, end_due_});
    case State::kEnded:
      break;
  }
  return kNever;
}

void ConnectionMachine::HandleWakeup(Instant now) {
  if (state_ == State::kOpening) {
    const absl::Status status = handshake_->OnTimer(now);
    if (!status.ok()) End(status);
  }
  if (state_ == State::kEnded || state_ == State::kOpening) return;
  if (now >= end_due_) {
    OnEndDue();
    return;
  }
  if (state_ != State::kOpen && state_ != State::kClosing) return;
  if (now >= IdleDeadline()) {
    End(absl::UnavailableError(
        absl::StrCat("nothing has come from the peer for ",
                     absl::FormatDuration(absl::FromChrono(idle_timeout_)))));
    return;
  }
  if (now >= doubt_ends_) {
    doubt_ends_ = kNever;
    if (refusals_ >= kRefusals) {
      End(absl::UnavailableError("the peer's host says that nobody is there"));
      return;
    }
  }
  if (now >= KeepAliveDeadline()) {
    last_sign_ = now;
    ping_due_ = true;
  }
  if (now >= loss_.timer()) OnLossTimer(now);
}

void ConnectionMachine::OnEndDue() {
  if (state_ == State::kClosing) {
    // Or the peer would wait for the rest until its idle timeout.
    status_ = absl::DeadlineExceededError("closed before the peer had taken all");
    QueueAbort(status_.code(), status_.message());
  }
  // Closing and draining have their reason.
  End(absl::UnavailableError("the client went away while it connected"));
}

void ConnectionMachine::OnLossTimer(Instant now) {
  const int probes = loss_.OnTimer(now);
  if (probes == 0) return;
  probes_due_ = probes;
  // Probes carry what is most likely missed.
  loss_.ResendOldest(probes);
  receiver_.OnCreditLost();
  close_due_ = state_ == State::kClosing && !close_acked_;
}

void ConnectionMachine::KeepAlive(bool on) { keep_alive_ = on; }

void ConnectionMachine::Close(Instant now) {
  if (state_ == State::kOpening || state_ == State::kHalfOpen) {
    End(absl::UnavailableError("closed"));
  }
  if (state_ != State::kOpen) return;
  state_ = State::kClosing;
  status_ = absl::UnavailableError("closed");
  receiver_.Clear();
  close_due_ = true;
  end_due_ = now + options_.linger_timeout;
}

void ConnectionMachine::Abort(absl::StatusCode code, absl::string_view text) {
  if (state_ == State::kOpen || state_ == State::kClosing) {
    ABSL_HARDENING_ASSERT(code != absl::StatusCode::kOk);
    QueueAbort(code, text);
  }
  End(absl::UnavailableError(absl::StrCat("given up: ", text)));
}

void ConnectionMachine::Breach(absl::string_view why) {
  QueueAbort(absl::StatusCode::kDataLoss, why);
  End(absl::DataLossError(why));
}

void ConnectionMachine::QueueAbort(absl::StatusCode code, absl::string_view text) {
  abort_code_ = static_cast<uint8_t>(code);
  abort_text_ = std::string(text.substr(0, kMaxAbortText));
}

void ConnectionMachine::CheckClosed() {
  if (state_ == State::kClosing && close_acked_ && sender_.all_acked()) End(status_);
}

void ConnectionMachine::End(absl::Status why) {
  if (state_ == State::kEnded) return;
  state_ = State::kEnded;
  if (status_.ok()) status_ = std::move(why);
  handshake_.reset();
  sender_.Clear();
}

}  // namespace anywire::udp
