#include "runtime/server/method_handler.h"

#include <utility>

namespace anywire::internal {
namespace {

// Messages up to this size on the wire are looked into only now and then: looking costs more than a
// small call.
constexpr size_t kSmallMessageBytes = 1024;
constexpr uint32_t kRunsBetweenLooks = 64;

constinit std::atomic<size_t> large_memory{0};

}  // namespace

bool Invocation::LargeMemory::Hold(size_t bytes) {
  size_t before = large_memory.load(std::memory_order_relaxed);
  do {
    if (bytes > MethodHandler::kMaxRetainedByAll - before) return false;
  } while (!large_memory.compare_exchange_weak(before, before + bytes, std::memory_order_relaxed));
  held_ = bytes;
  return true;
}

bool Invocation::LargeMemory::Release() {
  if (held_ == 0) return false;
  large_memory.fetch_sub(std::exchange(held_, 0), std::memory_order_relaxed);
  return true;
}

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

bool MethodHandler::MayRetain(Invocation& invocation, size_t message_bytes) {
  const size_t bytes = invocation.RetainedBytes();
  return bytes <= kMaxRetainedBytes ||
         (message_bytes >= bytes / 4 && invocation.large_.Hold(bytes));
}

void MethodHandler::GiveBack(std::unique_ptr<Invocation> invocation, size_t message_bytes) {
  const bool was_large = invocation->large_.Release();
  const bool look = was_large || message_bytes > kSmallMessageBytes ||
                    ++invocation->runs_ % kRunsBetweenLooks == 0;
  if (look && !MayRetain(*invocation, message_bytes)) return;
  invocation->Clear();
  delete SlotOfThread().idle.exchange(invocation.release(), std::memory_order_acq_rel);
}

}  // namespace anywire::internal
