#include "runtime/protocol/receive_windows.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "runtime/wire/frame_kinds.h"

namespace anywire::protocol {
namespace {

using wire::kMessageOverhead;

constexpr size_t kLargestWindow = size_t{1} << 40;  // as HELLO has it

size_t CallWindow(const Limits& limits) {
  return std::clamp(limits.call_window, wire::kMinCallWindow, kLargestWindow / 4);
}

size_t Buffer(const Limits& limits) {
  const size_t message =
      std::min(limits.max_receive_message_size, kLargestWindow / 4) + kMessageOverhead;
  return std::clamp(std::max({limits.connection_buffer, 4 * wire::kMinConnectionWindow, 4 * message,
                              4 * CallWindow(limits)}),
                    size_t{0}, 2 * kLargestWindow);
}

}  // namespace

ReceiveWindows::ReceiveWindows(const Limits& limits, ControlList& control)
    : control_(control),
      max_message_(std::min(limits.max_receive_message_size, kLargestWindow / 4)),
      call_window_(CallWindow(limits)),
      share_(call_window_ / 2),
      largest_small_message_(std::min(max_message_, share_ - kMessageOverhead)),
      connection_window_(Buffer(limits) / 2),
      excess_window_(Buffer(limits) - connection_window_) {}

size_t ReceiveWindows::ShareOf(size_t size) const {
  return std::min(size + kMessageOverhead, share_);
}

size_t ReceiveWindows::ExcessOf(size_t size) const {
  return size + kMessageOverhead - ShareOf(size);
}

size_t ReceiveWindows::Arriving(const Call& call) const {
  return call.in.present && !call.in.dropped ? ShareOf(call.in.received) : 0;
}

const char* ReceiveWindows::OnOtherPiece(Call& call, const Piece& piece, ReceivedMessage* message,
                                         Outcome* outcome) {
  IncomingMessage& in = call.in;
  const bool first = !in.present;
  const size_t size = first ? piece.size : in.size;
  const size_t before = first ? 0 : in.received;
  const size_t after = before + piece.bytes.size();
  if (size > wire::kAbsurdSize) return "a message of an absurd size";
  if (piece.partial ? after >= size : after != size) return "a message's pieces are not its size";
  if (!first && piece.bytes.empty()) return "an empty piece of a message";

  const size_t more = ShareOf(after) - (first ? 0 : ShareOf(before));
  // Of a message with more than that the peer may send the share, to tell us so.
  const size_t excess = ExcessOf(size) <= excess_window_ / 2 ? ExcessOf(size) : 0;
  if (ExcessOf(after) > excess) return kAboveExcessWindow;
  if (first && excess > peer_may_exceed()) return kAboveExcessWindow;
  if (call.held + Arriving(call) + call.owed + more > call_window_) {
    return kAboveCallWindow;
  }
  if (held_ + owed_ + more > connection_window_) return kAboveConnectionWindow;
  held_ += more;

  const bool too_large = first && piece.wanted && size > max_message_;
  if (first) {
    in.present = true;
    in.dropped = !piece.wanted || too_large;
    in.size = size;
    in.received = 0;
    excess_held_ += excess;
    if (in.dropped) ReturnExcess(excess);
  }
  if (in.dropped) {
    Return(more);
    call.owed += more;
    in.received = after;
  } else if (piece.partial || !first) {
    Store(in, piece.bytes);
  }
  if (piece.partial) {
    *outcome = too_large ? Outcome::kTooLarge : Outcome::kMore;
    return nullptr;
  }

  in.present = false;
  if (in.dropped) {
    *outcome = too_large ? Outcome::kTooLarge : Outcome::kDropped;
    return nullptr;
  }
  if (piece.last) {
    Return(ShareOf(size));
    ReturnExcess(excess);
  } else {
    call.held += ShareOf(size);
    call.excess_held += excess;
  }
  message->bytes = piece.bytes;
  if (!first) {
    message->owned = std::move(in.bytes);
    message->bytes = absl::MakeConstSpan(message->owned.get(), size);
  }
  *outcome = Outcome::kComplete;
  return nullptr;
}

void ReceiveWindows::Store(IncomingMessage& in, absl::Span<const uint8_t> bytes) {
  const size_t after = in.received + bytes.size();
  if (in.bytes == nullptr || after > in.bytes.get_deleter().capacity) {
    MessageMemory larger = KeptMessageMemory(in.size);
    if (larger == nullptr) larger = NewMessageMemory(std::min(in.size, 2 * after));
    if (in.received > 0) std::memcpy(larger.get(), in.bytes.get(), in.received);
    in.bytes = std::move(larger);
  }
  if (!bytes.empty()) std::memcpy(in.bytes.get() + in.received, bytes.data(), bytes.size());
  in.received = after;
}

void ReceiveWindows::OnConsumed(Call& call, size_t size) {
  // A caller that reports more than was delivered takes nothing from other calls.
  const size_t share = std::min(ShareOf(size), call.held);
  const size_t excess = std::min(ExcessOf(size), call.excess_held);
  call.held -= share;
  Return(share);
  call.excess_held -= excess;
  ReturnExcess(excess);
  if (call.receive_ended || call.over) return;
  call.owed += share;
  const bool worth_it = call.owed * 2 >= call_window_ - call.held - Arriving(call);
  if (!worth_it || call.credit_wanted || call.owed == 0) return;
  call.credit_wanted = true;
  if (!ControlList::Contains(call)) control_.PushBack(call);
}

void ReceiveWindows::DropPresent(Call& call) {
  IncomingMessage& in = call.in;
  Return(ShareOf(in.received));
  call.owed += ShareOf(in.received);
  ReturnExcess(ExcessOf(in.size));
  in.dropped = true;
  in.bytes = nullptr;
}

void ReceiveWindows::OnEnded(Call& call) {
  if (call.in.present) {
    DropIncoming(call);
    call.in.present = false;
  }
  call.credit_wanted = false;
}

void ReceiveWindows::ReturnHeld(Call& call) {
  Return(call.held);
  call.held = 0;
  ReturnExcess(std::exchange(call.excess_held, 0));
}

}  // namespace anywire::protocol
