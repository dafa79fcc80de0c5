#include "runtime/server/method_handler.h"

#include <utility>

namespace anywire::internal {
namespace {

// Messages up to this size on the wire are looked into only now and then: looking costs more than a
// small call.
constexpr size_t kSmallMessageBytes = 1024;
constexpr uint32_t kRunsBetweenLooks = 64;

}  // namespace

MethodHandler::~MethodHandler() {
  for (Slot& slot : slots_) delete slot.idle.load(std::memory_order_acquire);
}

MethodHandler::Slot& MethodHandler::SlotOfThread() {
  static constinit std::atomic<size_t> next_thread{0};
  static thread_local const size_t thread = next_thread.fetch_add(1, std::memory_order_relaxed);
  return slots_[thread % kSlots];
}

std::unique_ptr<Invocation> MethodHandler::Take() {
  Invocation* const idle = SlotOfThread().idle.exchange(nullptr, std::memory_order_acquire);
  return idle != nullptr ? std::unique_ptr<Invocation>(idle) : NewInvocation();
}

void MethodHandler::GiveBack(std::unique_ptr<Invocation> invocation, size_t message_bytes) {
  const bool look =
      message_bytes > kSmallMessageBytes || ++invocation->runs_ % kRunsBetweenLooks == 0;
  if (look && invocation->RetainedBytes() > kMaxRetainedBytes) return;
  invocation->Clear();
  delete SlotOfThread().idle.exchange(invocation.release(), std::memory_order_acq_rel);
}

}  // namespace anywire::internal
