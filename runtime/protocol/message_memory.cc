#include "runtime/protocol/message_memory.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "anywire/mutex.h"

#if defined(__SANITIZE_ADDRESS__)
#define ANYWIRE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ANYWIRE_ASAN 1
#endif
#endif
#ifdef ANYWIRE_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace anywire::protocol {
namespace {

constexpr int kPlaces = 16;

// Uses of memory that is kept are mistakes that a sanitizer shall see.
void MarkKept([[maybe_unused]] uint8_t* memory, [[maybe_unused]] size_t capacity) {
#ifdef ANYWIRE_ASAN
  ASAN_POISON_MEMORY_REGION(memory, capacity);
#endif
}

void MarkUsed([[maybe_unused]] uint8_t* memory, [[maybe_unused]] size_t capacity) {
#ifdef ANYWIRE_ASAN
  ASAN_UNPOISON_MEMORY_REGION(memory, capacity);
#endif
}

// Trivially destructible: messages may be freed to the very end of the process.
class Kept {
 public:
  // False when the piece has no place: it is the caller's to free, and no longer in the account.
  bool Put(uint8_t* memory, size_t capacity, bool lent) {
    const MutexLock lock(&mutex_);
    if (lent) lent_ -= capacity;
    if (count_ == kPlaces || bytes_ + lent_ + capacity > kMostKept) return false;
    MarkKept(memory, capacity);
    places_[count_++] = {memory, capacity};
    bytes_ += capacity;
    return true;
  }

  // The last that came fits best with the processor's caches.
  MessageMemory Take(size_t size) {
    const MutexLock lock(&mutex_);
    for (int i = count_ - 1; i >= 0; --i) {
      const Place place = places_[i];
      if (place.capacity < size || place.capacity > 2 * size) continue;
      for (int j = i + 1; j < count_; ++j) places_[j - 1] = places_[j];
      --count_;
      bytes_ -= place.capacity;
      lent_ += place.capacity;
      MarkUsed(place.memory, place.capacity);
      return MessageMemory(place.memory, FreeMessageMemory{place.capacity, /*lent=*/true});
    }
    return nullptr;
  }

  void Free() {
    const MutexLock lock(&mutex_);
    for (; count_ > 0; --count_) {
      const Place place = places_[count_ - 1];
      bytes_ -= place.capacity;
      MarkUsed(place.memory, place.capacity);
      delete[] place.memory;
    }
  }

  size_t bytes() {
    const MutexLock lock(&mutex_);
    return bytes_;
  }

  size_t lent() {
    const MutexLock lock(&mutex_);
    return lent_;
  }

 private:
  struct Place {
    uint8_t* memory = nullptr;
    size_t capacity = 0;
  };
  Mutex mutex_;
  Place places_[kPlaces] ABSL_GUARDED_BY(mutex_);  // in the order in which they came
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // in places_
  size_t lent_ ABSL_GUARDED_BY(mutex_) = 0;
};

constinit Kept kept;

}  // namespace

void FreeMessageMemory::operator()(uint8_t* memory) const {
  const bool keep = capacity >= kSmallestKept && capacity <= kLargestKept;
  if (!keep || !kept.Put(memory, capacity, lent)) delete[] memory;
}

MessageMemory NewMessageMemory(size_t size) {
  if (MessageMemory memory = KeptMessageMemory(size)) return memory;
  return MessageMemory(new uint8_t[size], FreeMessageMemory{size, /*lent=*/false});
}

MessageMemory KeptMessageMemory(size_t size) {
  if (size < kSmallestKept || size > kLargestKept) return nullptr;
  return kept.Take(size);
}

size_t KeptMessageBytes() { return kept.bytes(); }

size_t LentMessageBytes() { return kept.lent(); }

void FreeKeptMessageMemory() { kept.Free(); }

}  // namespace anywire::protocol
