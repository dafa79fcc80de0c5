#include "anywire/message_memory.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "anywire/mutex.h"
#include "anywire/poison.h"

namespace anywire {
namespace {

// Trivially destructible: messages may be freed to the very end of the process.
class Kept {
 public:
  // The oldest make room. What has none after all is freed.
  void Put(uint8_t* memory, size_t capacity, bool lent) {
    Place freed[kMostPiecesKept + 1];  // when the lock is, since that may take long
    int freed_count = 0;
    {
      const MutexLock lock(&mutex_);
      if (lent) lent_ -= capacity;
      if (lent_ + capacity <= kMostKept) {
        while (count_ == kMostPiecesKept || bytes_ + lent_ + capacity > kMostKept) {
          freed[freed_count++] = Remove(0);
        }
        PoisonMemory(memory, capacity);
        places_[count_++] = {memory, capacity};
        bytes_ += capacity;
      } else {
        freed[freed_count++] = {memory, capacity};
      }
    }
    for (int i = 0; i < freed_count; ++i) delete[] freed[i].memory;
  }

  // The last that came fits best with the processor's caches.
  MessageMemory Take(size_t size) {
    const MutexLock lock(&mutex_);
    for (int i = count_ - 1; i >= 0; --i) {
      if (places_[i].capacity < size || places_[i].capacity > 2 * size) continue;
      const Place place = Remove(i);
      lent_ += place.capacity;
      return MessageMemory(place.memory, FreeMessageMemory{place.capacity, /*lent=*/true});
    }
    return nullptr;
  }

  void Free() {
    const MutexLock lock(&mutex_);
    while (count_ > 0) delete[] Remove(count_ - 1).memory;
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

  Place Remove(int index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Place place = places_[index];
    for (int i = index + 1; i < count_; ++i) places_[i - 1] = places_[i];
    --count_;
    bytes_ -= place.capacity;
    UnpoisonMemory(place.memory, place.capacity);
    return place;
  }

  Mutex mutex_;
  Place places_[kMostPiecesKept] ABSL_GUARDED_BY(mutex_);  // in the order in which they came
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // in places_
  size_t lent_ ABSL_GUARDED_BY(mutex_) = 0;
};

constinit Kept kept;

}  // namespace

void FreeMessageMemory::operator()(uint8_t* memory) const {
  if (capacity >= kSmallestKept && capacity <= kLargestKept) {
    kept.Put(memory, capacity, lent);
  } else {
    delete[] memory;
  }
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

}  // namespace anywire
