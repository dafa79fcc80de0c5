// Credit to send: what the peer lets us have in flight and in its memory.
//
// A message counts its bytes and kMessageOverhead. Its share of the windows is that, or half a call
// window if that is less; what it has beyond its share is its excess. A message may begin when the
// call's and the connection's credit cover its share and the connection's excess credit covers its
// excess; all is taken before its first byte. So a message that has begun waits for no other, and
// messages cannot block each other half way. Small messages have no excess: they do not wait for
// those that do.
//
// A message whose excess is above half the excess window is one that the peer does not accept. It
// begins without, and goes no further than its share: the peer learns its size and refuses it. (Of
// one that needs more than half nobody could promise that it ever finds it.)
//
// Until the peer's HELLO the windows are the assumed ones, and only messages within them begin.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_SEND_WINDOWS_H_
#define ANYWIRE_RUNTIME_PROTOCOL_SEND_WINDOWS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/base/optimization.h"
#include "runtime/protocol/call.h"
#include "runtime/wire/frame_kinds.h"

namespace anywire::protocol {

class SendWindows {
 public:
  // The credit that a new call starts with.
  int64_t initial_credit() const { return call_window_; }

  // Whether each credit covers its part of a message of `size`.
  bool CallCovers(const Call& call, size_t size) const { return call.send_credit >= Share(size); }
  bool ConnectionCovers(size_t size) const { return connection_ >= Share(size); }
  bool ExcessCovers(size_t size) const {
    const int64_t excess = Excess(size);
    return excess == 0 || (peer_known_ && (excess <= excess_ || excess > largest_excess_));
  }
  bool HasExcess(size_t size) const { return Cost(size) > share_; }
  // All of them, and no part of it is held back.
  bool CoversWhole(const Call& call, size_t size) const {
    const int64_t cost = Cost(size);
    if (ABSL_PREDICT_TRUE(cost <= share_)) return call.send_credit >= cost && connection_ >= cost;
    return call.send_credit >= share_ && connection_ >= share_ &&
           cost - share_ <= std::min(excess_, largest_excess_);
  }

  void TakeShare(Call& call, size_t size) {
    call.send_credit -= Share(size);
    connection_ -= Share(size);
  }
  // Returns how much.
  size_t TakeExcess(size_t size) {
    const int64_t excess = Excess(size);
    if (excess > largest_excess_) return 0;
    excess_ -= excess;
    return static_cast<size_t>(excess);
  }

  // Both, for a message that CoversWhole.
  void TakeWhole(Call& call, size_t size) {
    TakeShare(call, size);
    if (ABSL_PREDICT_FALSE(HasExcess(size))) TakeExcess(size);
  }

  // How many bytes of a message that has begun may be sent.
  size_t Allowed(const OutgoingMessage& message) const {
    if (Excess(message.size) <= static_cast<int64_t>(message.excess)) return message.size;
    return static_cast<size_t>(share_) - wire::kMessageOverhead;
  }

  // The call's message goes no further: the connection gets back what it did not use. A peer that
  // knows of the message gives its excess back itself.
  void GiveBack(const OutgoingMessage& message) {
    if (!message.announced) excess_ += static_cast<int64_t>(message.excess);
    if (!message.started) return;
    const int64_t used = message.announced ? Cost(message.sent) : 0;
    connection_ += Share(message.size) - std::min(used, share_);
  }

  // The peer's CREDIT and EXCESS CREDIT. False: more than its window.
  bool AddCallCredit(Call& call, uint64_t amount) const {
    return Add(call.send_credit, amount, call_window_);
  }
  bool AddConnectionCredit(uint64_t amount) { return Add(connection_, amount, connection_window_); }
  bool AddExcessCredit(uint64_t amount) { return Add(excess_, amount, excess_window_); }

  // The peer's HELLO, with larger windows than the assumed. The caller adds the result to each call
  // that was bound.
  int64_t OnHello(uint64_t call_window, uint64_t connection_window, uint64_t excess_window) {
    const int64_t more = static_cast<int64_t>(call_window) - call_window_;
    call_window_ += more;
    share_ = call_window_ / 2;
    connection_ += static_cast<int64_t>(connection_window) - connection_window_;
    connection_window_ = static_cast<int64_t>(connection_window);
    excess_ = excess_window_ = static_cast<int64_t>(excess_window);
    largest_excess_ = excess_window_ / 2;
    peer_known_ = true;
    return more;
  }

  int64_t connection_credit() const { return connection_; }
  int64_t excess_credit() const { return excess_; }

 private:
  static int64_t Cost(size_t size) { return static_cast<int64_t>(size + wire::kMessageOverhead); }
  int64_t Share(size_t size) const { return std::min(Cost(size), share_); }
  int64_t Excess(size_t size) const { return Cost(size) - Share(size); }
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
  int64_t excess_window_ = 0;
  int64_t largest_excess_ = 0;
  int64_t excess_ = 0;
};

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_SEND_WINDOWS_H_
