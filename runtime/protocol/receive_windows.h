// Credit to receive, and messages put together from pieces.
//
// The contract: message bytes that are delivered and not consumed, that are being put together, or
// that the peer may still send, never exceed the connection's buffer. One half of it is the
// connection's window, for the shares of messages, the other the excess window, for what large ones
// have beyond their shares (see send_windows.h). A message's excess is taken when its first piece
// tells its size, and given back when the message is consumed, dropped or cut off. The largest
// message that is accepted has at most half of the excess window beyond its share.
//
// Consumed bytes are given back in batches: when they are as many as the peer still has. So small
// calls cost no frames, and once all is consumed the peer has at least half a window, which covers
// any message's share, and any excess. Excess is also given back as soon as the peer has less than
// half the window: others may be held for long.
//
// New memory for a message grows with what has been received, to at most twice that, whatever size
// was announced. Only memory that the process keeps anyway is lent for all of it at once: at most
// kMostKept bytes for all connections (see message_memory.h), which the windows do not count.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_RECEIVE_WINDOWS_H_
#define ANYWIRE_RUNTIME_PROTOCOL_RECEIVE_WINDOWS_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "runtime/protocol/call.h"
#include "runtime/protocol/protocol.h"
#include "runtime/wire/frame_kinds.h"

namespace anywire::protocol {

class ReceiveWindows {
 public:
  // Where calls are put that have a CREDIT to write.
  ReceiveWindows(const Limits& limits, ControlList& control);

  // What HELLO announces.
  size_t call_window() const { return call_window_; }
  size_t connection_window() const { return connection_window_; }
  size_t excess_window() const { return excess_window_; }

  // A piece of a message. If none was coming, it begins one of `size` bytes.
  struct Piece {
    uint64_t size = 0;
    absl::Span<const uint8_t> bytes;
    bool partial = false;  // more of the message follows
    bool last = false;     // it ends the call's direction
    bool wanted = false;   // the call's reader is still there
  };
  enum class Outcome {
    kMore,      // of the message is to come
    kComplete,  // `message` is it
    kDropped,   // was complete, and nobody wanted it
    kTooLarge,  // is above max_receive_message_size: dropped, though more of it may come
  };
  // Returns what rule the peer broke, or null.
  const char* OnPiece(Call& call, const Piece& piece, ReceivedMessage* message, Outcome* outcome) {
    const bool usual = !call.in.present && !piece.partial && piece.wanted &&
                       piece.bytes.size() <= largest_small_message_;
    if (!usual) return OnOtherPiece(call, piece, message, outcome);
    return OnSmallMessage(call, piece, message, outcome);
  }

  // The reader has taken a message of `size` bytes.
  void OnConsumed(Call& call, size_t size);
  // The call's reader is gone: what is coming is dropped, what it holds stays.
  void DropIncoming(Call& call) {
    if (call.in.present && !call.in.dropped) DropPresent(call);
  }
  // The peer's last frame on the call has come. It gets no more credit for the call.
  void OnEnded(Call& call);
  // The owner has let go of everything that was delivered.
  void OnReleased(Call& call) {
    if (call.held > 0 || call.excess_held > 0) ReturnHeld(call);
  }

  // Whether the connection's credit is due to be given back, and how much.
  bool credit_wanted() const { return owed_ * 2 >= connection_window_ - held_ && owed_ > 0; }
  size_t owed() const { return owed_; }
  void OnCreditWritten() { owed_ = 0; }
  // The same of the excess window's.
  bool excess_credit_wanted() const {
    return excess_owed_ > 0 && (excess_owed_ * 2 >= excess_window_ - excess_held_ ||
                                peer_may_exceed() < excess_window_ / 2);
  }
  size_t excess_owed() const { return excess_owed_; }
  void OnExcessCreditWritten() { excess_owed_ = 0; }

  // For checking the contract.
  size_t held() const { return held_ + excess_held_; }
  size_t peer_may_send() const { return connection_window_ - held_ - owed_; }
  size_t peer_may_exceed() const { return excess_window_ - excess_held_ - excess_owed_; }

 private:
  static constexpr char kAboveCallWindow[] = "more than the call's window";
  static constexpr char kAboveConnectionWindow[] = "more than the connection's window";
  static constexpr char kAboveExcessWindow[] = "more than the excess window";

  size_t ShareOf(size_t size) const;
  size_t ExcessOf(size_t size) const;
  size_t Arriving(const Call& call) const;
  // The usual case of OnPiece: a whole message that fits its share.
  const char* OnSmallMessage(Call& call, const Piece& piece, ReceivedMessage* message,
                             Outcome* outcome) {
    const size_t cost = piece.bytes.size() + wire::kMessageOverhead;
    if (call.held + call.owed + cost > call_window_) return kAboveCallWindow;
    if (held_ + owed_ + cost > connection_window_) return kAboveConnectionWindow;
    if (piece.last) {
      owed_ += cost;
    } else {
      held_ += cost;
      call.held += cost;
    }
    message->bytes = piece.bytes;
    *outcome = Outcome::kComplete;
    return nullptr;
  }
  const char* OnOtherPiece(Call& call, const Piece& piece, ReceivedMessage* message,
                           Outcome* outcome);
  void DropPresent(Call& call);
  void ReturnHeld(Call& call);
  void Store(IncomingMessage& in, absl::Span<const uint8_t> bytes);
  void Return(size_t amount) {
    held_ -= amount;
    owed_ += amount;
  }
  void ReturnExcess(size_t amount) {
    excess_held_ -= amount;
    excess_owed_ += amount;
  }

  ControlList& control_;
  const size_t max_message_;
  const size_t call_window_;
  const size_t share_;                  // half a call window
  const size_t largest_small_message_;  // that fits its share
  const size_t connection_window_;
  const size_t excess_window_;
  size_t held_ = 0;         // of the connection's window
  size_t owed_ = 0;         // consumed and not given back
  size_t excess_held_ = 0;  // of the excess window
  size_t excess_owed_ = 0;
};

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_RECEIVE_WINDOWS_H_
