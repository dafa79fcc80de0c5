// Memory for messages that are held, whole or on their way: large pieces are kept for the messages
// to come.
//
// To have a large piece from the system and give it back costs more than to copy it: every page is
// cleared, mapped and unmapped. So pieces of kSmallestKept to kLargestKept bytes stay with the
// process when they are let go of and serve all connections. A piece that is taken again is lent:
// it stays in the process's account until it is let go of, and kept and lent pieces together are
// never more than kMostKept bytes. So that is also the most that peers have of the process for
// bytes that they only announced, and the most by which all pieces together exceed the sizes asked
// for, which are what connections count. While all is lent, memory is had from the system. What
// comes last is kept: the pieces that were kept longest make room for it. Any thread.
#ifndef ANYWIRE_TRANSPORTS_MESSAGE_MEMORY_H_
#define ANYWIRE_TRANSPORTS_MESSAGE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>

namespace anywire {

struct FreeMessageMemory {
  size_t capacity = 0;  // bytes
  bool lent = false;    // in the account of what is kept
  void operator()(uint8_t* memory) const;
};
using MessageMemory = std::unique_ptr<uint8_t[], FreeMessageMemory>;
// The memory of a message on its way, which nobody writes any more: it goes with the last of those
// that hold it. Any thread.
using SharedMessageMemory = std::shared_ptr<const uint8_t[]>;

inline constexpr size_t kSmallestKept = 64 << 10;
inline constexpr size_t kLargestKept = 4 << 20;
inline constexpr size_t kMostKept = 8 << 20;
inline constexpr int kMostPiecesKept = 16;

// At least `size` bytes, uninitialised.
MessageMemory NewMessageMemory(size_t size);
// The same, lent of what is kept, and at most twice as much; null when there is none that fits. It
// adds nothing to what the process has, and so may be had for bytes that have only been announced.
MessageMemory KeptMessageMemory(size_t size);

// For tests: how many bytes are kept now, how many are lent, and to begin with nothing kept.
size_t KeptMessageBytes();
size_t LentMessageBytes();
void FreeKeptMessageMemory();

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_MESSAGE_MEMORY_H_
