// Memory that is kept for reuse: the address sanitizer shall see who looks at it meanwhile. Costs
// nothing without one.
#ifndef ANYWIRE_TRANSPORTS_POISON_H_
#define ANYWIRE_TRANSPORTS_POISON_H_

#include <cstddef>

#include "absl/base/config.h"

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace anywire {

// Reading or writing these bytes is a mistake from now on.
inline void PoisonMemory([[maybe_unused]] const void* memory, [[maybe_unused]] size_t size) {
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  ASAN_POISON_MEMORY_REGION(memory, size);
#endif
}

// It is none any more. Due before they are freed, too.
inline void UnpoisonMemory([[maybe_unused]] const void* memory, [[maybe_unused]] size_t size) {
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  ASAN_UNPOISON_MEMORY_REGION(memory, size);
#endif
}

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_POISON_H_
