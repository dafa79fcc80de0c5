// Credit to send: what the peer lets us have in flight and in its memory.
//
// A message counts its bytes and kMessageOverhead. Its share of the windows is that, or half a call
// window if that is less. A message may begin when both the call's and the connection's credit
// cover its share, which is then taken at once: a message that has begun waits for no other
// message, so messages cannot block each other half way. What is larger than the share goes when
// the receiver's GRANTs cover all that it has beyond. The receiver sees from the announced size
// what is missing.
//
// Until the peer's HELLO the windows are the assumed ones, and only messages within them begin.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_SEND_WINDOWS_H_
#define ANYWIRE_RUNTIME_PROTOCOL_SEND_WINDOWS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "runtime/protocol/call.h"
#include "runtime/wire/frame_kinds.h"

namespace anywire::protocol {

class SendWindows {
 public:
  // The credit that a new call starts with.
  int64_t initial_credit() const { return call_window_; }

  // Whether a message of `size` could begin now.
  bool Covers(const Call& call, size_t size) const {
    const int64_t cost = Cost(size);
    const int64_t share = std::min(cost, share_);
    return call.send_credit >= share && connection_ >= share && (cost <= share_ || peer_known_);
  }
  // Whether it could go whole, without a GRANT.
  bool CoversWhole(const Call& call, size_t size) const {
    const int64_t cost = Cost(size);
    return cost <= share_ && call.send_credit >= cost && connection_ >= cost;
  }
  // Covers, as far as the call's own credit goes: what is missing then is the connection's.
  bool CallCovers(const Call& call, size_t size) const {
    return call.send_credit >= std::min(Cost(size), share_);
  }

  void Take(Call& call, size_t size) {
    const int64_t share = std::min(Cost(size), share_);
    call.send_credit -= share;
    connection_ -= share;
  }

  // How many of the message's bytes may have been sent so far.
  size_t Allowed(const OutgoingMessage& message) const {
    if (message.granted || Cost(message.size) <= share_) return message.size;
    return static_cast<size_t>(share_) - wire::kMessageOverhead;
  }
  bool NeedsGrant(const OutgoingMessage& message) const {
    return Cost(message.size) > share_ && !message.granted;
  }

  // Takes what the message has beyond its share from the call's grants, if they cover it.
  bool TakeGrant(Call& call) const {
    const uint64_t excess = static_cast<uint64_t>(Cost(call.out.size) - share_);
    if (call.grants < excess) return false;
    call.grants -= excess;
    call.out.granted = true;
    return true;
  }
  // The peer's GRANT. False: an absurd amount.
  static bool AddGrant(Call& call, uint64_t amount) {
    if (amount > wire::kAbsurdSize - call.grants) return false;
    call.grants += amount;
    return true;
  }

  // The call's message goes no further: the connection gets back what it did not use.
  void GiveBack(const OutgoingMessage& message) {
    const int64_t used = message.announced ? Cost(message.sent) : 0;
    connection_ += std::min(Cost(message.size), share_) - std::min(used, share_);
  }

  // The peer's CREDIT. False: more than its window.
  bool AddCallCredit(Call& call, uint64_t amount) const {
    return Add(call.send_credit, amount, call_window_);
  }
  bool AddConnectionCredit(uint64_t amount) { return Add(connection_, amount, connection_window_); }

  // The peer's HELLO, with larger windows than the assumed. The caller adds the result to each call
  // that was bound.
  int64_t OnHello(uint64_t call_window, uint64_t connection_window) {
    const int64_t more = static_cast<int64_t>(call_window) - call_window_;
    call_window_ += more;
    share_ = call_window_ / 2;
    connection_ += static_cast<int64_t>(connection_window) - connection_window_;
    connection_window_ = static_cast<int64_t>(connection_window);
    peer_known_ = true;
    return more;
  }

  int64_t connection_credit() const { return connection_; }

 private:
  static int64_t Cost(size_t size) { return static_cast<int64_t>(size + wire::kMessageOverhead); }
  static bool Add(int64_t& credit, uint64_t amount, int64_t window) {
    // A peer that gave credit for bytes that then were not sent has let it grow past the window.
    if (credit > window || amount > static_cast<uint64_t>(window - credit)) return false;
    credit += static_cast<int64_t>(amount);
    return true;
  }

  bool peer_known_ = false;
  int64_t call_window_ = wire::kMinCallWindow;
  int64_t share_ = wire::kMinCallWindow / 2;
  int64_t connection_window_ = wire::kMinConnectionWindow;
  int64_t connection_ = wire::kMinConnectionWindow;
};

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_SEND_WINDOWS_H_
