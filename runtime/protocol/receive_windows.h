// Credit to receive, and messages put together from pieces.
//
// The contract: message bytes that are delivered and not consumed, that are being put together, or
// that the peer may still send, never exceed the connection's buffer. One half of it is the
// connection's window, for the shares of messages (see send_windows.h); the other is for
// reservations: what large messages have beyond their shares. The peer is granted them as the sizes
// that it announces ask for them, in that order; they are given back when the message is consumed
// or its direction has ended. A call whose reader takes large messages is granted as much ahead as
// two more of them need, or one if there is no room for two, so that the peer need not wait for a
// grant with each; but all that is granted ahead stays within half of the reservations, and any
// message fits in the other half.
//
// Consumed bytes are given back in batches: when they are as many as the peer still has. So small
// calls cost no frames, and once all is consumed the peer has at least half a window, which covers
// any message's share.
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

namespace anywire::protocol {

class ReceiveWindows {
 public:
  // Where calls are put that have a GRANT or CREDIT to write.
  ReceiveWindows(const Limits& limits, ControlList& control);

  // What HELLO announces.
  size_t call_window() const { return call_window_; }
  size_t connection_window() const { return connection_window_; }

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
  const char* OnPiece(Call& call, const Piece& piece, ReceivedMessage* message, Outcome* outcome);

  // The reader has taken a message of `size` bytes.
  void OnConsumed(Call& call, size_t size);
  // The call's reader is gone: what is coming is dropped, what it holds stays.
  void DropIncoming(Call& call);
  // The peer's last frame on the call has come. It gets no more credit for the call.
  void OnEnded(Call& call);
  // The owner has let go of everything that was delivered.
  void OnReleased(Call& call);

  // Connection credit to give back; 0 when it is not worth a frame.
  bool credit_wanted() const { return owed_ * 2 >= connection_window_ - held_ && owed_ > 0; }
  size_t owed() const { return owed_; }
  void OnCreditWritten() { owed_ = 0; }

  // For checking the contract.
  size_t held() const { return held_ + reserved_; }
  size_t peer_may_send() const { return connection_window_ - held_ - owed_; }

 private:
  size_t ShareOf(size_t size) const;
  size_t ExcessOf(size_t size) const;
  size_t Arriving(const Call& call) const;
  // The usual case of OnPiece: a whole message that fits its share.
  const char* OnSmallMessage(Call& call, const Piece& piece, ReceivedMessage* message,
                             Outcome* outcome);
  void Store(IncomingMessage& in, absl::Span<const uint8_t> bytes);
  void Return(size_t amount) {
    held_ -= amount;
    owed_ += amount;
  }
  void Grant(Call& call, size_t amount);
  void ReturnReservation(size_t amount);
  void GrantWaiting();
  void GrantAhead(Call& call, size_t excess);

  ControlList& control_;
  const size_t max_message_;
  const size_t call_window_;
  const size_t share_;  // half a call window
  const size_t connection_window_;
  const size_t reservations_;
  size_t held_ = 0;      // of the connection's window
  size_t owed_ = 0;      // consumed and not given back
  size_t reserved_ = 0;  // of the reservations
  ReservationList waiting_;
};

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_RECEIVE_WINDOWS_H_
