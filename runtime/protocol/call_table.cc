#include "runtime/protocol/call_table.h"

#include <cassert>

namespace anywire::protocol {

Call& CallTable::Add() {
  calls_.push_back(std::make_unique<Call>());
  Call& call = *calls_.back();
  call.id.slot = static_cast<uint32_t>(calls_.size() - 1);
  call.timer.owner = &call;
  free_.reserve(calls_.size());  // Recycle does not allocate
  return call;
}

void CallTable::Recycle(Call& call) {
  assert(call.released && call.stream == 0 && call.queue == SendQueue::kNone);
  assert(!ControlList::Contains(call));
  assert(call.held == 0 && call.excess_held == 0 && !call.in.present);
  static_cast<CallState&>(call) = CallState();
  ++call.id.generation;
  if (call.out.memory != nullptr || call.out.shared != nullptr) call.out = OutgoingMessage();
  if (call.unwritten != nullptr) call.unwritten = nullptr;
  // Its next use need not keep their memory.
  if (!call.fragments.empty()) std::string().swap(call.fragments);
  free_.push_back(call.id.slot);
}

}  // namespace anywire::protocol
