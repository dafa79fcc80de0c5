// Memory for messages that are held: large pieces are kept for the messages to come.
//
// To have a large piece from the system and give it back costs more than to copy it: every page is
// cleared, mapped and unmapped. So pieces of kSmallestKept to kLargestKept bytes stay with the
// process when they are let go of, kMostKept bytes in all; they serve all connections. Any thread.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_MESSAGE_MEMORY_H_
#define ANYWIRE_RUNTIME_PROTOCOL_MESSAGE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>

namespace anywire::protocol {

struct FreeMessageMemory {
  size_t capacity = 0;  // bytes
  void operator()(uint8_t* memory) const;
};
using MessageMemory = std::unique_ptr<uint8_t[], FreeMessageMemory>;

inline constexpr size_t kSmallestKept = 64 << 10;
inline constexpr size_t kLargestKept = 4 << 20;
inline constexpr size_t kMostKept = 8 << 20;

// At least `size` bytes, uninitialised.
MessageMemory NewMessageMemory(size_t size);
// The same, of what is kept, and at most twice as much; null when there is none that fits. It costs
// the process nothing, and so may be had for bytes that have only been announced.
MessageMemory KeptMessageMemory(size_t size);

// For tests: how many bytes are kept now.
size_t KeptMessageBytes();

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_MESSAGE_MEMORY_H_
