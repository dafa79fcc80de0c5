// The calls of a machine: by name (slot and generation) for the owner, by stream for the peer. Both
// are indices into vectors; objects are used again, last freed first, so that a steady load touches
// little memory and allocates none.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_CALL_TABLE_H_
#define ANYWIRE_RUNTIME_PROTOCOL_CALL_TABLE_H_

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/attributes.h"
#include "runtime/protocol/call.h"

namespace anywire::protocol {

class CallTable {
 public:
  CallTable() = default;
  CallTable(const CallTable&) = delete;
  CallTable& operator=(const CallTable&) = delete;

  // A call that nothing has happened to.
  Call& New() {
    if (free_.empty()) return Add();
    Call& call = *calls_[free_.back()];
    free_.pop_back();
    return call;
  }

  // The call of that name, unless it has been released.
  Call* Find(CallId id) const {
    if (id.slot >= calls_.size()) return nullptr;
    Call* const call = calls_[id.slot].get();
    return call->id.generation == id.generation && !call->released ? call : nullptr;
  }

  // Makes the name invalid.
  void Release(Call& call) {
    call.released = true;
    ++call.id.generation;
  }

  // The call on a stream, or null.
  Call* OnStream(uint64_t stream) const {
    return stream < by_stream_.size() ? by_stream_[stream] : nullptr;
  }
  void Bind(Call& call, uint32_t stream) {
    if (stream >= by_stream_.size()) AddStream(stream);
    assert(by_stream_[stream] == nullptr && call.stream == 0);
    by_stream_[stream] = &call;
    call.stream = stream;
  }
  void Unbind(Call& call) {
    assert(by_stream_[call.stream] == &call);
    by_stream_[call.stream] = nullptr;
    call.stream = 0;
  }

  // Takes back a call that is released, without stream, and in no list.
  void Recycle(Call& call);

  // Calls not recycled.
  size_t size() const { return calls_.size() - free_.size(); }
  // All objects, recycled ones too, for going over those with a stream or an owner.
  const std::vector<std::unique_ptr<Call>>& all() const { return calls_; }

 private:
  ABSL_ATTRIBUTE_NOINLINE Call& Add();
  ABSL_ATTRIBUTE_NOINLINE void AddStream(uint32_t stream) { by_stream_.resize(stream + 1); }

  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<uint32_t> free_;
  std::vector<Call*> by_stream_;
};

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_CALL_TABLE_H_
