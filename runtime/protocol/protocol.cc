#include "runtime/protocol/protocol.h"

#include <cstring>

namespace anywire::protocol {

void ReceivedMessage::Own() {
  if (owned != nullptr || bytes.empty()) return;
  owned = NewMessageMemory(bytes.size());
  std::memcpy(owned.get(), bytes.data(), bytes.size());
  bytes = absl::MakeConstSpan(owned.get(), bytes.size());
}

}  // namespace anywire::protocol
